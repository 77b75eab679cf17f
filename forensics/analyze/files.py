"""The file systems of a case as analyzers see them: what is there, what changed, what content was found.

Built once by :mod:`forensics.analyze.load`; never follows a link on this machine, never reads beyond the case.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from forensics.analyze.artifact import Artifact, Origin, Stage
from forensics.analyze.artifact_table import ArtifactTable
from forensics.analyze.content import Kind
from forensics.analyze.packages import Packages
from forensics.analyze.places import in_system
from forensics.archive.compare import PackedChange, make_change
from forensics.archive.nouns import Image
from forensics.model import (
    Change,
    ChangeKind,
    EntryType,
    EvidenceRef,
    FileEntry,
    Indicator,
    LayerSummary,
    RecoveredFile,
)

__all__ = ["Artifact", "Baseline", "FileView", "Origin", "Stage", "TreeLike"]

_MOST_LINKS = 40
_FIRST_TIME_NS = 86_400 * 365 * 10**9
"""Times of the epoch's first year are those of reproducible builds, not of any day."""


class Baseline(enum.StrEnum):
    """What the changes were measured against; decides how much mere newness says."""

    IMAGE = "image"
    GIVEN = "given"
    LAYERS = "layers"
    NONE = "none"

    @property
    def is_runtime(self) -> bool:
        """Whether every change happened after the image was finished, so that newness itself is suspicious."""
        return self in {Baseline.IMAGE, Baseline.GIVEN}


class TreeLike(Protocol):
    """The part of :class:`forensics.archive.tree.Tree` that is needed here."""

    def get(self, path: bytes) -> FileEntry | None:
        """Return the entry at *path*, or None."""

    def entries(self) -> Iterator[FileEntry]:
        """Yield every entry, sorted by path."""


