"""`ir report`: render a case for people and for other tools, from the case alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forensics.cli.frame import emit_json, json_option, say
from forensics.errors import UsageError
from forensics.report.formats import FORMATS

if TYPE_CHECKING:
    from forensics.evidence.case import Case

_HELP = """Render the evidence report of CASE. No engine is asked; the same case gives the same bytes.

\b
  ir report cases/20260314T032001Z-web
  ir report CASE --format json | jq .verdict
  ir report CASE --format timesketch --output timeline.jsonl

\b
""" + "\n".join(f"  {entry.name:12}{entry.about}" for entry in FORMATS.values())


@click.command(help=_HELP)
@click.argument("case", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(list(FORMATS)), help="[default: as in the playbook]")
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="File, instead of CASE/report/.")
@click.option("--lang", help="Language of the HTML page [default: as in the playbook, else en].")
@click.option("--templates", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Your own templates.")
@json_option
def command(case: Path, form: str | None, output: Path | None, as_json: bool, **choices: Any) -> None:  # noqa: ANN401 - click's options
    """Render, write, and put the digest on record."""
    from forensics.analyze import read_or_analyze  # noqa: PLC0415 - keeps `ir --help` light
    from forensics.cli.default_step import read_default_step  # noqa: PLC0415 - as above
    from forensics.report.publish import publish  # noqa: PLC0415 - as above

    step = read_default_step("report.render", str(case))
    form = form or str(step.arguments.get("format", "html"))
    choices["lang"] = choices["lang"] or str(step.arguments.get("lang", "en"))
    to_stdout = form == "json" and output is None
    with _open(case, output) as opened:
        step.authorize(opened)
        done = publish(opened, read_or_analyze(opened), form, output=output, to_stdout=to_stdout, **choices)
    if to_stdout:
        click.echo(done.content, nl=False)
    elif as_json:
        emit_json({"schema": "ir.rendered/1", "format": form, "path": str(done.path), "sha256": done.sha256})
    else:
        say(str(done.path))


def _open(root: Path, output: Path | None) -> Case:
    """Open the case for writing where that can be; the record of reading a read-only one goes beside *output*."""
    from forensics.cli.session import open_case  # noqa: PLC0415 - keeps `ir --help` light

    beside = None
    if root.is_dir() and not os.access(root, os.W_OK):
        if output is None:
            raise UsageError(f"the case {root} is read-only", hint="say where the report goes with --output")
        beside = output.absolute().parent
    return open_case(root, output=beside)
