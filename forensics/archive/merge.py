"""Lays layers on each other as overlayfs does, in one pass over their sorted rows; memory does not grow with them.

At each path the layers' rows are played from the base upwards: a whiteout, an opaque folder or a change of type cuts
off what lies below. The same pass gives the merged tree, each layer's changes, and what was deleted on the way.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from forensics.archive.compare import make_change
from forensics.archive.index import IMPLIED, OPAQUE, Row, is_directory, unpack
from forensics.archive.layertree import LayerTree, look_up
from forensics.model import Change, EntryType, FileEntry


class PathHistory(NamedTuple):
    """What happened at one path: the visible row in the end, each layer's change, each deleted file."""

    final: Row | None
    changes: tuple[tuple[int, Change], ...]
    deleted: tuple[tuple[FileEntry, int], ...]


class _Frame(NamedTuple):
    prefix: bytes
    cuts: frozenset[int]


_NO_CUTS: frozenset[int] = frozenset()


def resolve_links(trees: list[LayerTree], dangling: Callable[[int, bytes], None]) -> None:
    """Find, for each hard link to a lower layer, what it leads to; *dangling* hears of those that lead nowhere."""
    for number, tree in enumerate(trees):
        for key, target in tree.links:
            row = look_up(trees[:number], target)
            if row is not None and row.packed and not is_directory(row):
                tree.resolved_links[key] = row.packed
            else:
                dangling(tree.layer.index, key.replace(b"\0", b"/"))


def replay(trees: list[LayerTree], shadowed: Callable[[Row], None] | None = None) -> Iterator[PathHistory]:
    """Yield the history of each path, in order."""
    stack = [_Frame(b"", _NO_CUTS)]
    merged = heapq.merge(*(tree.rows(shadowed) for tree in trees), key=itemgetter(0))
    for key, group in groupby(merged, key=itemgetter(0)):
        while not key.startswith(stack[-1].prefix):
            stack.pop()
        rows = list(group)
        cuts = stack[-1].cuts
        if len(rows) == 1 and not cuts and not rows[0].flags:
            row = rows[0]
            change = make_change(None, unpack(row))
            yield PathHistory(row, ((row.layer, change),) if change else (), ())
            own = _NO_CUTS if is_directory(row) else frozenset((row.layer,))
        else:
            player = _Player(rows, cuts)
            yield player.play()
            own = frozenset(player.cuts)
        if not key:
            stack[0] = _Frame(b"", own)
        elif own or cuts:
            stack.append(_Frame(key + b"\0", cuts | own))


class _Player:
    """Plays one path's rows from the base upwards."""

    def __init__(self, rows: list[Row], parent_cuts: frozenset[int]) -> None:
        self._rows: dict[int, list[Row]] = {}
        for row in rows:
            self._rows.setdefault(row.layer, []).append(row)
        self._parent_cuts = parent_cuts
        self._final: Row | None = None
        self._entry: FileEntry | None = None
        self.cuts: set[int] = set()

    def play(self) -> PathHistory:
        changes, deleted = [], []
        for layer in sorted(self._parent_cuts | self._rows.keys()):
            before, final = self._entry, self._final
            self._apply(layer)
            if self._final is final:
                continue
            change = make_change(before, self._entry)
            if change is not None:
                changes.append((layer, change))
            elif (
                before is not None
                and self._final is not None
                and final is not None
                and final.packed == self._final.packed
            ):
                self._final, self._entry = final, before
            if before is not None and before.type is EntryType.FILE and not self._is_file():
                deleted.append((before, layer))
        return PathHistory(self._final, tuple(changes), tuple(deleted))

    def _is_file(self) -> bool:
        return self._entry is not None and self._entry.type is EntryType.FILE

    def _apply(self, layer: int) -> None:
        if layer in self._parent_cuts:
            self._set(None)
        for row in self._rows.get(layer, ()):
            if not row.packed:
                self.cuts.add(layer)
                self._set(None)
                continue
            folder = is_directory(row)
            if not folder or row.flags & OPAQUE:
                self.cuts.add(layer)
            if row.flags & IMPLIED and self._final is not None and is_directory(self._final):
                continue
            self._set(row)

    def _set(self, row: Row | None) -> None:
        self._final = row
        self._entry = None if row is None else unpack(row)
