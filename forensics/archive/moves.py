"""Renamed and moved files among more changes than memory holds: the answer of :func:`find_moves`, out of SQLite."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from forensics.archive.compare import decode_change, encode_change
from forensics.archive.differences import Difference, describe_move, find_moves, is_movable
from forensics.archive.index import open_temporary
from forensics.model import Change, ChangeKind

_SCHEMA = """
CREATE TABLE gone (number INTEGER PRIMARY KEY, digest BLOB, path BLOB, layer INT, packed BLOB, target BLOB);
CREATE INDEX waiting ON gone (digest, number) WHERE target IS NULL;
CREATE INDEX by_path ON gone (path); CREATE INDEX by_target ON gone (target) WHERE target IS NOT NULL"""
_CANDIDATES = 50


def find_all_moves(changes: Sequence[Change]) -> Iterable[Difference]:
    """Return the differences, which may be walked again and again."""
    return find_moves(changes) if isinstance(changes, tuple) else _Moves(changes)


class _Moves:
    """Holds the deleted files in a temporary database, each with where it went."""

    def __init__(self, changes: Sequence[Change]) -> None:
        self._changes = changes
        self._database = open_temporary()
        self._database.executescript(_SCHEMA)
        self._database.execute("BEGIN")
        self._database.executemany("INSERT INTO gone VALUES (NULL, ?, ?, ?, ?, NULL)", self._read_deleted())
        self._any = self._database.execute("SELECT 1 FROM gone LIMIT 1").fetchone() is not None
        if self._any:
            for change in changes:
                self._match(change)
        self._database.execute("COMMIT")

    def _read_deleted(self) -> Iterator[tuple[bytes, bytes, int, bytes]]:
        for change in self._changes:
            before = change.before if change.kind is ChangeKind.DELETED else None
            if before is not None and is_movable(before):
                yield bytes.fromhex(before.sha256 or ""), change.path, *encode_change(change)[1]

    def _match(self, change: Change) -> None:
        after = change.after if change.kind is ChangeKind.ADDED else None
        if after is None or not is_movable(after):
            return
        query = "SELECT number, path FROM gone WHERE digest = ? AND target IS NULL ORDER BY number LIMIT ?"
        candidates = self._database.execute(query, (bytes.fromhex(after.sha256 or ""), _CANDIDATES)).fetchall()
        if candidates:
            name = change.path.rpartition(b"/")[2]
            number = next((n for n, path in candidates if path.rpartition(b"/")[2] == name), candidates[0][0])
            self._database.execute("UPDATE gone SET target = ? WHERE number = ?", (change.path, number))

    def __iter__(self) -> Iterator[Difference]:
        for change in self._changes:
            if not self._any or change.kind is ChangeKind.MODIFIED:
                yield Difference(change)
            elif change.kind is ChangeKind.DELETED:
                query = "SELECT 1 FROM gone WHERE path = ? AND target IS NOT NULL"
                if self._database.execute(query, (change.path,)).fetchone() is None:
                    yield Difference(change)
            else:
                yield self._describe(change)

    def _describe(self, change: Change) -> Difference:
        query = "SELECT path, layer, packed FROM gone WHERE target = ?"
        row = self._database.execute(query, (change.path,)).fetchone()
        if row is None or change.after is None:
            return Difference(change)
        before = decode_change((row[0].replace(b"/", b"\0"), row[1:], None)).before
        if before is None:
            return Difference(change)
        return Difference(describe_move(change, before, change.after), before)
