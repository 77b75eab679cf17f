"""`ir collect`: evidence of a container into a case, in order of volatility."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forensics.cli.collect_view import Told, show_plan, show_result
from forensics.cli.frame import emit_json, json_option

if TYPE_CHECKING:
    from forensics.collect import CollectOptions

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
    from forensics.collect import make_options, plan  # noqa: PLC0415 - keeps `ir --help` light

    options = make_options(**choices)
    chosen = plan(options)
    return show_plan(chosen, as_json=as_json) if dry_run else _collect(container, case_dir, options, as_json)


def _collect(ref: str, case_dir: Path | None, options: CollectOptions, as_json: bool) -> int:
    from forensics.cli import session  # noqa: PLC0415 - keeps `ir --help` light
    from forensics.cli.settings import read_settings  # noqa: PLC0415 - keeps `ir --help` light
    from forensics.collect import collect, open_case_for, to_document  # noqa: PLC0415 - keeps `ir --help` light

    settings = read_settings()
    with session.open_engine(settings) as engine:
        container = engine.find_container(ref)
        root = case_dir or session.default_case_dir(settings, container.name)
        progress = None if as_json or not sys.stderr.isatty() else Told()
        with open_case_for(container, root, engine.info(), engine.url, session.read_actor(settings)) as case:
            started = time.monotonic()
            lines = collect(case, engine, container, options, progress)
    seconds = time.monotonic() - started
    if as_json:
        emit_json(to_document(root, container, lines, seconds))
    return show_result(root, lines, seconds, quiet=as_json)
