"""Lays layers on each other as overlayfs does, in one pass over their sorted rows; memory does not grow with them.

At each path the layers' rows are played from the base upwards: a whiteout, an opaque folder or a change of type cuts
off what lies below. The same pass gives the merged tree, each layer's changes, and what was deleted on the way.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import NamedTuple

from forensics.archive.compare import make_change
from forensics.archive.index import IMPLIED, OPAQUE, Row, is_directory, is_file, unpack
from forensics.archive.layertree import LayerTree, look_up
from forensics.model import Change, ChangeKind


class LayerChange(NamedTuple):
    """What one layer did at one path; kept packed, because most are only counted."""

    layer: int
    before: Row | None
    after: Row | None

    @property
    def kind(self) -> ChangeKind:
        """Added, modified or deleted."""
        if self.before is None:
            return ChangeKind.ADDED
        return ChangeKind.DELETED if self.after is None else ChangeKind.MODIFIED

    def unpack(self) -> Change | None:
        """Return the change with its entries."""
        before, after = self.before, self.after
        return make_change(unpack(before) if before else None, unpack(after) if after else None)


class PathHistory(NamedTuple):
    """What happened at one path: the visible row in the end, each layer's change, each deleted file and by whom."""

    final: Row | None
    changes: tuple[LayerChange, ...]
    deleted: tuple[tuple[Row, int], ...]


class _Frame(NamedTuple):
    prefix: bytes
    cuts: frozenset[int]


_NO_CUTS: frozenset[int] = frozenset()
_NEW = tuple.__new__


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
    cut_by: dict[int, frozenset[int]] = {}
    for key, rows in _group(trees, shadowed):
        while not key.startswith(stack[-1][0]):
            stack.pop()
        cuts = stack[-1][1]
        row = rows[0]
        _, _, flags, layer, packed = row
        if len(rows) == 1 and not cuts and not flags & ~IMPLIED and packed:
            yield _NEW(PathHistory, (row, (_NEW(LayerChange, (layer, None, row)),), ()))
            own = _NO_CUTS if is_directory(row) else cut_by.setdefault(layer, frozenset((layer,)))
        else:
            player = _Player(rows, cuts)
            yield player.play()
            own = frozenset(player.cuts)
        if not key:
            stack[0] = _Frame(b"", own)
        elif own or cuts:
            stack.append(_NEW(_Frame, (key + b"\0", cuts | own if cuts else own)))


def _group(trees: list[LayerTree], shadowed: Callable[[Row], None] | None) -> Iterator[tuple[bytes, list[Row]]]:
    """Yield each key with the rows of all layers."""
    key_of = itemgetter(0)
    merged = trees[0].rows(shadowed) if len(trees) == 1 else heapq.merge(*(t.rows(shadowed) for t in trees), key=key_of)
    first = next(merged, None)
    if first is None:
        return
    group = [first]
    for row in merged:
        if row[0] != group[0][0]:
            yield group[0][0], group
            group = [row]
        else:
            group.append(row)
    yield group[0][0], group


class _Player:
    """Plays one path's rows from the base upwards."""

    def __init__(self, rows: list[Row], parent_cuts: frozenset[int]) -> None:
        self._rows: dict[int, list[Row]] = {}
        for row in rows:
            self._rows.setdefault(row.layer, []).append(row)
        self._parent_cuts = parent_cuts
        self._final: Row | None = None
        self.cuts: set[int] = set()

    def play(self) -> PathHistory:
        changes: list[LayerChange] = []
        deleted: list[tuple[Row, int]] = []
        for layer in sorted(self._parent_cuts | self._rows.keys()):
            before = self._final
            self._apply(layer)
            after = self._final
            if before is after:
                continue
            if before is not None and after is not None and before.packed == after.packed:
                self._final = before
                continue
            change = LayerChange(layer, before, after)
            if before is None or after is None or change.unpack() is not None:
                changes.append(change)
            if before is not None and is_file(before) and not (after is not None and is_file(after)):
                deleted.append((before, layer))
        return PathHistory(self._final, tuple(changes), tuple(deleted))

    def _apply(self, layer: int) -> None:
        if layer in self._parent_cuts:
            self._final = None
        for row in self._rows.get(layer, ()):
            folder = is_directory(row)
            if not folder or row.flags & OPAQUE:
                self.cuts.add(layer)
            if row.flags & IMPLIED and self._final is not None and is_directory(self._final):
                continue
            self._final = row if row.packed else None
