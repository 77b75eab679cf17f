"""`ir playbook`: what playbooks there are, what they say, whether they are right."""

from __future__ import annotations

from pathlib import Path

import click

from forensics.cli.frame import CONTEXT_SETTINGS, json_option
from forensics.cli.run import asking_options
from forensics.cli.run import command as run_command

HELP = """List, show, check and run playbooks. A playbook is YAML that calls registered actions; it holds no code.

\b
  ir playbook list
  ir playbook show default
  ir playbook lint mine.yaml
  ir playbook run default web        the same as 'ir run default web'
  ir playbook resume cases/CASE      go on with a run that was interrupted
"""


@click.group(help=HELP, context_settings=CONTEXT_SETTINGS)
def command() -> None:
    """Group of the playbook commands."""


command.add_command(run_command, "run")


@command.command("list")
@json_option
def list_playbooks(as_json: bool) -> int:
    """List the shipped playbooks."""
    from forensics.cli.playbook_view import show_list  # noqa: PLC0415 - keeps `ir --help` light

    return show_list(as_json=as_json)


@command.command()
@click.argument("playbook", default="default")
@json_option
def show(playbook: str, as_json: bool) -> int:
    """Print a playbook: a shipped one by name, or a file."""
    from forensics.cli.playbook_view import show_playbook  # noqa: PLC0415 - keeps `ir --help` light

    return show_playbook(playbook, as_json=as_json)


@command.command()
@click.argument("playbooks", nargs=-1, metavar="PLAYBOOK...")
@json_option
def lint(playbooks: tuple[str, ...], as_json: bool) -> int:
    """Check playbooks (all shipped ones when none is named): file:line:column, and a suggestion."""
    from forensics.cli.playbook_view import lint_playbooks  # noqa: PLC0415 - keeps `ir --help` light

    return lint_playbooks(playbooks, as_json=as_json)


@command.command()
@json_option
def actions(as_json: bool) -> int:
    """List every action that a step may use, with its inputs."""
    from forensics.cli.playbook_view import show_actions  # noqa: PLC0415 - keeps `ir --help` light

    return show_actions(as_json=as_json)


@command.command()
def schema() -> None:
    """Print the JSON Schema of playbooks, for editors."""
    from forensics.cli.frame import emit_json  # noqa: PLC0415 - keeps `ir --help` light
    from forensics.playbook.editor import build_schema  # noqa: PLC0415 - pydantic

    emit_json(build_schema())


@command.command()
@click.argument("case", type=click.Path(path_type=Path))
@click.option("--playbook", "named", default="", help="The playbook's file, where it is not where it was.")
@click.option("--dry-run", is_flag=True, help="Show what is done and what is left; change nothing of the suspect.")
@asking_options
@json_option
def resume(  # noqa: PLR0913, PLR0917 - one parameter an option, as click calls it
    case: Path,
    named: str,
    dry_run: bool,
    yes: bool,
    approvers: Path | None,
    given: tuple[Path, ...],
    as_json: bool,
) -> int:
    """Go on with the run that an interruption left in CASE; finished steps are not repeated."""
    from forensics.cli import run_view  # noqa: PLC0415 - keeps `ir --help` light

    asking = run_view.Asking(yes, approvers, given)
    return run_view.resume_case(case, named, asking, dry_run=dry_run, as_json=as_json)


@command.command()
@click.argument("playbook")
@click.argument("container")
@click.argument("step")
@click.option("--input", "inputs", multiple=True, metavar="NAME=VALUE", help="As the run will be given them.")
@click.option("--key", type=click.Path(path_type=Path), required=True, help="SSH key that signs.")
@click.option("--expires", default="1h", show_default=True, help="How long it is good: 30m, 8h.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="FILE; the signature is FILE.sig")
@json_option
def approve(  # noqa: PLR0913, PLR0917 - one parameter an option, as click calls it
    playbook: str,
    container: str,
    step: str,
    inputs: tuple[str, ...],
    key: Path,
    expires: str,
    output: Path,
    as_json: bool,
) -> int:
    """Sign beforehand that STEP of PLAYBOOK may run once, with these inputs ('ir run ... --approval FILE')."""
    from forensics.cli.approve_view import approve_beforehand  # noqa: PLC0415 - keeps `ir --help` light

    return approve_beforehand(
        playbook, container, step, inputs, key=key, lifetime=expires, output=output, as_json=as_json
    )
