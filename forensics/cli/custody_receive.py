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
    from forensics.cli.session import read_actor  # noqa: PLC0415 - not needed by --help
    from forensics.cli.settings import read_settings  # noqa: PLC0415 - not needed by --help
    from forensics.evidence.case import Case  # noqa: PLC0415 - not needed by --help
    from forensics.evidence.installation import find_key  # noqa: PLC0415 - not needed by --help
    from forensics.evidence.transfer import acknowledge  # noqa: PLC0415 - not needed by --help

    settings = read_settings()
    signer = find_key(key or (Path(settings.signing_key) if settings.signing_key else None))
    with Case.open(case, actor=read_actor(settings)) as opened:
        done = acknowledge(opened, signer)
    if as_json:
        document = {"transfer": done.number, "receipt": str(done.statement), "signer": done.signer}
        emit_json({"schema": "ir.transfer/1", "case": str(case), **document})
    else:
        say(f"hand-over {done.number} received intact: {done.statement}, signed by {done.signer}")
