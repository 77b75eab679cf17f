"""All artifacts of a case: in memory while they are few, in a private temporary SQLite file when they are many.

What is walked out of the file is decoded only as far as somebody asks: most analyzers look at a path and go on.
The file is anonymous: it is gone when the process is.
"""

from __future__ import annotations

import marshal
import pickle
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from forensics.analyze.artifact import Artifact, Origin, Stage
from forensics.analyze.bulk import KEPT
from forensics.analyze.content import ContentFacts, Kind
from forensics.archive.index import Row, make_key, open_temporary, pack, unpack
from forensics.model import FileEntry

_ORIGINS, _STAGES, _KINDS = tuple(Origin), tuple(Stage), tuple(Kind)
_BATCH = 5_000
_SCHEMA = """CREATE TABLE artifacts (
    number INTEGER PRIMARY KEY, item TEXT, path BLOB, origin INT, stage INT, kind INT, packaged INT, configured INT,
    telling INT, rest BLOB)"""
_INSERT = "INSERT INTO artifacts VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_SELECT = "SELECT item, path, origin, stage, kind, packaged, rest FROM artifacts"
_SET = object.__setattr__


class ArtifactTable:
    """Artifacts in the order in which they were added. Add them all first, walk it then."""

    def __init__(
        self, is_configured: Callable[[bytes], bool] = bool, texts: Mapping[str, bytes] | None = None, kept: int = KEPT
    ) -> None:
        """Start empty. *is_configured* tells paths whose text is judged; *texts* holds retained contents by SHA-256."""
        self._is_configured = is_configured
        self._texts: Mapping[str, bytes] = {} if texts is None else texts
        self._full = kept
        self._artifacts: list[Artifact] = []
        self._by_path: dict[bytes, list[Artifact]] = {}
        self._database: sqlite3.Connection | None = None
        self._stored = 0
        self._packed: tuple[ContentFacts | None, bytes | None] = (None, None)

    def add(self, artifact: Artifact) -> None:
        """Add one."""
        self._artifacts.append(artifact)
        if len(self._artifacts) >= self._full:
            self._full = _BATCH
            self._flush()

    def extend(self, artifacts: Iterable[Artifact]) -> None:
        """Add several."""
        for artifact in artifacts:
            self.add(artifact)

    def __len__(self) -> int:
        return self._stored + len(self._artifacts)

    def __iter__(self) -> Iterator[Artifact]:
        return self._select("ORDER BY number") if self._database else iter(self._artifacts)

    def configured(self) -> Iterator[Artifact]:
        """Yield those at paths whose text is judged."""
        if self._database:
            return self._select("WHERE configured ORDER BY number")
        return (artifact for artifact in self._artifacts if self._is_configured(artifact.path))

    def telling(self) -> Iterator[Artifact]:
        """Yield those whose content matched a rule, could not be examined, or holds behaviours or indicators."""
        if self._database:
            return self._select("WHERE telling ORDER BY number")
        return (artifact for artifact in self._artifacts if _is_telling(artifact.facts))

    def find(self, path: bytes) -> Iterator[Artifact]:
        """Yield those at *path*."""
        if self._database:
            self._flush()
            self._database.execute("CREATE INDEX IF NOT EXISTS by_path ON artifacts (path)")
            return self._select("WHERE path = ? ORDER BY number", path)
        if not self._by_path:
            for artifact in self._artifacts:
                self._by_path.setdefault(artifact.path, []).append(artifact)
        return iter(self._by_path.get(path, ()))

    def _flush(self) -> None:
        if self._database is None:
            self._database = open_temporary()
            self._database.execute(_SCHEMA)
        self._database.execute("BEGIN")
        self._database.executemany(_INSERT, map(self._encode, self._artifacts))
        self._database.execute("COMMIT")
        self._stored += len(self._artifacts)
        self._artifacts.clear()

    def _encode(self, artifact: Artifact) -> tuple[Any, ...]:
        facts, entry, before = artifact.facts, artifact.entry, artifact.before
        if facts is not self._packed[0]:
            self._packed = (facts, pickle.dumps(facts, pickle.HIGHEST_PROTOCOL) if facts else None)
        rest = marshal.dumps(
            (entry.layer, pack(entry), _pack_before(before), artifact.layer,
             artifact.pid, self._packed[1])
        )  # fmt: skip
        return (
            artifact.item, artifact.path, _ORIGINS.index(artifact.origin), _STAGES.index(artifact.stage),
            _KINDS.index(artifact.kind), artifact.is_packaged, self._is_configured(artifact.path),
            _is_telling(facts), rest,
        )  # fmt: skip

    def _select(self, condition: str, *values: object) -> Iterator[Artifact]:
        if self._artifacts:
            self._flush()
        if self._database is None:
            return
        texts, new = self._texts, object.__new__
        for row in self._database.execute(f"{_SELECT} {condition}", values):
            artifact = new(_Stored)
            _SET(artifact, "row", row)
            _SET(artifact, "texts", texts)
            yield artifact


def _pack_before(before: FileEntry | None) -> tuple[bytes, int, bytes] | None:
    return (before.path, before.layer, pack(before)) if before else None


def _is_telling(facts: ContentFacts | None) -> bool:
    return facts is not None and bool(facts.matches or facts.failure or facts.extra)


@lru_cache(maxsize=256)
def _load_facts(packed: bytes) -> ContentFacts:
    facts: ContentFacts = pickle.loads(packed)  # noqa: S301 - written by this process into a file without a name
    return facts


class _Stored(Artifact):
    """An artifact that is decoded when it is asked."""

    __slots__ = ("decoded", "row", "texts")
    row: tuple[str, bytes, int, int, int, int, bytes]
    texts: Mapping[str, bytes]
    decoded: tuple[Any, ...]

    @property
    def _rest(self) -> tuple[Any, ...]:
        try:
            return self.decoded
        except AttributeError:
            rest: tuple[Any, ...] = marshal.loads(self.row[6])  # noqa: S302 - as above
            _SET(self, "decoded", rest)
            return rest

    @property
    def path(self) -> bytes:
        return self.row[1]

    @property
    def kind(self) -> Kind:
        return _KINDS[self.row[4]]

    @property
    def item(self) -> str:
        return self.row[0]

    @property
    def origin(self) -> Origin:
        return _ORIGINS[self.row[2]]

    @property
    def stage(self) -> Stage:
        return _STAGES[self.row[3]]

    @property
    def is_runtime(self) -> bool:
        return _STAGES[self.row[3]] is Stage.RUNTIME

    @property
    def is_packaged(self) -> bool:
        return bool(self.row[5])

    @property
    def entry(self) -> FileEntry:
        rest = self._rest
        return unpack(Row(make_key(self.row[1]), 0, 0, rest[0], rest[1]))

    @property
    def before(self) -> FileEntry | None:
        before = self._rest[2]
        return unpack(Row(make_key(before[0]), 0, 0, before[1], before[2])) if before else None

    @property
    def layer(self) -> str | None:
        layer: str | None = self._rest[3]
        return layer

    @property
    def pid(self) -> int | None:
        pid: int | None = self._rest[4]
        return pid

    @property
    def facts(self) -> ContentFacts | None:
        packed = self._rest[5]
        return _load_facts(packed) if packed else None

    @property
    def text(self) -> bytes | None:
        return self.texts.get(self.entry.sha256 or "")
