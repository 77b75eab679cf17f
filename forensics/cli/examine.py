"""`ir examine`: the whole analysis for a saved image; no engine needed."""

from __future__ import annotations

import os
from pathlib import Path

import click

from forensics.cli.frame import emit_json, json_option, say
from forensics.cli.ioc_option import ioc_option

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
@click.option("--tag", help="Of several images in the file, the one with this tag or id.")
@click.option("--platform", help="Of several images in the file, the one for this platform, such as linux/arm64.")
@click.option("--image-key", type=click.Path(exists=True, path_type=Path), help="PEM key to verify the signature with.")
@ioc_option
@json_option
def command(  # noqa: PLR0913 - click hands over every option by name
    path: Path,
    base: Path | None,
    case_dir: Path | None,
    rules: tuple[Path, ...],
    iocs: tuple[Path, ...],
    *,
    image_key: Path | None,
    as_json: bool,
    **choice: str | None,
) -> int:
    """Put the image into a case, analyse it, render the report."""
    from forensics.analyze import analyze  # noqa: PLC0415 - keeps `ir --help` light
    from forensics.analyze.scan import check_lists, check_rules  # noqa: PLC0415 - as above
    from forensics.cli.analyze_view import find_failures, say_analysis  # noqa: PLC0415 - as above
    from forensics.cli.examine_case import check_image, open_subject  # noqa: PLC0415 - as above
    from forensics.report.publish import publish  # noqa: PLC0415 - as above
    from forensics.text import show  # noqa: PLC0415 - as above

    check_rules(rules)
    check_lists(iocs)
    check_image(path, choice)
    if base is not None:
        check_image(base, {})
    with open_subject(path, case_dir, choice) as case:
        with case.activity("analyze", "examination", f"examination of {show(os.fsencode(path))}"):
            analysis = analyze(case, rules=rules, base=base, iocs=iocs, image_key=image_key)
        report = publish(case, analysis).path
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
            say(f"report: {show(str(report))}\ncase: {where}\nverify: sh {where}/verify.sh")
    return int(bool(find_failures(analysis)))
