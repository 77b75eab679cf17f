"""`ir custody receive`: verify a case that arrived, and sign for it."""

from __future__ import annotations

from pathlib import Path

import click

from forensics.cli.frame import emit_json, json_option, say


@click.command()
@click.argument("case", type=click.Path(path_type=Path))
@click.option("--key", type=click.Path(path_type=Path), help="SSH key that signs for it.")
@json_option
def command(case: Path, key: Path | None, as_json: bool) -> None:
    r"""Verify the case as it arrived and sign the receipt; give the signed receipt back to the giver.

    \b
    Example:
      ir custody receive evidence/20260101T101500Z-web --key ~/.ssh/id_ed25519
    """
    from forensics.cli.session import find_signer, open_case  # noqa: PLC0415 - not needed by --help
    from forensics.evidence.transfer import acknowledge  # noqa: PLC0415 - not needed by --help

    signer = find_signer(key)
    with open_case(case) as opened:
        done = acknowledge(opened, signer)
    if as_json:
        document = {"transfer": done.number, "receipt": str(done.statement), "signer": done.signer}
        emit_json({"schema": "ir.transfer/1", "case": str(case), **document})
    else:
        say(f"hand-over {done.number} received intact: {done.statement}, signed by {done.signer}")
