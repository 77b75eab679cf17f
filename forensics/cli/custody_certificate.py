"""`ir custody certificate`: draft the certification of electronic records, for a qualified person to sign."""

from __future__ import annotations

from pathlib import Path

import click

from forensics.cli.frame import emit_json, json_option, say


@click.command()
@click.argument("case", type=click.Path(path_type=Path))
@click.option("--lang", type=click.Choice(["en", "ja"]), default="en", show_default=True, help="Language of the draft.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File to write; it must not exist. Else stdout.")
@json_option
def command(case: Path, lang: str, output: Path | None, as_json: bool) -> None:
    r"""Draft a certification under FRE 902(13)/(14) and 28 U.S.C. 1746, filled in from the case. It is not signed.

    \b
    Example:
      ir custody certificate cases/20260101T101500Z-web --lang ja -o certificate.txt
    """
    from forensics.cli.session import read_case  # noqa: PLC0415 - not needed by --help
    from forensics.errors import UsageError  # noqa: PLC0415 - not needed by --help
    from forensics.evidence.certificate import draft_certificate  # noqa: PLC0415 - not needed by --help

    with read_case(case, "draft of a certificate") as opened:
        text = draft_certificate(opened, lang)
    if output:
        try:
            with output.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError as error:
            raise UsageError(f"{output} exists already", hint="give another name") from error
    if as_json:
        emit_json({"schema": "ir.certificate/1", "case": str(case), "language": lang, "text": text})
    else:
        say(f"draft written to {output}; a qualified person must complete and sign it" if output else text)
