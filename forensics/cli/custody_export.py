"""`ir custody export`: pack a sealed case into one file."""

from __future__ import annotations

from pathlib import Path

import click

from forensics.cli.frame import emit_json, json_option, say


@click.command()
@click.argument("case", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="FILE.tar.zst, or FILE.tar.zst.age"
)
@click.option(
    "--recipient", "recipients", multiple=True, help="age1… or SSH public key to encrypt to; may be repeated."
)
@json_option
def command(case: Path, output: Path, recipients: tuple[str, ...], as_json: bool) -> None:
    r"""Pack a sealed, intact case into one file: the same case gives the same bytes, unless it is encrypted.

    \b
    Example:
      ir custody export cases/20260101T101500Z-web -o web.tar.zst.age --recipient age1ql3z7hjy54pw3hyww...
    """
    from forensics.cli.session import open_case  # noqa: PLC0415 - not needed by --help
    from forensics.evidence.export import export_case  # noqa: PLC0415 - not needed by --help

    with open_case(case) as opened:
        digest = export_case(case, output, recipients)
        details = {"file": output.name, "encrypted_to": list(recipients)}
        opened.record("copy", purpose="packed into one file", hash_after=f"sha256:{digest}", details=details)
    if as_json:
        emit_json({"schema": "ir.export/1", "case": str(case), "file": str(output), "sha256": digest})
    else:
        say(f"{output}  sha256:{digest}")
