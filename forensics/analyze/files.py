"""The file systems of a case as analyzers see them: what is there, what changed, what content was found.

Built once by :mod:`forensics.analyze.load`; never follows a link on this machine, never reads beyond the case.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from forensics.analyze.content import ContentFacts, Kind
from forensics.analyze.packages import Packages
from forensics.analyze.places import in_system
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

_MOST_LINKS = 40


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


class Origin(enum.StrEnum):
    """Which part of the evidence a file was found in."""

    LAYER = "layer"
    RECOVERED = "recovered"
    TMPFS = "tmpfs"
    VOLUME = "volume"
    EXECUTABLE = "executable"
    DELETED = "deleted-file"


class Stage(enum.StrEnum):
    """When a file came: with the base, while the image was built, or after the image was finished."""

    BASE = "base"
    BUILD = "build"
    RUNTIME = "runtime"


class TreeLike(Protocol):
    """The part of :class:`forensics.archive.tree.Tree` that is needed here."""

    def get(self, path: bytes) -> FileEntry | None:
        """Return the entry at *path*, or None."""

    def entries(self) -> Iterator[FileEntry]:
        """Yield every entry, sorted by path."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """One file with its content's facts. Files of tmpfs, volumes and processes count as :attr:`Stage.RUNTIME`."""

    item: str
    origin: Origin
    entry: FileEntry
    facts: ContentFacts | None
    stage: Stage = Stage.BASE
    layer: str | None = None
    before: FileEntry | None = None
    pid: int | None = None
    is_packaged: bool = False
    text: bytes | None = None

    @property
    def is_runtime(self) -> bool:
        """Whether it came after the image was finished, so that its newness alone is suspicious."""
        return self.stage is Stage.RUNTIME

    @property
    def path(self) -> bytes:
        """Where it is in the container, without a leading slash."""
        return self.entry.path

    @property
    def kind(self) -> Kind:
        """What it is by its content."""
        return self.facts.kind if self.facts else Kind.DATA

    @property
    def is_executable(self) -> bool:
        """Whether anybody may execute it."""
        return bool(self.entry.mode & 0o111)

    @property
    def reference(self) -> EvidenceRef:
        """Where to look it up."""
        return EvidenceRef(self.item, layer=self.layer, path=self.path, pid=self.pid)


@dataclass(frozen=True)
class FileView:
    """Everything known about files. ``reason`` says why there is no file system, where there is none.

    ``failures`` says what could not be examined, ``limited`` what a limit of ours kept from being examined.
    """

    item: str = ""
    baseline: Baseline = Baseline.NONE
    final: TreeLike | None = None
    base: TreeLike | None = None
    changes: tuple[Change, ...] = ()
    recovered: tuple[RecoveredFile, ...] = ()
    layers: tuple[LayerSummary, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    texts: Mapping[str, bytes] = field(default_factory=dict)
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    packages: Packages = field(default_factory=Packages)
    history: tuple[str, ...] = ()
    image_config: Mapping[str, Any] = field(default_factory=dict)
    created_at: str = ""
    indicators: tuple[Indicator, ...] = ()
    anomalies: tuple[tuple[str, str, bytes], ...] = ()
    warnings: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    limited: tuple[str, ...] = ()
    scanned: bool = False
    reason: str = "no file system in this case"

    @cached_property
    def candidates(self) -> tuple[Artifact, ...]:
        """The files to judge: what came after the first layer, or everything where there is one; not packages' own."""
        return tuple(
            artifact
            for artifact in self.artifacts
            if (artifact.stage is not Stage.BASE or self.baseline is Baseline.NONE)
            and not artifact.is_packaged
            and artifact.origin in {Origin.LAYER, Origin.TMPFS, Origin.VOLUME, Origin.RECOVERED}
        )

    @cached_property
    def changed(self) -> Mapping[bytes, Change]:
        """The changes by path."""
        return {change.path: change for change in self.changes}

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
        return resolved in self._packaged or self.packages.is_unchanged_base(resolved, self.changed)

    @cached_property
    def _packaged(self) -> frozenset[bytes]:
        return frozenset(artifact.path for artifact in self.artifacts if artifact.is_packaged)

    @cached_property
    def base_program_times(self) -> frozenset[int]:
        """The modification times, with fractions of seconds or odd ones, of the baseline's programs."""
        entries = self.base.entries() if self.base else ()
        return frozenset(entry.mtime_ns for entry in entries if entry.type is EntryType.FILE and in_system(entry.path))

    def artifact_at(self, path: bytes) -> Artifact | None:
        """Return the file of the container's own tree at *path*, or None."""
        return self._by_path.get(path)

    @cached_property
    def _by_path(self) -> dict[bytes, Artifact]:
        return {artifact.path: artifact for artifact in self.artifacts if artifact.origin is Origin.LAYER}

    def reference(self, path: bytes) -> EvidenceRef:
        """Return a reference to *path* in the snapshot."""
        entry = self.final.get(path) if self.final else None
        layer = None
        if entry and 0 <= entry.layer < len(self.layers):
            layer = self.layers[entry.layer].diff_id
        return EvidenceRef(self.item, layer=layer, path=path)
