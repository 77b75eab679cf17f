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
    from forensics.cli.session import read_actor  # noqa: PLC0415 - not needed by --help
    from forensics.cli.settings import read_settings  # noqa: PLC0415 - not needed by --help
    from forensics.evidence.case import Case  # noqa: PLC0415 - not needed by --help
    from forensics.evidence.installation import find_key  # noqa: PLC0415 - not needed by --help
    from forensics.evidence.transfer import hand_over  # noqa: PLC0415 - not needed by --help

    settings = read_settings()
    signer = find_key(key or (Path(settings.signing_key) if settings.signing_key else None))
    with Case.open(case, actor=read_actor(settings)) as opened:
        done = hand_over(opened, signer, to=to, purpose=purpose)
    if as_json:
        document = {"transfer": done.number, "receipt": str(done.statement), "signer": done.signer, "to": to}
        emit_json({"schema": "ir.transfer/1", "case": str(case), **document})
    else:
        say(f"hand-over {done.number} to {show(to)}: {done.statement}, signed by {done.signer}")
