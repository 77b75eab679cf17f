"""`ir analyze`: rebuild findings from evidence alone."""

from __future__ import annotations

import os
from pathlib import Path

import click

from forensics.cli.frame import emit_json, json_option
from forensics.cli.ioc_option import ioc_option
from forensics.errors import UsageError
from forensics.text import show

HELP = """Rebuild findings, changes, timeline and verdict of CASE from its evidence alone; no engine is asked.

Exit code 1: something could not be examined, as the output says.

\b
  ir analyze cases/20260314T032001Z-web
  ir analyze CASE --rules ~/yara --ioc indicators.stix.json --json | jq .verdict
"""


@click.command(help=HELP)
@click.argument("case", type=click.Path(path_type=Path))
@click.option(
    "--rules",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="YARA file or folder; may be repeated.",
)
@click.option("--base", type=click.Path(path_type=Path), help="Saved image to compare the snapshot with.")
@click.option("--no-yara", is_flag=True, help="Leave the YARA scan out (the ledger says so).")
@click.option("--image-key", type=click.Path(exists=True, path_type=Path), help="PEM key to verify the signature with.")
@ioc_option
@json_option
def command(  # noqa: PLR0913 - click hands over every option by name
    case: Path,
    rules: tuple[Path, ...],
    base: Path | None,
    iocs: tuple[Path, ...],
    *,
    no_yara: bool,
    image_key: Path | None,
    as_json: bool,
) -> int:
    """Analyse, store below analysis/, show."""
    from forensics.analyze import analyze  # noqa: PLC0415 - keeps `ir --help` light
    from forensics.cli.analyze_view import describe_analysis, find_failures, say_analysis  # noqa: PLC0415 - as above
    from forensics.cli.session import open_case  # noqa: PLC0415 - as above

    _refuse_file(case)
    with open_case(case) as opened:
        again = [name for name in opened.open_activities() if name.startswith("analysis#")]
        with opened.activity("analyze", "analysis", "findings derived from the evidence", finishes=again):
            analysis = analyze(opened, rules=rules, base=base, yara=not no_yara, image_key=image_key, iocs=iocs)
        if as_json:
            emit_json({"schema": "ir.analysis/1", "case": str(opened.root), **describe_analysis(analysis)})
        else:
            say_analysis(analysis, opened.root / "analysis")
    return int(bool(find_failures(analysis)))


def _refuse_file(path: Path) -> None:
    if path.is_file():
        name = show(os.fsencode(path))
        raise UsageError(f"{name} is a file, not a case", hint=f"'ir examine {name}' examines a saved image")
