"""`ir verify`: is the case what was recorded? The same plan as the verify.sh that every case carries."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from forensics.cli.frame import emit_json, json_option, say
from forensics.errors import RefusedError
from forensics.text import show

if TYPE_CHECKING:
    from forensics.evidence.verify import Verification

_EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("case", type=click.Path(path_type=Path))
@click.option("--allowed-signers", type=_EXISTING, help="Who may sign (ssh-keygen's format), from outside the case.")
@click.option("--tsa-ca", type=_EXISTING, help="The certificate of the timestamp authority, from outside the case.")
@click.option("--no-record", is_flag=True, help="Do not put this verification into the custody log.")
@json_option
def command(case: Path, allowed_signers: Path | None, tsa_ca: Path | None, no_record: bool, as_json: bool) -> int:
    r"""Check that a case is what was recorded: every byte, the custody chain, seals, signatures, timestamps.

    Without anchors from outside the best answer is "intact, signer unknown". The verification of an intact case goes
    into its custody log, where it can be written; nothing else of the case is touched.

    \b
    Example:
      ir verify cases/20260101T101500Z-web --allowed-signers ~/allowed_signers --tsa-ca ~/tsa.pem
    """
    from forensics.evidence.lock import find_holder  # noqa: PLC0415 - not needed by --help
    from forensics.evidence.verify import check_case  # noqa: PLC0415 - not needed by --help

    result = check_case(case, allowed_signers=allowed_signers, tsa_ca=tsa_ca)
    holder = find_holder(case / "custody.jsonl")
    writing = "" if holder is None else f"process {holder or '(of another namespace)'} is writing to this case now"
    if result.exit_code == 0 and not (no_record or writing or result.unfinished) and os.access(case, os.W_OK):
        _record(case, result)
    if as_json:
        emit_json({**result.to_document(), "busy": writing or None})
    else:
        _say_result(result, writing)
    return result.exit_code


def _record(case: Path, result: Verification) -> None:
    from forensics.cli.session import open_case  # noqa: PLC0415 - not needed by --help

    with suppress(RefusedError), open_case(case) as opened:  # somebody may have begun to write just now
        opened.record("verify", purpose="ir verify", details={"answer": result.headline})


def _say_result(result: Verification, writing: str) -> None:
    say(f"case {show(str(result.root))} ({show(result.case_id)})")
    counts = f"{result.items} items, {result.entries} custody entries, {result.seals} seals"
    say(f"  {counts}")
    for problem in result.problems:
        say(click.style(f"  PROBLEM: {problem}", fg="red"))
    for act in result.unfinished:
        say(f"  unfinished: {act}")
    for note in result.notes:
        say(f"  note: {note}")
    if writing:
        say(f"  note: {writing}")
    if result.sealed and not result.problems and not result.signature.principal:
        say("  note: give --allowed-signers to know who signed, a file from a source that you trust")
    say(click.style(result.headline, fg="red" if result.problems else None, bold=True))
