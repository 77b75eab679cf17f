"""`ir collect`: evidence of a container into a case, in order of volatility."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forensics.cli.collect_view import Told, show_plan, show_result
from forensics.cli.frame import emit_json, json_option

if TYPE_CHECKING:
    from forensics.cli.settings import Settings
    from forensics.collect import CollectOptions
    from forensics.engine.base import Container, EngineInfo
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
@click.option("--memory", is_flag=True, help="Also the memory of every process.")
@click.option("--dry-run", is_flag=True, help="Show the plan; collect nothing.")
@click.option("--only", multiple=True, metavar="NAME", help="Only this collector; may be repeated.")
@click.option("--skip", multiple=True, metavar="NAME", help="Not this collector; may be repeated.")
@click.option(
    "--budget-bytes",
    type=click.IntRange(min=0),
    default=4 << 30,
    show_default=True,
    help="Most content taken from memory, tmpfs and volumes, each; what is over it is listed.",
)
@json_option
def command(container: str, case_dir: Path | None, dry_run: bool, as_json: bool, **choices: Any) -> int:  # noqa: ANN401 - click's options
    """Collect, or show the plan; 1 when an artefact failed."""
    from forensics.cli.session import open_engine  # noqa: PLC0415 - keeps `ir --help` light
    from forensics.cli.settings import read_settings  # noqa: PLC0415 - keeps `ir --help` light
    from forensics.collect import find_obstacle, make_options, plan  # noqa: PLC0415 - keeps `ir --help` light

    options = make_options(**choices)
    chosen = plan(options)
    settings = read_settings()
    with open_engine(settings) as engine:
        target = engine.find_container(container)
        info = engine.info()
        if dry_run:
            return show_plan(chosen, [find_obstacle(step, info, target) for step in chosen], as_json=as_json)
        return _collect(_Job(engine, info, target, settings), case_dir, options, as_json=as_json)


@dataclass(frozen=True)
class _Job:
    engine: DockerEngine
    info: EngineInfo
    container: Container
    settings: Settings


def _collect(job: _Job, case_dir: Path | None, options: CollectOptions, *, as_json: bool) -> int:
    from forensics.cli.session import default_case_dir, read_actor  # noqa: PLC0415 - keeps `ir --help` light
    from forensics.collect import collect, open_case_for, to_document  # noqa: PLC0415 - keeps `ir --help` light

    root = case_dir or default_case_dir(job.settings, job.container.name)
    progress = None if as_json or not sys.stderr.isatty() else Told()
    started = time.monotonic()
    with open_case_for(job.container, root, job.info, job.engine.url, read_actor(job.settings)) as case:
        lines = collect(case, job.engine, job.container, options, progress, info=job.info)
    seconds = time.monotonic() - started
    if as_json:
        emit_json(to_document(root, job.container, lines, seconds))
    return show_result(root, lines, seconds, quiet=as_json)
