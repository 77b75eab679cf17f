"""Makes the case a BagIt 1.0 bag (RFC 8493): the manifests that a seal signs. Digests are those of the acquisition.

A file that changed since it was acquired therefore fails against its manifest; sealing never launders a change.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from forensics import __version__
from forensics.errors import VerificationError
from forensics.evidence import files
from forensics.evidence.checkbytes import TAG_FILES
from forensics.evidence.checklog import check_chain, check_items
from forensics.evidence.door import RESERVE_NAME, Door
from forensics.evidence.findings import Findings
from forensics.evidence.view import CaseView
from forensics.text import show

_RECORDS = ("data/case.json", "data/items.jsonl", "data/ledger.jsonl")
_MAX_SCRIPT = 1 << 20
_BAGIT = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
MANIFEST = "manifest-sha256.txt"
TAG_MANIFEST = "tagmanifest-sha256.txt"


@dataclass(frozen=True, slots=True)
class Bag:
    """The tag files that are still to be written (none for a bag that is closed), and the tag manifest's digest."""

    files: Mapping[str, bytes]
    tag_manifest_sha256: str


def prepare_bag(case: CaseView) -> Bag:
    """Return the bag's tag files; writes nothing, so that a key that does not sign leaves the case open.

    Raises:
        VerificationError: the case's records contradict each other or its files.
    """
    root = case.root
    if (root / TAG_MANIFEST).is_file():
        return Bag({}, files.hash_file(root / TAG_MANIFEST, sha512=False).sha256)
    payload = _list_payload(case)
    made = {
        "bagit.txt": _BAGIT,
        "bag-info.txt": _describe(case, payload).encode(),
        MANIFEST: _lines((digest, name) for name, digest in sorted(payload.items())),
        "verify.sh": files.read_file(root / "verify.sh", _MAX_SCRIPT),
    }
    made[TAG_MANIFEST] = _lines((hashlib.sha256(made[name]).hexdigest(), name) for name in TAG_FILES)
    return Bag(made, hashlib.sha256(made[TAG_MANIFEST]).hexdigest())


def write_bag(door: Door, bag: Bag) -> None:
    """Write the tag files; from here on the data folder is closed."""
    if bag.files and files.exists(RESERVE_NAME, door.root_fd):
        os.unlink(RESERVE_NAME, dir_fd=door.root_fd)
    for name, content in bag.files.items():
        if name != "verify.sh":
            files.replace_file(name, door.root_fd, content)


def _list_payload(case: CaseView) -> dict[str, str]:
    """Return path and digest of everything below ``data/``, from the records; check that nothing is amiss with them."""
    root, found = case.root, Findings()
    log = check_chain(root, case.id, found)
    items = check_items(root, log, sealed=False, found=found)
    payload = {path: digest for digest, path in items.wanted}
    for name in _RECORDS:
        if (root / name).is_file():
            payload[name] = files.hash_file(root / name, sha512=False).sha256
    present = {path.relative_to(root).as_posix() for path in (root / "data").rglob("*") if not path.is_dir()}
    for name in sorted(present ^ payload.keys()):
        found.bad(f"{name} {'is in no record' if name in present else 'is missing'}")
    for problem in found.unfinished:
        found.bad(problem)
    if found.problems:
        raise VerificationError(
            f"the case cannot be sealed, it is not what was recorded: {'; '.join(found.problems)}",
            hint="run 'ir verify' on it; keep it as it is",
        )
    return payload


def _describe(case: CaseView, payload: dict[str, str]) -> str:
    operator = case.document.get("operator") or {}
    size = sum((case.root / name).stat().st_size for name in payload)
    fields = {
        "Source-Organization": operator.get("org"),
        "Contact-Name": operator.get("name"),
        "Contact-Email": operator.get("contact"),
        "External-Identifier": case.id,
        "External-Description": f"Evidence from {case.subject.kind} {case.subject.name}",
        "Bagging-Date": case.document.get("created_at", "")[:10],
        "Bag-Software-Agent": f"ir {__version__}",
        "Payload-Oxum": f"{size}.{len(payload)}",
    }
    return "".join(f"{name}: {show(str(value))}\n" for name, value in fields.items() if value)


def _lines(pairs: Iterable[tuple[str, str]]) -> bytes:
    return "".join(f"{digest}  {name}\n" for digest, name in pairs).encode("ascii")
