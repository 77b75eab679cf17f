"""`ir playbook`: what playbooks there are, what they say, whether they are right."""

from __future__ import annotations

import click

from forensics.cli.frame import CONTEXT_SETTINGS, json_option
from forensics.cli.run import command as run_command

HELP = """List, show, check and run playbooks. A playbook is YAML that calls registered actions; it holds no code.

\b
  ir playbook list
  ir playbook show default
  ir playbook lint mine.yaml
  ir playbook run default web        the same as 'ir run default web'
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
    from forensics.playbook.schema import PlaybookModel  # noqa: PLC0415 - pydantic

    emit_json(PlaybookModel.model_json_schema())
