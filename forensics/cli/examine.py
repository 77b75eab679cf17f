"""`ir examine`: the whole analysis for a saved image; no engine needed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from forensics.cli.frame import emit_json, json_option, say

if TYPE_CHECKING:
    from forensics.evidence.case import Case

HELP = """Analyse a saved image, OCI layout, exported tar or directory into a new case, with a report.

Without --base, the first layer is the base and everything above it is judged. Exit code 1: something could not be
examined, and is named.

\b
  ir examine evidence-samples/intruded-web.tar
  docker save web | ir examine - --base official.tar --case cases/web
"""


@click.command(help=HELP)
@click.argument("path", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--base", type=click.Path(path_type=Path), help="Saved image to compare with.")
@click.option("--case", "case_dir", type=click.Path(path_type=Path), help="Folder of the new case.")
@click.option(
    "--rules",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="YARA file or folder; may be repeated.",
)
@json_option
def command(path: Path, base: Path | None, case_dir: Path | None, rules: tuple[Path, ...], as_json: bool) -> int:
    """Put the image into a case, analyse it, render the report."""
    from forensics.analyze import analyze  # noqa: PLC0415 - keeps `ir --help` light
    from forensics.analyze.scan import check_rules  # noqa: PLC0415 - as above
    from forensics.cli.analyze_view import find_failures, say_analysis  # noqa: PLC0415 - as above
    from forensics.cli.examine_case import check_image, open_subject  # noqa: PLC0415 - as above
    from forensics.text import show  # noqa: PLC0415 - as above

    check_rules(rules)
    for image in (path, base):
        if image is not None:
            check_image(image)
    with open_subject(path, case_dir) as case:
        with case.activity("analyze", "examination", f"examination of {show(os.fsencode(path))}"):
            analysis = analyze(case, rules=rules, base=base)
        report = _render(case)
        if as_json:
            emit_json(
                {
                    "schema": "ir.examination/1",
                    "case": str(case.root),
                    "report": str(report),
                    "verdict": analysis.verdict.value,
                    "reasons": list(analysis.reasons),
                    "findings": len(analysis.findings),
                    "failures": find_failures(analysis),
                }
            )
        else:
            say_analysis(analysis, case.root / "analysis")
            where = show(os.fsencode(case.root))
            say(f"report: {show(os.fsencode(report))}\ncase: {where}\nverify: sh {where}/verify.sh")
    return int(bool(find_failures(analysis)))


def _render(case: Case) -> Path:
    from forensics.analyze import read_analysis  # noqa: PLC0415 - as above
    from forensics.report.build import build  # noqa: PLC0415 - as above
    from forensics.report.html import render_html  # noqa: PLC0415 - as above

    return case.write_report("report.html", render_html(build(case, read_analysis(case))).encode("utf-8"))
