"""`ir drill`: rehearse on test containers with planted intrusions, scored."""

from __future__ import annotations

from pathlib import Path

import click

from forensics.cli.drill_more import new, schedule, scorecard
from forensics.cli.frame import CONTEXT_SETTINGS, json_option

HELP = """Rehearse: build a test container, plant a harmless intrusion, run the real playbook, score what it found.

\b
  ir drill list
  ir drill run                       the scenario 'intrusion'
  ir drill run --all --json          every scenario; exit code 1 when one is below its thresholds
  ir drill scorecard                 the trend over all runs, and how ready you are
  ir drill schedule all --cron '0 3 * * 1'
  ir drill new my-case               a scenario of your own, which lints and runs
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
@click.option("--all", "run_all", is_flag=True, help="Run every shipped scenario, two beside each other.")
@click.option("--image", default="", help="Image of the engine to take a static busybox from (default: this host's).")
@click.option("--case", "case_dir", type=click.Path(path_type=Path), help="New folder for the case (not with --all).")
@json_option
def run(name: str, run_all: bool, image: str, case_dir: Path | None, as_json: bool) -> int:
    """Run a scenario (a name, or a file) and score it; 1 when it is below its thresholds."""
    from forensics.cli.drill_view import run_drills  # noqa: PLC0415 - keeps `ir --help` light

    return run_drills(name, case_dir, run_all=run_all, image=image, as_json=as_json)


@command.command()
@click.argument("names", nargs=-1, metavar="SCENARIO...")
@json_option
def lint(names: tuple[str, ...], as_json: bool) -> int:
    """Check scenarios (all shipped ones when none is named): file, line, column, suggestion."""
    from forensics.cli.drill_lint import lint_scenarios  # noqa: PLC0415 - keeps `ir --help` light

    return lint_scenarios(names, as_json=as_json)


@command.command()
@click.argument("containers", nargs=-1, metavar="[CONTAINER]...")
@click.option("--force", is_flag=True, help="Also what a drill on another host may have made on this engine.")
@json_option
def clean(containers: tuple[str, ...], force: bool, as_json: bool) -> int:
    """Remove containers, networks, volumes and images that carry the label of a drill, and nothing else.

    A drill that is still going on is left alone. A container that is named is removed only if it carries the label.
    """
    from forensics.cli.drill_view import clean_up  # noqa: PLC0415 - keeps `ir --help` light

    return clean_up(containers, force=force, as_json=as_json)


for more in (new, schedule, scorecard):
    command.add_command(more)
