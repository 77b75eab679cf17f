"""`ir collect`: evidence of a container into a case, in order of volatility."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from forensics.cli.collect_view import show_plan
from forensics.cli.frame import json_option
from forensics.errors import UsageError

HELP = """Collect everything a container was into a case, most volatile first. Nothing in it is run or changed.

\b
  ir collect web                        into the case of 'ir isolate', or a new one below ./cases
  ir collect web --case cases/CASE      into that case
  ir collect web --memory --dry-run     what would be collected, and what that disturbs
"""


@click.command(help=HELP)
@click.argument("container")
@click.option("--case", "case_dir", type=click.Path(path_type=Path), help="New folder, or a case to append to.")
@click.option("--memory/--no-memory", default=None, help="Also every process's memory [default: as in the playbook].")
@click.option("--dry-run", is_flag=True, help="Show the plan; collect nothing.")
@click.option("--only", multiple=True, metavar="NAME", help="Only this collector; may be repeated.")
@click.option("--resume", is_flag=True, help="With --case: go on where an interrupted collection ended.")
@click.option("--skip", multiple=True, metavar="NAME", help="Not this collector; may be repeated.")
@click.option("--budget-bytes", type=click.IntRange(min=0),
              help="Most content of memory, tmpfs and volumes, each; the rest is listed [default: 4 GiB].")  # fmt: skip
@click.option("--budget-time", "budget_seconds", type=click.FloatRange(min=0), metavar="SECONDS",
              help="Begin nothing more after so many seconds; what was left out is named.")  # fmt: skip
@json_option
def command(container: str, case_dir: Path | None, dry_run: bool, as_json: bool, **choices: Any) -> int:  # noqa: ANN401 - click's options
    """Collect, or show the plan; 1 when an artefact failed."""
    if choices["resume"] and case_dir is None:
        raise UsageError("--resume needs the case to go on with", hint="give it with --case")
    from forensics.cli.collect_run import ask, collect_into_case  # noqa: PLC0415 - keeps `ir --help` light
    from forensics.cli.session import open_engine  # noqa: PLC0415 - keeps `ir --help` light
    from forensics.containment.beside import Beside  # noqa: PLC0415 - keeps `ir --help` light

    with open_engine() as engine:
        answers = Beside(partial(ask, engine, container), daemon=True)  # the engine is slow: load the rest meanwhile
        from forensics.cli.default_step import read_default_step  # noqa: PLC0415 - as above
        from forensics.collect import find_obstacle, make_options, plan  # noqa: PLC0415 - as above

        step = read_default_step("collect.all", container)
        given = {name: value for name, value in choices.items() if value is not None}
        options = make_options(**{**step.arguments, **given})
        chosen = plan(options)
        suspect = answers.result()
        if dry_run:
            obstacles = [find_obstacle(collector, suspect.info, suspect.container) for collector in chosen]
            return show_plan(chosen, obstacles, as_json=as_json)
        return collect_into_case(suspect, case_dir, options, step, as_json=as_json)
