"""`ir run`: a playbook on a container, step by journaled step, into one case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from forensics.cli.frame import json_option

HELP = """Run a playbook on a container; every step is on record before and after it happens.

\b
  ir run default web                      contain, collect, analyse, report, seal, verify
  ir run default web --dry-run            what would happen, in order
  ir run ./mine.yaml web --case cases/CASE --input reason='alert 4711'
  ir run cryptominer web --input remediate=true --approvers /etc/ir/approvers

A step that needs an approval asks at the terminal, or waits for a signature ('ir approve'); when nobody gives it in
time, it is denied.
A run that was interrupted goes on with 'ir playbook resume CASE'.
"""
_FILE = click.Path(path_type=Path)


def asking_options(function: Any) -> Any:  # noqa: ANN401 - click's decorators
    """Add the options that say how approvals are obtained."""
    options = (
        click.option("--yes", is_flag=True, help="Approve what asks, except steps that destroy."),
        click.option("--approvers", type=_FILE, help="Who may approve (ssh-keygen's allowed_signers), from outside."),
        click.option(
            "--approval",
            "given",
            type=_FILE,
            multiple=True,
            help="A statement signed beforehand; its .sig lies beside it.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


@click.command(help=HELP)
@click.argument("playbook")
@click.argument("container")
@click.option("--case", "case_dir", type=_FILE, help="New folder, or a case to append to.")
@click.option(
    "--input", "inputs", multiple=True, metavar="NAME=VALUE", help="An input of the playbook; may be repeated."
)
@click.option("--dry-run", is_flag=True, help="Show the plan; change nothing.")
@asking_options
@json_option
def command(  # noqa: PLR0913, PLR0917 - one parameter an option, as click calls it
    playbook: str,
    container: str,
    case_dir: Path | None,
    inputs: tuple[str, ...],
    dry_run: bool,
    yes: bool,
    approvers: Path | None,
    given: tuple[Path, ...],
    as_json: bool,
) -> int:
    """Run, or show the plan; 1 when a step failed, 5 when an approval was denied."""
    from forensics.cli import run_view  # noqa: PLC0415 - keeps `ir --help` light
    from forensics.playbook.compiled import read_playbook  # noqa: PLC0415 - keeps `ir --help` light

    chosen = read_playbook(playbook)
    values = run_view.parse_inputs(chosen, container, inputs)
    if dry_run:
        from forensics.cli.playbook_view import show_plan  # noqa: PLC0415 - keeps `ir --help` light

        return show_plan(chosen, values, as_json=as_json)
    asking = run_view.Asking(yes, approvers, given)
    return run_view.run_on_container(chosen, container, case_dir, values, asking, as_json=as_json)
