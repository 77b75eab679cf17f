"""Moves found out of a file are those found in memory."""

from __future__ import annotations

import random

from forensics.analyze.bulk import keep_or_spool
from forensics.archive.compare import decode_change, encode_change, make_change
from forensics.archive.differences import find_moves
from forensics.archive.moves import find_all_moves
from forensics.model import EntryType, FileEntry


def test_the_same_moves_are_found_whether_changes_fit_into_memory_or_not() -> None:
    chance = random.Random(7)  # noqa: S311 - the same every time
    sides: list[dict[bytes, FileEntry]] = [{}, {}]
    for side in sides:
        for _ in range(600):
            number, content = chance.randrange(40), chance.randrange(150)
            path = b"%d/%d" % (chance.randrange(40), number)
            side[path] = FileEntry(path, EntryType.FILE, 0o644, 0, 0, content % 5, 0, sha256=f"{content:064x}")
    paths = sorted({*sides[0], *sides[1]})
    changes = tuple(change for path in paths if (change := make_change(sides[0].get(path), sides[1].get(path))))
    spooled = keep_or_spool(changes, encode_change, decode_change, kept=5)
    expected = [(item.change.kind, item.path, item.aspects, item.moved_from) for item in find_moves(changes)]
    assert sum(moved is not None for *_, moved in expected) > 20
    for _ in range(2):
        found = find_all_moves(spooled)
        assert [(item.change.kind, item.path, item.aspects, item.moved_from) for item in found] == expected
