"""One file as analyzers see it: where it was found, when it came, what its content is. A frozen value."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from forensics.analyze.content import ContentFacts, Kind
from forensics.model import EvidenceRef, FileEntry


class Origin(enum.StrEnum):
    """Which part of the evidence a file was found in."""

    LAYER = "layer"
    RECOVERED = "recovered"
    TMPFS = "tmpfs"
    VOLUME = "volume"
    EXECUTABLE = "executable"
    DELETED = "deleted-file"
    MEMORY = "memory"
    LEFTOVER = "unused part of the archive"


class Stage(enum.StrEnum):
    """When a file came: with the base, while the image was built, or after the image was finished."""

    BASE = "base"
    BUILD = "build"
    RUNTIME = "runtime"


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
