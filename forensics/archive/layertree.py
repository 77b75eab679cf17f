"""One layer's tree, as the engine would have unpacked it, built while the layer streams by.

Names are resolved within the layer only: ``..`` and absolute names never leave it, links in the way are followed as
the engine follows them inside its root, and what no engine would unpack is kept aside as *hidden*, not dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from copy import copy
from itertools import chain
from typing import NamedTuple

from forensics.archive.index import IMPLIED, LINK, OPAQUE, WHITEOUT, Row, Table, is_directory, make_key, pack, unpack
from forensics.archive.limits import Anomaly
from forensics.archive.nouns import Layer
from forensics.model import EntryType, FileEntry

_NEVER = 1 << 62
_NEW = tuple.__new__
MAX_IMPLIED = 200_000
_MAX_IMPLIED_BYTES = 64_000_000
"""Folders that one layer may imply; a short archive could otherwise imply a thousand for each of its members."""
_IMPLIED_FOLDER = pack(FileEntry(b"", EntryType.DIRECTORY, 0o755, 0, 0, 0, 0))
"""A folder that a layer only implies, with the owner and mode that engines give it."""


class HiddenFile(NamedTuple):
    """A member that no engine shows: behind the end marker, outside the root, below a file."""

    entry: FileEntry
    reason: str


class _Frame(NamedTuple):
    prefix: bytes
    dead_before: int


class LayerTree:
    """A layer's entries and whiteouts, in the order of their paths."""

    def __init__(self, layer: Layer, table: Table) -> None:
        """Take a filled and frozen table; :func:`forensics.archive.tree.read_layer` makes it."""
        self.layer = layer
        self.digest = layer.digest
        self.diff_id = layer.diff_id
        self.members = 0
        self.implied = self._implied_bytes = 0
        self.hidden: list[HiddenFile] = []
        self.anomalies: tuple[Anomaly, ...] = ()
        self.links: list[tuple[bytes, bytes]] = []
        self.resolved_links: dict[bytes, bytes] = {}
        self._table = table

    def share(self, layer: Layer) -> LayerTree:
        """Return this tree for the same layer of another image, whose history may tell another story."""
        tree = copy(self)
        tree.layer = layer
        tree.resolved_links = {}
        return tree

    @property
    def entries(self) -> Iterator[FileEntry]:
        """The entries of this layer alone; folders that it only implies are left out."""
        return (unpack(row) for row in self.rows() if row.packed and not row.flags & IMPLIED)

    @property
    def whiteouts(self) -> Iterator[bytes]:
        """The paths that this layer deletes."""
        return (row.key.replace(b"\0", b"/") for row in self.rows() if row.flags & WHITEOUT)

    @property
    def opaque(self) -> Iterator[bytes]:
        """The folders whose lower content this layer hides."""
        return (row.key.replace(b"\0", b"/") for row in self.rows() if row.flags & OPAQUE)

    def rows(self, shadowed: Callable[[Row], None] | None = None) -> Iterator[Row]:
        """Yield one row for each path that counts, folders before what they hold, implied folders included.

        *shadowed* is called with each file that a later member of the same layer replaced.
        """
        stack = [_Frame(b"", 0)]
        self.implied = self._implied_bytes = 0
        for key, group in self._table.groups():
            while not key.startswith(stack[-1][0]):
                stack.pop()
            prefix, dead_before = stack[-1]
            row, second = next(group), next(group, None)
            settled: Row | None = row
            _, sequence, flags, _, packed = row
            if second is None and packed and not flags and sequence > dead_before:
                dead_before = dead_before if is_directory(row) else _NEVER
            else:
                both = (row,) if second is None else (row, second)
                settled, dead_before = self._settle(key, chain(both, group), dead_before, shadowed)
            if settled is not None:
                if key.find(0, len(prefix)) >= 0:
                    yield from self._imply(key, stack)
                yield settled
            if key and (settled is None or settled.packed):
                stack.append(_NEW(_Frame, (key + b"\0", dead_before)))

    def _imply(self, key: bytes, stack: list[_Frame]) -> Iterator[Row]:
        """Yield the folders above *key* that the layer does not list."""
        position = len(stack[-1].prefix)
        while (slash := key.find(b"\0", position)) >= 0:
            if self.implied < MAX_IMPLIED:
                self._implied_bytes += slash
                self.implied = self.implied + 1 if self._implied_bytes < _MAX_IMPLIED_BYTES else MAX_IMPLIED
                yield Row(key[:slash], 0, IMPLIED, self.layer.index, _IMPLIED_FOLDER)
            stack.append(_Frame(key[: slash + 1], stack[-1].dead_before))
            position = slash + 1

    def _settle(
        self, key: bytes, group: Iterable[Row], dead_before: int, shadowed: Callable[[Row], None] | None
    ) -> tuple[Row | None, int]:
        """Return what stands at one path in the end, and before which member everything below it was removed."""
        flags = 0
        final: Row | None = None
        for stored in group:
            row = self._follow(stored)
            alive = stored.sequence > dead_before
            if alive:
                flags |= row.flags & (WHITEOUT | OPAQUE)
            if final is not None and row.packed and shadowed is not None and not is_directory(final):
                shadowed(final)
            if row.packed and not alive and shadowed is not None and not is_directory(row):
                shadowed(row)
            if row.packed and alive:
                final = row
                if not is_directory(row):
                    dead_before = stored.sequence
        if final is None:
            if not flags:
                return None, dead_before
            packed = _IMPLIED_FOLDER if flags & OPAQUE else b""
            return Row(key, 0, flags | (IMPLIED if packed else 0), self.layer.index, packed), dead_before
        if flags & WHITEOUT and is_directory(final):
            flags |= OPAQUE
        if not is_directory(final):
            dead_before = _NEVER
        return final._replace(flags=flags & OPAQUE), dead_before

    def _follow(self, row: Row) -> Row:
        """Return a hard link's row with the entry it leads to in a lower layer, or without one."""
        if row.flags & LINK:
            return row._replace(packed=self.resolved_links.get(row.key, b""))
        return row

    def get(self, key: bytes) -> Row | None:
        """Return the row that counts at one key."""
        dead_before = 0
        position = 0
        while (slash := key.find(b"\0", position)) >= 0:
            _, dead_before = self._settle(key[:slash], self._table.get_all(key[:slash]), dead_before, None)
            position = slash + 1
        return self._settle(key, self._table.get_all(key), dead_before, None)[0]


def look_up(trees: list[LayerTree], path: bytes) -> Row | None:
    """Return what stands at *path* when *trees* lie on each other, as overlayfs looks it up."""
    floor = 0
    key = make_key(path)
    for end in [position for position, byte in enumerate(key) if byte == 0]:
        for number, tree in enumerate(trees):
            row = tree.get(key[:end])
            if row is not None and row.flags & OPAQUE:
                floor = max(floor, number)
            elif row is not None and not is_directory(row):
                floor = max(floor, number + 1)
    for tree in reversed(trees[floor:]):
        row = tree.get(key)
        if row is not None:
            return row if row.packed else None
    return None
