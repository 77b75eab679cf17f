"""Puts on record what an earlier crash left in a case: torn lines, unrecorded items, interrupted acquisitions.

Nothing is thrown away: a part of evidence becomes an item whose outcome is *failed*, a torn line goes into the entry
that reports it.
"""

from __future__ import annotations

import base64
import hashlib
import os
from dataclasses import replace
from pathlib import Path

from forensics.evidence import files
from forensics.evidence.acquire import INCOMPLETE, draft_item, finish_item
from forensics.evidence.custody import LOG_NAME, Act, format_utc, parse_line, read_raw_lines
from forensics.evidence.door import Door, make_reserve
from forensics.evidence.items import ITEMS_NAME, LEDGER_NAME, parse_folder, parse_item
from forensics.evidence.listing import hash_folder, write_listing
from forensics.model import EvidenceItem, Outcome

_INTERRUPTED = "interrupted: the acquisition did not finish"


def recover(door: Door) -> None:
    """Bring the records of a case up to what is on its disk; does nothing to a case that was left whole."""
    _mend_tail(door, door.root / LOG_NAME, door.root_fd)
    if files.exists("manifest-sha256.txt", door.root_fd):
        return  # sealed: nothing below data is ever touched again
    _mend_tail(door, door.root / "data" / ITEMS_NAME, door.data_fd)
    _mend_tail(door, door.root / "data" / LEDGER_NAME, door.data_fd)
    items = _attest_items(door)
    known = {item.id for item in items}
    for name in sorted(files.list_names(door.data_fd)):
        parsed = parse_folder(name)
        if parsed and parsed[0] not in known:
            _keep_folder(door, name, *parsed)
    make_reserve(door.root_fd)


def _mend_tail(door: Door, log: Path, parent: int) -> None:
    """Move an unfinished last line out of a log, into a custody entry."""
    if not files.exists(log.name, parent):
        return
    with files.open_file(log) as file:
        content = file.read()
    torn = content[content.rfind(b"\n") + 1 :]
    if not torn:
        return
    descriptor = os.open(log.name, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        os.ftruncate(descriptor, len(content) - len(torn))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    details = {"file": log.name, "torn_line_base64": base64.b64encode(torn).decode("ascii")}
    door.append(
        Act("error", result="failed", error=f"the last line of {log.name} was torn by a crash", details=details)
    )


def _attest_items(door: Door) -> list[EvidenceItem]:
    """Give every item line its custody entry; a crash between the two leaves at most the last without."""
    path = door.root / "data" / ITEMS_NAME
    lines = read_raw_lines(path) if path.is_file() else []
    entries = [parse_line(raw) for raw in read_raw_lines(door.root / LOG_NAME)]
    attested = {str(entry.details["item_line"]) for entry in entries if entry.details and "item_line" in entry.details}
    items = [parse_item(raw) for raw in lines]
    for raw, item in list(zip(lines, items, strict=True))[-1:]:
        if hashlib.sha256(raw).hexdigest() not in attested:
            door.attest(item, raw[:-1], "recorded after a crash")
    return items


def _keep_folder(door: Door, name: str, item_id: str, kind: str) -> None:
    """Make a failed item of the folder of an interrupted acquisition; remove it when nothing had come yet."""
    folder = door.root / "data" / name
    left = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    if not left:
        _drop_empty(door, name, item_id)
        return
    started = format_utc(min(path.stat().st_mtime_ns for path in left))
    draft = replace(
        draft_item(kind, "not recorded before the crash", "found after a crash", None),
        id=item_id,
        started_at=started,
    )
    if len(left) == 1 and left[0].parent == folder:
        path = _mark_incomplete(left[0])
        draft, written = replace(draft, path=f"data/{name}/{path.name}"), files.hash_file(path)
    else:
        draft, written = replace(draft, path=f"data/{name}"), write_listing(door, name, hash_folder(folder))
    door.commit(finish_item(draft, written, Outcome.FAILED, _INTERRUPTED))


def _mark_incomplete(path: Path) -> Path:
    marked = path.with_name(path.name.removesuffix(files.PARTIAL) + INCOMPLETE)
    path.rename(marked)
    return marked


def _drop_empty(door: Door, name: str, item_id: str) -> None:
    for path, _, _ in os.walk(door.root / "data" / name, topdown=False):
        Path(path).rmdir()
    door.append(Act("error", (item_id,), result="failed", error=f"{_INTERRUPTED}; nothing had come ({name})"))
