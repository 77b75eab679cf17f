"""Hands a sealed case from one person to another: a receipt that the giver signs, and one that the receiver signs.

Both stand in ``transfers/NNNN`` and, by digest, in the custody log; each side's signature is an SSHSIG like a seal's.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

from forensics.errors import RefusedError, UsageError
from forensics.evidence import files, ssh
from forensics.evidence.case import Case
from forensics.evidence.custody import format_utc
from forensics.evidence.installation import SigningKey
from forensics.evidence.verify import check_case
from forensics.text import show

RECEIPT, RECEIVED = "receipt.txt", "received.txt"
_NUMBER = re.compile(r"[0-9]{4}")
_MAX_RECEIPT = 1 << 16


@dataclass(frozen=True, slots=True)
class Transfer:
    """One hand-over: its number, and the statement that was signed."""

    number: int
    statement: Path
    signer: str


def hand_over(case: Case, key: SigningKey, *, to: str, purpose: str = "") -> Transfer:
    """Make and sign the receipt of a hand-over to *to*; the case must be sealed and intact.

    Raises:
        RefusedError: it is not sealed.
        VerificationError: it is not what was recorded.
    """
    seal = _check_sealed(case)
    number = len(_list_transfers(case)) + 1
    count, head = case.head
    statement = {
        "ir-transfer": "1",
        "case": case.id,
        "transfer": f"{number:04d}",
        "seal": seal.parent.name,
        "seal-sha256": files.hash_file(seal).sha256,
        "custody-entries": str(count),
        "custody-head": head,
        "from": _person(case),
        "to": show(to),
        "purpose": show(purpose),
        "signer": key.fingerprint,
        "time": format_utc(time.time_ns()),
    }
    digests = _write_signed(case, number, RECEIPT, statement, key)
    case.record("transfer_out", purpose=purpose or "hand-over", counterparty=to, details=digests)
    return Transfer(number, case.root / "transfers" / f"{number:04d}" / RECEIPT, key.fingerprint)


def acknowledge(case: Case, key: SigningKey) -> Transfer:
    """Verify the case as it arrived, and sign for it; the last hand-over that nobody signed for is meant.

    Raises:
        UsageError: no hand-over is open.
        VerificationError: what arrived is not what was recorded.
    """
    seal = _check_sealed(case)
    pending = [folder for folder in _list_transfers(case) if not (folder / RECEIVED).exists()]
    if not pending:
        raise UsageError("no hand-over of this case is open", hint="the giver begins with 'ir custody transfer --to'")
    folder = pending[-1]
    receipt = folder / RECEIPT
    if not ssh.read_signing_key(receipt, folder / f"{RECEIPT}.sig"):
        raise RefusedError(
            f"the receipt {files.shown(receipt)} has no valid signature", hint="do not sign for it; ask the giver"
        )
    statement = {
        "ir-receipt": "1",
        "case": case.id,
        "transfer": folder.name,
        "receipt-sha256": files.hash_file(receipt).sha256,
        "seal-sha256": files.hash_file(seal).sha256,
        "state": "received intact: every byte, the custody chain and the seals were checked",
        "received-by": _person(case),
        "signer": key.fingerprint,
        "time": format_utc(time.time_ns()),
    }
    digests = _write_signed(case, int(folder.name), RECEIVED, statement, key)
    giver = _read_field(receipt, "from")
    case.record("transfer_in", purpose="hand-over received", counterparty=giver, details=digests)
    return Transfer(int(folder.name), folder / RECEIVED, key.fingerprint)


def _check_sealed(case: Case) -> Path:
    result = check_case(case.root)
    result.raise_problems()
    if not result.sealed:
        raise RefusedError("only a sealed case is handed over", hint="run 'ir seal' first")
    return case.root / "seals" / f"{result.seals:04d}" / "seal.txt"


def _list_transfers(case: Case) -> list[Path]:
    folder = case.root / "transfers"
    return sorted(path for path in folder.iterdir() if _NUMBER.fullmatch(path.name)) if folder.is_dir() else []


def _write_signed(case: Case, number: int, name: str, statement: dict[str, str], key: SigningKey) -> dict[str, str]:
    text = "".join(f"{field}: {value}\n" for field, value in statement.items()).encode()
    signature = ssh.sign(text, key.path)
    parent = files.ensure_directory("transfers", case.door.root_fd)
    folder = files.ensure_directory(f"{number:04d}", parent)
    try:
        parts = {name: text, f"{name}.sig": signature}
        return {
            f"transfers/{number:04d}/{part}": files.write_file(part, folder, (content,)).sha256
            for part, content in parts.items()
        }
    finally:
        os.close(folder)
        os.close(parent)


def _person(case: Case) -> str:
    return show(", ".join(part for part in (case.actor.name, case.actor.title, case.actor.org) if part))


def _read_field(path: Path, name: str) -> str:
    lines = files.read_file(path, _MAX_RECEIPT).decode("utf-8", "backslashreplace").split("\n")
    return next((line.removeprefix(f"{name}: ") for line in lines if line.startswith(f"{name}: ")), "")
