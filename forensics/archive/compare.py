"""What differs between two entries or two trees. Pure: reads tables, writes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from forensics.archive.index import Row, unpack
from forensics.model import Change, ChangeKind, EntryType, FileEntry


class Comparable(Protocol):
    """A tree whose rows come in the order of their keys."""

    def rows(self) -> Iterator[Row]:
        """Yield one row for each path."""
        ...


def compare_entries(before: FileEntry, after: FileEntry) -> tuple[str, ...]:
    """Return the names of what differs: type, content, target, device, mode, owner, xattrs, mtime.

    A folder's own mtime says no more than its changed children do, and is left out.
    """
    fields = []
    if before.type is not after.type:
        fields.append("type")
    elif before.type is EntryType.FILE and not _same_content(before, after):
        fields.append("content")
    if before.link_target != after.link_target:
        fields.append("target")
    if before.device != after.device:
        fields.append("device")
    if before.mode != after.mode and not before.type is after.type is EntryType.SYMLINK:
        fields.append("mode")
    if (before.uid, before.gid) != (after.uid, after.gid):
        fields.append("owner")
    if before.xattrs != after.xattrs:
        fields.append("xattrs")
    if before.mtime_ns != after.mtime_ns and not before.type is after.type is EntryType.DIRECTORY:
        fields.append("mtime")
    return tuple(fields)


def _same_content(before: FileEntry, after: FileEntry) -> bool:
    return before.size_bytes == after.size_bytes and before.sha256 is not None and before.sha256 == after.sha256


def make_change(before: FileEntry | None, after: FileEntry | None) -> Change | None:
    """Return the change from *before* to *after*, None where nothing differs."""
    if before is None or after is None:
        entry = after or before
        if entry is None:
            return None
        return Change(ChangeKind.ADDED if after else ChangeKind.DELETED, entry.path, before, after)
    fields = compare_entries(before, after)
    return Change(ChangeKind.MODIFIED, after.path, before, after, fields) if fields else None


def iterate_changes(a: Comparable, b: Comparable) -> Iterator[Change]:
    """Yield the changes from *a* to *b* in the order of paths; equal rows are never unpacked."""
    left, right = a.rows(), b.rows()
    before, after = next(left, None), next(right, None)
    while before is not None or after is not None:
        if after is None or (before is not None and before.key < after.key):
            change = make_change(unpack(before), None) if before else None
            before = next(left, None)
        elif before is None or after.key < before.key:
            change = make_change(None, unpack(after))
            after = next(right, None)
        else:
            change = None if before.packed == after.packed else make_change(unpack(before), unpack(after))
            before, after = next(left, None), next(right, None)
        if change is not None:
            yield change
