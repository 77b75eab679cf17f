"""`ir custody show`: the custody log for a reader."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from forensics.cli.frame import emit_json, json_option, say
from forensics.text import show


@click.command()
@click.argument("case", type=click.Path(path_type=Path))
@json_option
def command(case: Path, as_json: bool) -> None:
    r"""Show who did what to the evidence, when and why. Checks nothing; `ir verify` does.

    \b
    Example:
      ir custody show cases/20260101T101500Z-web
    """
    from forensics.evidence.case import Case  # noqa: PLC0415 - not needed by --help

    with Case.open(case, read_only=True) as opened:
        entries = opened.custody()
    if as_json:
        emit_json({"schema": "ir.custody/1", "case": str(case), "entries": [asdict(entry) for entry in entries]})
        return
    for entry in entries:
        items = f" {', '.join(entry.evidence_ids)}" if entry.evidence_ids else ""
        result = "" if entry.result == "ok" else f" [{entry.result}]"
        say(f"{entry.seq:4} {entry.ts_utc[:19]}Z {show(entry.actor.name)}: {show(entry.action + items + result)}")
        for label, text in (("", entry.purpose), ("counterparty: ", entry.counterparty), ("error: ", entry.error)):
            if text:
                say(f"     {label}{show(text)}")
