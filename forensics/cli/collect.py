"""`ir collect`: evidence of a container into a case, in order of volatility."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forensics.cli.collect_view import show_plan, show_result, tell
from forensics.cli.frame import json_option
from forensics.errors import UsageError

if TYPE_CHECKING:
    from forensics.cli.default_step import DefaultStep
    from forensics.collect import CollectOptions
    from forensics.engine.base import Container
    from forensics.engine.docker import DockerEngine

HELP = """Collect everything a container was into a case, most volatile first. Nothing in it is run or changed.

\b
  ir collect web                        a new case below ./cases
  ir collect web --case cases/CASE      append to the case of 'ir isolate'
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
    from forensics.cli.default_step import read_default_step  # noqa: PLC0415 - keeps `ir --help` light
    from forensics.cli.session import open_engine  # noqa: PLC0415 - keeps `ir --help` light
    from forensics.collect import find_obstacle, make_options, plan  # noqa: PLC0415 - keeps `ir --help` light

    step = read_default_step("collect.all", container)
    given = {name: value for name, value in choices.items() if value is not None}
    options = make_options(**{**step.arguments, **given})
    if options.resume and case_dir is None:
        raise UsageError("--resume needs the case to go on with", hint="give it with --case")
    chosen = plan(options)
    with open_engine() as engine:
        target = engine.find_container(container)
        if dry_run:
            info = engine.info()
            return show_plan(chosen, [find_obstacle(c, info, target) for c in chosen], as_json=as_json)
        return _collect(engine, target, case_dir, options, step, as_json=as_json)


def _collect(  # noqa: PLR0913 - what one collection needs, nothing of it shared with others
    engine: DockerEngine, container: Container, case_dir: Path | None, options: CollectOptions, step: DefaultStep,
    *, as_json: bool,
) -> int:  # fmt: skip
    from forensics.cli.session import default_case_dir, read_actor  # noqa: PLC0415 - keeps `ir --help` light
    from forensics.cli.settings import read_settings  # noqa: PLC0415 - keeps `ir --help` light
    from forensics.collect import collect, open_case_for, to_document  # noqa: PLC0415 - keeps `ir --help` light

    started, settings, info = time.monotonic(), read_settings(), engine.info()
    root = case_dir or default_case_dir(settings, container.name)
    with (
        open_case_for(container, root, info, engine.url, read_actor(settings)) as case,
        tell(as_json=as_json) as progress,
    ):
        step.authorize(case)
        lines = collect(case, engine, container, options, progress, info=info)
    return show_result(to_document(root, container, lines, time.monotonic() - started), lines, as_json=as_json)
