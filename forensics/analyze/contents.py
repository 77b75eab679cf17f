"""What is known of every content seen, by SHA-256: in memory while they are few, in a temporary SQLite file beyond."""

from __future__ import annotations

import pickle
import sqlite3
from dataclasses import dataclass

from forensics.analyze.bulk import KEPT
from forensics.analyze.content import ContentFacts, Kind
from forensics.archive.index import open_temporary

_KINDS = tuple(Kind)
_BATCH = 30_000
_SCHEMA = "CREATE TABLE contents (sha256 BLOB PRIMARY KEY, kind INT, read INT, scanned INT, facts BLOB) WITHOUT ROWID"


@dataclass(slots=True)
class Known:
    """One content: its kind, whether all of it was read and whether it was scanned, and the facts if there are any."""

    kind: Kind
    is_read: bool = False
    is_scanned: bool = False
    facts: ContentFacts | None = None


class ContentTable:
    """Finds what is known of a content; what :meth:`find` or :meth:`add` returns may be changed at once, not later."""

    def __init__(self, kept: int = KEPT) -> None:
        """Keep at most *kept* contents in memory."""
        self._full = kept
        self._recent: dict[str, Known] = {}
        self._database: sqlite3.Connection | None = None

    def find(self, sha256: str) -> Known | None:
        """Return what is known of a content, None if it was not seen."""
        known = self._recent.get(sha256)
        if known is None and self._database is not None and sha256:
            query = "SELECT kind, read, scanned, facts FROM contents WHERE sha256 = ?"
            row = self._database.execute(query, (bytes.fromhex(sha256),)).fetchone()
            if row is not None:
                facts = pickle.loads(row[3]) if row[3] else None  # noqa: S301 - written by this process into a file without a name
                known = self.add(sha256, Known(_KINDS[row[0]], bool(row[1]), bool(row[2]), facts))
        return known

    def add(self, sha256: str, known: Known) -> Known:
        """Remember a content, and return what was given."""
        if len(self._recent) >= self._full:
            self._full = _BATCH
            self._flush()
        self._recent[sha256] = known
        return known

    def facts_of(self, sha256: str | None) -> ContentFacts | None:
        """Return the facts of a content, None if there are none."""
        known = self.find(sha256) if sha256 else None
        return known.facts if known else None

    def kind_of(self, sha256: str | None) -> Kind | None:
        """Return the kind of a content, None if it was not seen."""
        known = self.find(sha256) if sha256 else None
        return known.kind if known else None

    def _flush(self) -> None:
        if self._database is None:
            self._database = open_temporary()
            self._database.execute(_SCHEMA)
        rows = sorted(
            (
                bytes.fromhex(sha256),
                _KINDS.index(known.kind),
                known.is_read,
                known.is_scanned,
                pickle.dumps(known.facts, pickle.HIGHEST_PROTOCOL) if known.facts else None,
            )
            for sha256, known in self._recent.items()
        )
        self._database.execute("BEGIN")
        self._database.executemany("INSERT OR REPLACE INTO contents VALUES (?, ?, ?, ?, ?)", rows)
        self._database.execute("COMMIT")
        self._recent.clear()
