"""`ir custody transfer`: hand a sealed case to somebody."""

from __future__ import annotations

from pathlib import Path

import click

from forensics.cli.frame import emit_json, json_option, say
from forensics.text import show


@click.command()
@click.argument("case", type=click.Path(path_type=Path))
@click.option("--to", required=True, help="Who takes it: name, organisation.")
@click.option("--purpose", default="", help="What for.")
@click.option("--key", type=click.Path(path_type=Path), help="SSH key that signs the receipt.")
@json_option
def command(case: Path, to: str, purpose: str, key: Path | None, as_json: bool) -> None:
    r"""Make and sign the receipt of a hand-over; the receiver signs with `ir custody receive`.

    \b
    Example:
      ir custody transfer cases/20260101T101500Z-web --to "Ben Lee, Example Police" --purpose "case 17/2026"
    """
    from forensics.cli.session import find_signer, open_case  # noqa: PLC0415 - not needed by --help
    from forensics.evidence.transfer import hand_over  # noqa: PLC0415 - not needed by --help

    signer = find_signer(key)
    with open_case(case) as opened:
        done = hand_over(opened, signer, to=to, purpose=purpose)
    if as_json:
        document = {"transfer": done.number, "receipt": str(done.statement), "signer": done.signer, "to": to}
        emit_json({"schema": "ir.transfer/1", "case": str(case), **document})
    else:
        say(f"hand-over {done.number} to {show(to)}: {done.statement}, signed by {done.signer}")
