"""Step (4) of a verification: the bytes of an open case's items, or of everything below ``data/`` in a sealed one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from forensics.evidence.checklog import Items
from forensics.evidence.files import hash_file, read_file
from forensics.evidence.findings import Findings

_PAYLOAD = re.compile(r"([0-9a-f]{64})  (data/[A-Za-z0-9/._-]*)")
_TAG = re.compile(r"([0-9a-f]{64})  ([a-z0-9.-]*)")
_ITEM_FOLDER = re.compile(r"data/(E[0-9][^/.]*-[^/.]*)[/.]?")
_OPEN_RECORDS = frozenset({"data/case.json", "data/items.jsonl", "data/ledger.jsonl"})
TAG_FILES = ("bag-info.txt", "bagit.txt", "manifest-sha256.txt", "verify.sh")
DERIVED = ("analysis", "report")
"""The folders of what is built from evidence, and can be built again."""
_MAX_MANIFEST = 1 << 27


def check_open_bytes(root: Path, items: Items, found: Findings) -> None:
    """Check every item's bytes; a folder that no item owns is an acquisition without an end."""
    check_files(root, items.wanted, found)
    known = {path for _, path in items.wanted} | _OPEN_RECORDS
    owned = {match[1] for path in known if (match := _ITEM_FOLDER.match(path))}
    for name in _list_data(root):
        if name in known:
            continue
        match = _ITEM_FOLDER.match(name)
        if match and match[1] not in owned:
            found.open(name)
        else:
            found.bad(f"{name} is in no record")


def check_manifests(root: Path, items: Items, found: Findings) -> None:
    """Check everything below ``data/`` and the tag files; every item must stand in the manifest as it was acquired."""
    payload = _read_manifest(root, "manifest-sha256.txt", _PAYLOAD, found)
    tags = _read_manifest(root, "tagmanifest-sha256.txt", _TAG, found)
    listed = {path for _, path in payload}
    for name in _list_data(root):
        if name not in listed:
            found.bad(f"{name} is not in the manifest")
    for pair in sorted(set(items.wanted) - set(payload)):
        found.bad(f"an item differs from the manifest: {pair[1]}")
    if tuple(path for _, path in tags) != TAG_FILES:
        found.bad("tagmanifest-sha256.txt does not list what it must")
    check_files(root, payload, found)
    check_files(root, tags, found)


def check_files(root: Path, wanted: Iterable[tuple[str, str]], found: Findings) -> None:
    """Check the digests of files; a link is never followed."""
    for digest, name in wanted:
        path = root / name
        if not path.is_file() or path.is_symlink():
            found.bad(f"{name}: is missing")
        elif hash_file(path, sha512=False).sha256 != digest:
            found.bad(f"{name}: differs from its digest")


def check_derived(root: Path, recorded: Mapping[str, str], found: Findings) -> None:
    """Check what is there of ``analysis/`` and ``report/`` against the log: rebuildable, so it may be missing.

    What the log does not name (cases of older versions have no digests of the analysis) is remarked only.
    """
    present = [name for folder in DERIVED for name in _list_folder(root, folder)]
    check_files(root, [(recorded[name], name) for name in present if name in recorded], found)
    unknown = sorted(set(present) - set(recorded))
    if unknown:
        found.remark(f"derived, not on record, vouched for by nothing: {', '.join(unknown)}")


def _list_folder(root: Path, folder: str) -> list[str]:
    """Return every file below a folder, at any depth, by its path below the case."""
    if (root / folder).is_symlink():
        return []
    return sorted(path.relative_to(root).as_posix() for path in (root / folder).rglob("*") if path.is_file())


def _read_manifest(root: Path, name: str, form: re.Pattern[str], found: Findings) -> list[tuple[str, str]]:
    lines = read_file(root / name, _MAX_MANIFEST).decode("latin-1").split("\n")
    matches = [form.fullmatch(line) for line in lines[:-1]]
    if lines[-1] or not all(matches) or any("../" in line for line in lines):
        found.bad(f"{name} holds a line that is no digest of ours")
    return [(match[1], match[2]) for match in matches if match]


def _list_data(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in (root / "data").rglob("*") if path.is_file())
