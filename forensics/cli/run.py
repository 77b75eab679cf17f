"""`ir run`: a playbook on a container, step by journaled step, into one case."""

from __future__ import annotations

from pathlib import Path

import click

from forensics.cli.frame import json_option

HELP = """Run a playbook on a container; every step is on record before and after it happens.

\b
  ir run default web                      contain, collect, analyse, report, seal, verify
  ir run default web --dry-run            what would happen, in order
  ir run ./mine.yaml web --case cases/CASE --input reason='alert 4711'
"""


@click.command(help=HELP)
@click.argument("playbook")
@click.argument("container")
@click.option("--case", "case_dir", type=click.Path(path_type=Path), help="New folder, or a case to append to.")
@click.option(
    "--input", "inputs", multiple=True, metavar="NAME=VALUE", help="An input of the playbook; may be repeated."
)
@click.option("--dry-run", is_flag=True, help="Show the plan; change nothing.")
@json_option
def command(  # noqa: PLR0913, PLR0917 - one parameter an option, as click calls it
    playbook: str, container: str, case_dir: Path | None, inputs: tuple[str, ...], dry_run: bool, as_json: bool
) -> int:
    """Run, or show the plan; 1 when a step failed, 5 when an approval was denied."""
    from forensics.cli import playbook_view as view  # noqa: PLC0415 - keeps `ir --help` light
    from forensics.playbook.compiled import read_playbook  # noqa: PLC0415 - keeps `ir --help` light

    chosen = read_playbook(playbook)
    values = view.parse_inputs(chosen, container, inputs)
    if dry_run:
        return view.show_plan(chosen, values, as_json=as_json)
    return view.run_on_container(chosen, container, case_dir, values, as_json=as_json)
