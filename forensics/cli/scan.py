"""`ir scan`: YARA over an image or a case."""

from __future__ import annotations

from pathlib import Path

import click

from forensics.cli.frame import emit_json, json_option
from forensics.cli.ioc_option import ioc_option

HELP = """Scan a saved image, a directory, a file or a case with YARA. Identical content is scanned once.

Exit code 1: something could not be scanned, and is named; without that, no match means that nothing matched.

\b
  ir scan image.tar
  ir scan cases/CASE --rules ~/yara --ioc bad-hashes.csv --json
"""


@click.command(help=HELP)
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--rules",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="YARA file or folder; may be repeated.",
)
@ioc_option
@click.option("--only-mine", is_flag=True, help="Leave the rules that ship with ir out.")
@json_option
def command(path: Path, rules: tuple[Path, ...], iocs: tuple[Path, ...], only_mine: bool, as_json: bool) -> int:
    """Scan and show; 1 when the scan is not complete."""
    from forensics.analyze.scan import scan_case, scan_path  # noqa: PLC0415 - keeps `ir --help` light
    from forensics.cli.analyze_view import describe_scan, say_scan  # noqa: PLC0415 - as above
    from forensics.cli.session import read_case  # noqa: PLC0415 - as above
    from forensics.errors import RuleError  # noqa: PLC0415 - as above

    if only_mine and not rules:
        raise RuleError("--only-mine needs rules", hint="name a file or folder with --rules")
    if (path / "data" / "case.json").is_file():
        with read_case(path, "ir scan") as case:
            scan = scan_case(case, rules, own=not only_mine, iocs=iocs)
    else:
        scan = scan_path(path, rules, own=not only_mine, iocs=iocs)
    if as_json:
        emit_json(describe_scan(scan, path))
    else:
        say_scan(scan)
    return int(bool(scan.failures))
