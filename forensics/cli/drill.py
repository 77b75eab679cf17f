"""`ir drill`: rehearse on test containers with planted intrusions, scored."""

from __future__ import annotations

from pathlib import Path

import click

from forensics.cli.frame import CONTEXT_SETTINGS, json_option

HELP = """Rehearse: build a test container, plant a harmless intrusion, run the real playbook, score what it found.

\b
  ir drill list
  ir drill run                       the scenario 'intrusion'
  ir drill run --all --json          every scenario; exit code 1 when one is below its thresholds
  ir drill clean                     remove what a killed drill left behind
"""


@click.group(help=HELP, context_settings=CONTEXT_SETTINGS)
def command() -> None:
    """Group of the drill commands."""


@command.command("list")
@json_option
def list_drills(as_json: bool) -> int:
    """List the scenarios."""
    from forensics.cli.drill_view import show_list  # noqa: PLC0415 - keeps `ir --help` light

    return show_list(as_json=as_json)


@command.command()
@click.argument("name", default="intrusion")
@click.option("--all", "run_all", is_flag=True, help="Run every shipped scenario.")
@click.option("--image", default="", help="Image of the engine to take a static busybox from (default: this host's).")
@click.option("--case", "case_dir", type=click.Path(path_type=Path), help="New folder for the case (not with --all).")
@json_option
def run(name: str, run_all: bool, image: str, case_dir: Path | None, as_json: bool) -> int:
    """Run a scenario (a name, or a file) and score it; 1 when it is below its thresholds."""
    from forensics.cli.drill_view import run_drills  # noqa: PLC0415 - keeps `ir --help` light

    return run_drills(name, case_dir, run_all=run_all, image=image, as_json=as_json)


@command.command()
@click.argument("names", nargs=-1, metavar="SCENARIO...")
def lint(names: tuple[str, ...]) -> int:
    """Check scenarios (all shipped ones when none is named)."""
    from forensics.cli.drill_view import lint_scenarios  # noqa: PLC0415 - keeps `ir --help` light

    return lint_scenarios(names)


@command.command()
def clean() -> int:
    """Remove containers, networks, volumes and images that carry the label of a drill, and nothing else."""
    from forensics.cli.drill_view import clean_up  # noqa: PLC0415 - keeps `ir --help` light

    return clean_up()