@dataclass(frozen=True)
class FileView:
    """Everything known about files. ``reason`` says why there is no file system, where there is none.

    ``failures`` says what could not be examined, ``limited`` what a limit of ours kept from being examined.
    """

    item: str = ""
    baseline: Baseline = Baseline.NONE
    final: TreeLike | None = None
    base: TreeLike | None = None
    changes: Sequence[Change] = ()
    recovered: tuple[RecoveredFile, ...] = ()
    layers: tuple[LayerSummary, ...] = ()
    artifacts: ArtifactTable = field(default_factory=ArtifactTable)
    texts: Mapping[str, bytes] = field(default_factory=dict)
    kind_of: Callable[[str], Kind | None] = lambda _sha256: None
    packages: Packages = field(default_factory=Packages)
    history: tuple[str, ...] = ()
    image_config: Mapping[str, Any] = field(default_factory=dict)
    image: Image | None = None
    image_key: Path | None = None
    created_at: str = ""
    indicators: tuple[Indicator, ...] = ()
    anomalies: tuple[tuple[str, str, bytes], ...] = ()
    warnings: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    limited: tuple[str, ...] = ()
    scanned: bool = False
    other_digests: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    refused_rules: tuple[str, ...] = ()
    reason: str = "no file system in this case"

    @property
    def candidates(self) -> Iterable[Artifact]:
        """The files to judge: what came after the first layer, or everything where there is one; not packages' own.

        Walk it once a question: of a large case each walk reads them anew.
        """
        return self.artifacts.candidates()

    @cached_property
    def changed(self) -> Mapping[bytes, Change]:
        """The changes by path."""
        if isinstance(self.changes, tuple) or self.base is None or self.final is None:
            return {change.path: change for change in self.changes}
        return _ChangesByPath(self.base, self.final, self.changes)

    def text(self, path: bytes) -> bytes | None:
        """Return the retained content at *path* as it was last, or None."""
        return self._text_in(self.final, path)

    def base_text(self, path: bytes) -> bytes | None:
        """Return the retained content at *path* in the baseline, or None."""
        return self._text_in(self.base, path)

    def _text_in(self, tree: TreeLike | None, path: bytes) -> bytes | None:
        entry = tree.get(path) if tree else None
        return self.texts.get(entry.sha256) if entry and entry.sha256 else None

    def resolve(self, path: bytes) -> bytes | None:
        """Return where *path* ends within the container's own tree, all links followed there, or None."""
        if self.final is None:
            return None
        todo = [part for part in path.split(b"/") if part]
        current: list[bytes] = []
        links = 0
        while todo:
            part = todo.pop(0)
            if part in {b".", b".."}:
                current = current[:-1] if part == b".." else current
                continue
            entry = self.final.get(b"/".join([*current, part]))
            if entry is None:
                return None
            if entry.type is EntryType.SYMLINK and entry.link_target:
                links += 1
                if links > _MOST_LINKS:
                    return None
                current = [] if entry.link_target.startswith(b"/") else current
                todo = [piece for piece in entry.link_target.split(b"/") if piece] + todo
                continue
            current.append(part)
        return b"/".join(current)

    def is_newcomer(self, path: bytes) -> bool:
        """Whether the file at *path* was added or changed since the image was finished, and no package brought it."""
        if not self.baseline.is_runtime:
            return False
        resolved = self.resolve(path) or path.lstrip(b"/")
        change = self.changed.get(resolved)
        if change is None or change.kind is ChangeKind.DELETED:
            return False
        fresh = change.kind is ChangeKind.ADDED or "content" in change.fields
        return fresh and not self.is_packaged_path(resolved)

    def is_packaged_path(self, path: bytes) -> bool:
        """Whether a package owns the file at *path* and its content is the package's."""
        resolved = self.resolve(path) or path.lstrip(b"/")
        if any(artifact.is_packaged for artifact in self.artifacts.find(resolved)):
            return True
        return self.packages.is_unchanged_base(resolved, self.changed)

    @cached_property
    def base_program_times(self) -> frozenset[int]:
        """The modification times, with fractions of seconds or odd ones, of the baseline's programs."""
        entries = self.base.entries() if self.base else ()
        return frozenset(entry.mtime_ns for entry in entries if entry.type is EntryType.FILE and in_system(entry.path))

    @cached_property
    def oldest_base_time(self) -> int:
        """The oldest modification time of the baseline's programs that says something; 0 where none does."""
        return min((time for time in self.base_program_times if time > _FIRST_TIME_NS), default=0)

    def artifact_at(self, path: bytes) -> Artifact | None:
        """Return the file of the container's own tree at *path*, or None."""
        found = [artifact for artifact in self.artifacts.find(path) if artifact.origin is Origin.LAYER]
        return found[-1] if found else None

    def reference(self, path: bytes) -> EvidenceRef:
        """Return a reference to *path* in the snapshot."""
        entry = self.final.get(path) if self.final else None
        layer = None
        if entry and 0 <= entry.layer < len(self.layers):
            layer = self.layers[entry.layer].diff_id
        return EvidenceRef(self.item, layer=layer, path=path)


def brings_content(change: Change) -> bool:
    """Whether *change* brought a file with content of its own: then it is an artifact too."""
    if isinstance(change, PackedChange):
        return change.is_added_file
    if change.kind is ChangeKind.DELETED or change.after is None or change.after.type is not EntryType.FILE:
        return False
    return change.kind is ChangeKind.ADDED or bool({"content", "type"}.intersection(change.fields))


class _ChangesByPath(Mapping[bytes, Change]):
    """Finds one change of many by looking at both trees, and holds none."""

    def __init__(self, base: TreeLike, final: TreeLike, changes: Sequence[Change]) -> None:
        self._base = base
        self._final = final
        self._changes = changes

    def __getitem__(self, path: bytes) -> Change:
        change = make_change(self._base.get(path), self._final.get(path))
        if change is None:
            raise KeyError(path)
        return change

    def __iter__(self) -> Iterator[bytes]:
        return (change.path for change in self._changes)

    def __len__(self) -> int:
        return len(self._changes)
