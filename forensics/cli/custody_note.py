"""`ir custody note`: a note in the log."""

from __future__ import annotations

from pathlib import Path

import click

from forensics.cli.frame import emit_json, json_option, say


@click.command()
@click.argument("case", type=click.Path(path_type=Path))
@click.argument("text")
@click.option("--item", "items", multiple=True, help="The evidence it is about, E0001; may be repeated.")
@json_option
def command(case: Path, text: str, items: tuple[str, ...], as_json: bool) -> None:
    r"""Add a note to the custody log; also to that of a sealed case.

    \b
    Example:
      ir custody note cases/20260101T101500Z-web "disk 2 moved to safe 4" --item E0009
    """
    from forensics.cli.session import open_case  # noqa: PLC0415 - not needed by --help
    from forensics.errors import UsageError  # noqa: PLC0415 - not needed by --help

    with open_case(case) as opened:
        known = {item.id for item in opened.items()}
        for item in items:
            if item not in known:
                raise UsageError(f"the case has no item {item}", hint="see 'ir custody show'")
        entry = opened.record("note", purpose=text, evidence_ids=items)
    if as_json:
        emit_json({"schema": "ir.custody/1", "case": str(case), "entry": entry.seq, "sha256": entry.sha256})
    else:
        say(f"noted as entry {entry.seq}")
