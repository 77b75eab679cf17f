"""Seals a case: manifests, a statement of what they and the custody log are, its SSH signature, a timestamp of that.

A seal is never changed; sealing again makes the next one, which names the one before. The data folder is closed by the
first. Files of a seal stand in the custody log, which goes on after it.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from dataclasses import dataclass

from forensics import __version__
from forensics.errors import RefusedError, VerificationError
from forensics.evidence import files, ssh, timestamp
from forensics.evidence.bag import prepare_bag, write_bag
from forensics.evidence.case import Case
from forensics.evidence.checklog import check_activities, check_chain
from forensics.evidence.custody import format_utc
from forensics.evidence.findings import Findings
from forensics.evidence.installation import SigningKey

SEAL, SIGNATURE = "seal.txt", "seal.txt.sig"
QUERY, REPLY = "seal.txt.sig.tsq", "seal.txt.sig.tsr"
_NUMBER = re.compile(r"[0-9]{4}")


@dataclass(frozen=True, slots=True)
class SealResult:
    """A seal that was made. ``timestamp`` says what became of it; ``problem`` why one that was asked for is pending."""

    number: int
    digest: str
    signer: str
    origin: str
    complete: bool
    timestamp: str
    problem: str = ""


def seal_case(case: Case, key: SigningKey, *, tsa: str = "", pending: bool = False) -> SealResult:
    """Close the data folder and make the next seal; with *tsa* its timestamp is fetched, with *pending* only prepared.

    Raises:
        VerificationError: the case is not what was recorded; it is left as it is.
        RefusedError: the case is open for reading only.
        StorageError: the key does not sign.
    """
    if not case.writable or case.diverted:
        raise RefusedError("the case is open for reading only; it cannot be sealed")
    drop_interrupted(case)
    bag = prepare_bag(case)
    found = Findings()
    log = check_chain(case.root, case.id, found)
    check_activities(log, found)
    if found.problems:
        raise VerificationError(f"the case cannot be sealed: {'; '.join(found.problems)}")
    number, previous = _find_last(case)
    statement = {
        "ir-seal": "1",
        "case": case.id,
        "seal": f"{number:04d}",
        "previous-seal": previous,
        "custody-entries": str(len(log.lines)),
        "custody-head": log.heads[-1],
        "tagmanifest-sha256": bag.tag_manifest_sha256,
        "state": "incomplete" if found.unfinished else "complete",
        "signer": key.fingerprint,
        "signer-key": f"{key.type}, {key.origin}",
        "time": format_utc(time.time_ns()),
        "timestamp": "requested" if tsa or pending else "none",
        "tool": f"ir {__version__}",
    }
    text = "".join(f"{name}: {value}\n" for name, value in statement.items()).encode("ascii")
    signature = ssh.sign(text, key.path)
    write_bag(case.door, bag)
    stamp, problem = _write_seal(case, number, text, signature, tsa, pending)
    digest = files.hash_file(case.root / _folder(number) / SEAL).sha256
    return SealResult(number, digest, key.fingerprint, key.origin, not found.unfinished, stamp, problem)


def complete_timestamps(case: Case, tsa: str) -> tuple[int, ...]:
    """Fetch the timestamps that are pending; return the numbers of their seals.

    Raises:
        TimestampError: the authority gave none.
    """
    done = []
    for folder in sorted((case.root / "seals").iterdir()):
        if not (folder / QUERY).is_file() or (folder / REPLY).exists():
            continue
        reply = timestamp.fetch_reply(files.read_file(folder / QUERY, 1 << 20), tsa)
        descriptor = files.open_directory(folder)
        try:
            written = files.write_file(REPLY, descriptor, (reply,))
        finally:
            os.close(descriptor)
        case.record("seal", purpose="timestamp fetched", details={f"seals/{folder.name}/{REPLY}": written.sha256})
        done.append(int(folder.name))
    return tuple(done)


def drop_interrupted(case: Case) -> None:
    """Remove a seal that a crash left half made, which no custody entry knows; that goes on record."""
    folder = case.root / "seals"
    recorded = {name for entry in case.custody() if entry.action == "seal" for name in entry.details or ()}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if f"seals/{path.name}/{SEAL}" not in recorded and _NUMBER.fullmatch(path.name) and not path.is_symlink():
            shutil.rmtree(path)
            case.record(
                "error", result="failed", error=f"sealing was interrupted; its remains (seals/{path.name}) removed"
            )


def _write_seal(  # noqa: PLR0913, PLR0917 - the inner step of seal_case with its state
    case: Case, number: int, text: bytes, signature: bytes, tsa: str, pending: bool
) -> tuple[str, str]:
    if not files.exists("seals", case.door.root_fd):
        os.close(files.make_directory("seals", case.door.root_fd))
    parent = files.open_directory("seals", parent=case.door.root_fd)
    folder = files.make_directory(f"{number:04d}", parent)
    try:
        parts = {SEAL: text, SIGNATURE: signature}
        digests = {name: files.write_file(name, folder, (content,)).sha256 for name, content in parts.items()}
        query, reply, problem = _stamp(case, number, tsa, pending)
        for name, content in ((QUERY, query), (REPLY, reply)):
            if content:
                digests[name] = files.write_file(name, folder, (content,)).sha256
        os.fsync(parent)
    finally:
        os.close(folder)
        os.close(parent)
    details = {"seal": number, **{f"{_folder(number)}/{name}": digest for name, digest in digests.items()}}
    case.record("seal", purpose="case sealed", hash_after=f"sha256:{digests[SEAL]}", details=details)
    return ("fetched" if reply else "pending" if query else "none"), problem


def _stamp(case: Case, number: int, tsa: str, pending: bool) -> tuple[bytes, bytes, str]:
    """Return request, reply and problem; what was not asked for, or did not come, is empty."""
    if not tsa and not pending:
        return b"", b"", ""
    query = timestamp.make_query(case.root / _folder(number) / SIGNATURE)
    if pending:
        return query, b"", ""
    try:
        return query, timestamp.fetch_reply(query, tsa), ""
    except timestamp.TimestampError as error:
        return query, b"", f"{error.message}; {error.hint}"


def _find_last(case: Case) -> tuple[int, str]:
    folder = case.root / "seals"
    seals = sorted(path for path in folder.iterdir()) if folder.is_dir() else []
    return len(seals) + 1, files.hash_file(seals[-1] / SEAL).sha256 if seals else "none"


def _folder(number: int) -> str:
    return f"seals/{number:04d}"
