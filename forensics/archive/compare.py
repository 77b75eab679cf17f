"""What differs between two entries or two trees. Pure: reads tables, writes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from forensics.archive.index import Row, is_file, make_key, make_row, pack, unpack
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
    for before, after in _iterate_pairs(a, b):
        change = make_change(unpack(before) if before else None, unpack(after) if after else None)
        if change is not None:
            yield change


def encode_change(change: Change) -> tuple[Any, ...]:
    """Return a change as a tuple of bytes and numbers, for :func:`decode_change`."""
    before, after = change.before, change.after
    return (
        make_key(change.path),
        before and (before.layer, pack(before)),
        after and (after.layer, pack(after)),
    )


def decode_change(encoded: tuple[Any, ...]) -> Change:
    """Return the change again; an added or deleted entry is unpacked when somebody looks at it."""
    key, before, after = encoded
    if before is None or after is None:
        return PackedChange.of(key, *(after or before), is_added=before is None)
    old, new = unpack(make_row(key, 0, 0, *before)), unpack(make_row(key, 0, 0, *after))
    return Change(ChangeKind.MODIFIED, new.path, old, new, compare_entries(old, new))


def _iterate_pairs(a: Comparable, b: Comparable) -> Iterator[tuple[Row | None, Row | None]]:
    """Yield the rows that differ, side by side."""
    left, right = a.rows(), b.rows()
    before, after = next(left, None), next(right, None)
    while before is not None or after is not None:
        if before is None or (after is not None and after[0] < before[0]):
            yield None, after
            after = next(right, None)
        elif after is None or before[0] < after[0]:
            yield before, None
            before = next(left, None)
        else:
            if before[4] != after[4]:
                yield before, after
            before, after = next(left, None), next(right, None)


class PackedChange(Change):
    """An added or deleted path whose entry is unpacked when somebody looks at it: most only look at the path."""

    __slots__ = ("_entry", "_is_added", "_row")
    _row: Row
    _is_added: bool
    _entry: FileEntry

    @classmethod
    def of(cls, key: bytes, layer: int, packed: bytes, *, is_added: bool) -> PackedChange:
        """Return the change of one entry that only one side has."""
        change = object.__new__(cls)
        object.__setattr__(change, "_row", make_row(key, 0, 0, layer, packed))
        object.__setattr__(change, "_is_added", is_added)
        return change

    @property
    def kind(self) -> ChangeKind:
        """Added or deleted."""
        return ChangeKind.ADDED if self._is_added else ChangeKind.DELETED

    @property
    def path(self) -> bytes:
        """Where."""
        return self._row[0].replace(b"\0", b"/")

    @property
    def before(self) -> FileEntry | None:
        """The deleted entry."""
        return None if self._is_added else self._unpack()

    @property
    def after(self) -> FileEntry | None:
        """The added entry."""
        return self._unpack() if self._is_added else None

    @property
    def is_added_file(self) -> bool:
        """Whether a regular file was added; asked without unpacking it."""
        return self._is_added and is_file(self._row)

    @property
    def fields(self) -> tuple[str, ...]:
        """Nothing: there is only one side."""
        return ()

    @property
    def layer(self) -> int | None:
        """The layer of the entry."""
        return self._row[3]

    def _unpack(self) -> FileEntry:
        try:
            return self._entry
        except AttributeError:
            entry = unpack(self._row)
            object.__setattr__(self, "_entry", entry)
            return entry
