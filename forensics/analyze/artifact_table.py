"""All artifacts of a case: in memory while they are few, in a temporary file without a name when they are many.

What is walked out of the file is decoded only as far as somebody asks: most analyzers look at a path and go on.
"""

from __future__ import annotations

import pickle
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from forensics.analyze.artifact import Artifact, Origin, Stage
from forensics.analyze.bulk import KEPT, Spool
from forensics.analyze.content import ContentFacts, Kind
from forensics.archive.index import make_key, make_row, open_temporary, pack, unpack
from forensics.model import FileEntry

_ORIGINS, _STAGES, _KINDS = tuple(Origin), tuple(Stage), tuple(Kind)
_JUDGED = frozenset({Origin.LAYER, Origin.TMPFS, Origin.VOLUME, Origin.RECOVERED, Origin.LEFTOVER})
_SET = object.__setattr__
_PATH, _ORIGIN, _STAGE, _KIND, _MARKS, _ITEM, _ENTRY, _BEFORE, _LAYER, _PID, _FACTS = range(11)
_PACKAGED, _CONFIGURED, _TELLING, _CANDIDATE = 1, 2, 4, 8


class ArtifactTable:
    """Artifacts in the order in which they were added. Add them all first, walk it then."""

    def __init__(
        self, is_configured: Callable[[bytes], bool] = bool, texts: Mapping[str, bytes] | None = None, kept: int = KEPT
    ) -> None:
        """Start empty. *is_configured* tells paths whose text is judged; *texts* holds retained contents by SHA-256."""
        self._is_configured = is_configured
        self._texts: Mapping[str, bytes] = {} if texts is None else texts
        self._kept = kept
        self._artifacts: list[Artifact] = []
        self._by_path: dict[bytes, list[Artifact]] = {}
        self._spool: Spool | None = None
        self._index: sqlite3.Connection | None = None
        self._facts: tuple[ContentFacts | None, bytes | None] = (None, None)
        self.judge_base = False
        """Whether files of the base are candidates too."""

    def add(self, artifact: Artifact) -> None:
        """Add one."""
        if self._spool is not None:
            self._spool.append(self._encode(artifact))
            return
        self._artifacts.append(artifact)
        if len(self._artifacts) > self._kept:
            self._spool = Spool()
            for kept in self._artifacts:
                self._spool.append(self._encode(kept))
            self._artifacts = []

    def extend(self, artifacts: Iterable[Artifact]) -> None:
        """Add several."""
        for artifact in artifacts:
            self.add(artifact)

    def __len__(self) -> int:
        return len(self._artifacts) if self._spool is None else len(self._spool)

    def __iter__(self) -> Iterator[Artifact]:
        return iter(self._artifacts) if self._spool is None else self._select(0)

    def candidates(self) -> Iterator[Artifact]:
        """Yield the files to judge: see :attr:`forensics.analyze.files.FileView.candidates`."""
        return self._filter(_CANDIDATE)

    def configured(self) -> Iterator[Artifact]:
        """Yield the candidates at paths whose text is judged."""
        return self._filter(_CANDIDATE | _CONFIGURED)

    def telling(self) -> Iterator[Artifact]:
        """Yield those whose content matched a rule, could not be examined, or holds behaviours or indicators."""
        return self._filter(_TELLING)

    def telling_candidates(self) -> Iterator[Artifact]:
        """Yield the candidates among them."""
        return self._filter(_TELLING | _CANDIDATE)

    def find(self, path: bytes) -> Iterator[Artifact]:
        """Yield those at *path*."""
        if self._spool is not None:
            return self._find(path, self._spool)
        if not self._by_path:
            for artifact in self._artifacts:
                self._by_path.setdefault(artifact.path, []).append(artifact)
        return iter(self._by_path.get(path, ()))

    def _find(self, path: bytes, spool: Spool) -> Iterator[Artifact]:
        if self._index is None:
            self._index = open_temporary()
            self._index.execute("CREATE TABLE places (path BLOB, batch INT)")
            self._index.execute("BEGIN")
            rows = ((row[_PATH], spool.batch_of(number)) for number, row in enumerate(spool))
            self._index.executemany("INSERT INTO places VALUES (?, ?)", rows)
            self._index.execute("COMMIT")
            self._index.execute("CREATE INDEX by_path ON places (path)")
        query = "SELECT DISTINCT batch FROM places WHERE path = ? ORDER BY batch"
        for (batch,) in self._index.execute(query, (path,)).fetchall():
            rows = (row for row in spool.read_batch(batch) if row[_PATH] == path)
            yield from self._decode(rows)

    def _filter(self, marks: int) -> Iterator[Artifact]:
        if self._spool is not None:
            return self._select(marks)
        return (artifact for artifact in self._artifacts if self._mark(artifact) & marks == marks)

    def _mark(self, artifact: Artifact) -> int:
        judged = artifact.stage is not Stage.BASE or self.judge_base
        return (
            (artifact.is_packaged and _PACKAGED)
            | (_CONFIGURED if self._is_configured(artifact.path) else 0)
            | (_TELLING if _is_telling(artifact.facts) else 0)
            | (_CANDIDATE if judged and not artifact.is_packaged and artifact.origin in _JUDGED else 0)
        )

    def _encode(self, artifact: Artifact) -> tuple[Any, ...]:
        facts = artifact.facts
        if facts is not self._facts[0]:
            self._facts = (facts, pickle.dumps(facts, pickle.HIGHEST_PROTOCOL) if facts else None)
        return (
            artifact.path, _ORIGINS.index(artifact.origin), _STAGES.index(artifact.stage),
            _KINDS.index(artifact.kind), self._mark(artifact), artifact.item,
            (artifact.entry.layer, pack(artifact.entry)), _pack_before(artifact.before), artifact.layer, artifact.pid,
            self._facts[1],
        )  # fmt: skip

    def _select(self, marks: int) -> Iterator[Artifact]:
        return self._decode(row for row in self._spool or () if row[_MARKS] & marks == marks)

    def _decode(self, rows: Iterable[tuple[Any, ...]]) -> Iterator[Artifact]:
        texts, new = self._texts, object.__new__
        for row in rows:
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

    __slots__ = ("row", "texts", "unpacked")
    row: tuple[Any, ...]
    texts: Mapping[str, bytes]
    unpacked: FileEntry

    @property
    def path(self) -> bytes:
        path: bytes = self.row[_PATH]
        return path

    @property
    def kind(self) -> Kind:
        kind: int = self.row[_KIND]
        return _KINDS[kind]

    @property
    def item(self) -> str:
        return str(self.row[_ITEM])

    @property
    def origin(self) -> Origin:
        origin: int = self.row[_ORIGIN]
        return _ORIGINS[origin]

    @property
    def stage(self) -> Stage:
        stage: int = self.row[_STAGE]
        return _STAGES[stage]

    @property
    def is_runtime(self) -> bool:
        return self.stage is Stage.RUNTIME

    @property
    def is_packaged(self) -> bool:
        return bool(self.row[_MARKS] & _PACKAGED)

    @property
    def entry(self) -> FileEntry:
        try:
            return self.unpacked
        except AttributeError:
            layer, packed = self.row[_ENTRY]
            entry = unpack(make_row(make_key(self.row[_PATH]), 0, 0, layer, packed))
            _SET(self, "unpacked", entry)
            return entry

    @property
    def before(self) -> FileEntry | None:
        before = self.row[_BEFORE]
        return unpack(make_row(make_key(before[0]), 0, 0, before[1], before[2])) if before else None

    @property
    def layer(self) -> str | None:
        layer: str | None = self.row[_LAYER]
        return layer

    @property
    def pid(self) -> int | None:
        pid: int | None = self.row[_PID]
        return pid

    @property
    def facts(self) -> ContentFacts | None:
        packed = self.row[_FACTS]
        return _load_facts(packed) if packed else None

    @property
    def text(self) -> bytes | None:
        return self.texts.get(self.entry.sha256 or "")
