"""Checks a case against its own records and against anchors from outside. Writes nothing, trusts nothing it reads.

The plan, the same as that of ``verify.sh``, step by step:

(1) Shape: nothing but files of ours; no links, no devices, nothing to be fetched from elsewhere.
(2) Custody: every line carries its number, the digest of the raw line before it, and the case's id.
(3) Items: each line of ``items.jsonl`` stands in the custody log, in order.
(4) Bytes: of every item (open case), or of everything below ``data/`` as the manifest lists it (sealed case); and of
    the analysis and the reports that are there, as they were last recorded.
(5) Seals: each names this case, the seal before it, the custody head and the manifests; signed by its signer.
(6) Timestamps: over the signature, whole, and by the authority given from outside.

A case without a seal fails where anchors are given: its seals may have been taken away.

What is left to the caller: to bring the anchors (``allowed_signers``, the authority's certificate) from a source that
the case's holder does not control. Without them the answer is *intact, signer unknown*, never *verified*.
"""

from __future__ import annotations

import re
from pathlib import Path

from forensics.errors import CaseError, VerificationError
from forensics.evidence.checkbytes import check_derived, check_manifests, check_open_bytes
from forensics.evidence.checklog import check_activities, check_chain, check_clock, check_items, read_derived
from forensics.evidence.checkseals import check_mentions, check_seals
from forensics.evidence.files import read_file, shown
from forensics.evidence.findings import Findings, Signature, Verification
from forensics.evidence.view import require_folder

__all__ = ["Verification", "check_case", "verify_case"]

_FOLDERS = {"data", "seals", "transfers", "analysis", "report"}
_FILES = {
    *(".reserve", "custody.jsonl", "verify.sh"),
    *("bagit.txt", "bag-info.txt", "manifest-sha256.txt", "tagmanifest-sha256.txt"),
}
_BAG = ("bagit.txt", "bag-info.txt", "manifest-sha256.txt", "tagmanifest-sha256.txt", "seals/0001/seal.txt")
_RECORDS = ("custody.jsonl", "data/case.json", "data/items.jsonl", "data/ledger.jsonl")
_CASE_ID = re.compile(rb'^ "id": "(IR-[0-9A-Za-z-]*)",?$', re.MULTILINE)
_NO_RECORD_BYTE = re.compile(rb"[^\n -~]")
_MAX_RECORD = 1 << 27
_KEEP = "keep the case as it is, and compare it with another copy"


def verify_case(root: Path, *, allowed_signers: Path | None = None, tsa_ca: Path | None = None) -> None:
    """Return nothing for a case that is what was recorded.

    Raises:
        VerificationError: it is not; the message names every problem.
    """
    check_case(root, allowed_signers=allowed_signers, tsa_ca=tsa_ca).raise_problems()


def check_case(root: Path, *, allowed_signers: Path | None = None, tsa_ca: Path | None = None) -> Verification:
    """Go through the plan and return everything that was found.

    Raises:
        NotACaseError: there is no case at *root*.
        VerificationError: it is so damaged that it cannot be read as a case at all.
    """
    require_folder(root)
    if not (root / "custody.jsonl").is_file() or not (root / "data/case.json").is_file():
        raise VerificationError(f"{shown(root)} is no whole case: data/case.json or custody.jsonl is missing")
    try:
        return _follow_plan(root, allowed_signers, tsa_ca)
    except CaseError as error:
        raise VerificationError(f"{shown(root)} cannot be read as a case: {error.message}", hint=_KEEP) from error


def _follow_plan(root: Path, allowed_signers: Path | None, tsa_ca: Path | None) -> Verification:
    found = Findings()
    _check_shape(root, found)  # (1)
    sealed = _is_sealed(root)
    if sealed and (root / ".reserve").exists():
        found.bad(".reserve does not belong to a sealed case")
    case_id = _read_id(root)
    log = check_chain(root, case_id, found)  # (2)
    items = check_items(root, log, sealed=sealed, found=found)  # (3)
    check_clock(log, found)
    check_activities(log, found)
    check_derived(root, read_derived(log), found)  # (4)
    signature, seals, complete = Signature(), 0, True
    if not sealed:
        check_open_bytes(root, items, found)  # (4)
        if allowed_signers or tsa_ca:
            found.bad("there is no seal: nothing that the given anchors could vouch for")
    elif _has_bag(root, found):
        check_manifests(root, items, found)  # (4)
        signature, seals, complete = check_seals(root, case_id, log, found, allowed_signers, tsa_ca)  # (5) (6)
        check_mentions(root, log, found)
    return Verification(
        root=root,
        case_id=case_id,
        sealed=sealed,
        seals=seals,
        entries=len(log.lines),
        items=len(items.lines),
        problems=tuple(found.problems),
        unfinished=tuple(found.unfinished),
        notes=tuple(found.notes),
        signature=signature,
        complete=complete,
    )


def _check_shape(root: Path, found: Findings) -> None:
    for path in sorted(root.iterdir()):
        if path.name not in _FOLDERS | _FILES:
            found.bad(f"{path.name} does not belong to a case")
        elif path.name in _FOLDERS and path.is_file():
            found.bad(f"{path.name} is no folder")
        elif path.name in _FILES and path.is_dir():
            found.bad(f"{path.name} is no file")
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            found.bad(f"{path.name} is a link or no file")
        elif path.is_dir():
            for inner in sorted(path.rglob("*")):
                if inner.is_symlink() or not (inner.is_file() or inner.is_dir()):
                    found.bad(f"{inner.relative_to(root)} is a link or no file")
    for name in _RECORDS:
        path = root / name
        if path.is_file() and not path.is_symlink() and _NO_RECORD_BYTE.search(read_file(path, _MAX_RECORD)):
            found.bad(f"{name} holds bytes that no record has")


def _is_sealed(root: Path) -> bool:
    if (root / "seals").exists() or (root / "manifest-sha256.txt").exists():
        return True
    return b'"action":"seal"' in (root / "custody.jsonl").read_bytes()


def _read_id(root: Path) -> str:
    match = _CASE_ID.search(read_file(root / "data/case.json", _MAX_RECORD))
    return match[1].decode("ascii") if match else ""


def _has_bag(root: Path, found: Findings) -> bool:
    missing = [name for name in _BAG if not (root / name).is_file()]
    for name in missing:
        found.bad(f"{name} is missing: sealing was interrupted, or the seal was taken away")
    return not missing
