"""The frozen nouns that every room shares; standard library only.

Container paths are ``bytes`` end to end: the kernel promises nothing about their encoding, and the attacker chooses
them. Times are UTC; units stand in the names. Nothing here does input or output.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

from forensics.frozen import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Sequence

JsonObject = dict[str, Any]
"""A decoded JSON object; only at the edges, where a document is read or written."""


class Outcome(enum.StrEnum):
    """How a planned artefact ended. Nothing is silently missing."""

    COLLECTED = "collected"
    EMPTY = "empty"
    FAILED = "failed"
    NOT_APPLICABLE = "not applicable"


class Severity(enum.StrEnum):
    """How bad it is if the finding is true. Compare by :attr:`rank`."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 is worst; sorts findings worst first."""
        return list(Severity).index(self)


class Confidence(enum.StrEnum):
    """How sure the analyzer is that what it saw is what it says."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Verdict(enum.StrEnum):
    """The one-word answer. *No evidence* is never written as *clean*."""

    COMPROMISED = "compromised"
    SUSPICIOUS = "suspicious"
    NO_EVIDENCE = "no-evidence"


class ChangeKind(enum.StrEnum):
    """What happened to a path between two trees."""

    ADDED = "added"
    MODIFIED = "modified"
    DELETED = "deleted"


class EntryType(enum.StrEnum):
    """File types of inode(7)."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    CHAR_DEVICE = "char-device"
    BLOCK_DEVICE = "block-device"
    FIFO = "fifo"
    SOCKET = "socket"


@dataclass(frozen=True, slots=True)
class Digest:
    """A digest of stored bytes, printed ``sha256:<hex>`` (OCI image-spec descriptor.md)."""

    hex: str
    algorithm: str = "sha256"

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"


@dataclass(frozen=True, slots=True)
class DiffID:
    """The digest of a layer's *uncompressed* tar (OCI image-spec config.md); not interchangeable with a blob's."""

    hex: str
    algorithm: str = "sha256"

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One path of one layer or of a merged tree.

    ``path`` is relative to the root, without a leading slash, ``b""`` for the root itself. ``mode`` holds the twelve
    permission bits only; the type is in ``type``. ``layer`` counts from 0 (the base). ``sha256`` is the content's hex
    digest for regular files, None where the content is not known.
    """

    path: bytes
    type: EntryType
    mode: int
    uid: int
    gid: int
    size_bytes: int
    mtime_ns: int
    layer: int = 0
    link_target: bytes | None = None
    device: tuple[int, int] | None = None
    sha256: str | None = None
    xattrs: tuple[tuple[bytes, bytes], ...] = ()
    atime_ns: int | None = None
    ctime_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One path that differs; ``fields`` names what (content, mode, owner, type, target, xattrs, mtime)."""

    kind: ChangeKind
    path: bytes
    before: FileEntry | None
    after: FileEntry | None
    fields: tuple[str, ...] = ()

    @property
    def layer(self) -> int | None:
        """The layer that made the change, counted from 0."""
        entry = self.after or self.before
        return entry.layer if entry else None


@dataclass(frozen=True, slots=True)
class RecoveredFile:
    """A file that an upper layer deleted or replaced; its content is still in the layer that held it."""

    entry: FileEntry
    deleted_in_layer: int
    layer_diff_id: str
    created_by: str


@dataclass(frozen=True, slots=True)
class LayerSummary:
    """What `ir layers` and the report say of one layer."""

    index: int
    diff_id: str
    digest: str
    size_bytes: int
    entries: int
    added: int
    modified: int
    deleted: int
    history: str


@dataclass(frozen=True, slots=True)
class EvidenceRef:
    """Where a finding can be looked up: item id, and what within it."""

    item: str
    layer: str | None = None
    path: bytes | None = None
    pid: int | None = None
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that an analyzer saw, why it matters, and what benign things look the same.

    ``matched`` is the observation itself (hostile text, shown only through :mod:`forensics.text`). ``attack`` holds
    MITRE ATT&CK technique ids. ``details`` are lines, safe to show, that support it: matched strings, who made a rule.
    """

    rule: str
    title: str
    severity: Severity
    confidence: Confidence
    attack: tuple[str, ...]
    matched: str
    evidence: tuple[EvidenceRef, ...]
    why: str
    benign: str
    next: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One planned artefact, how it ended, what the act disturbed, and in which activity of the custody log."""

    artefact: str
    outcome: Outcome
    reason: str = ""
    size_bytes: int = 0
    seconds: float = 0.0
    disturbed: str = ""
    items: tuple[str, ...] = ()
    activity: str = ""


@dataclass(frozen=True, slots=True)
class TimelineEvent:
    """One dated thing. ``at`` is RFC 3339 UTC with microseconds; ``doubt`` says why a time cannot be true."""

    at: str
    kind: str
    description: str
    evidence: EvidenceRef | None = None
    doubt: str = ""


@dataclass(frozen=True, slots=True)
class Indicator:
    """An indicator of compromise; ``type`` is ipv4, ipv6, domain, url, sha256, wallet, email or path."""

    type: str
    value: str
    evidence: tuple[EvidenceRef, ...] = ()


@dataclass(frozen=True, slots=True)
class Package:
    """One installed package, as the database that lists it says (hostile text).

    ``type`` is that of package URLs (deb, apk, rpm, pypi, npm ...), ``purl`` the whole package URL. ``path`` is the
    database or the package's own description; ``layer`` the diff id of the layer that brought this version.
    """

    type: str
    name: str
    version: str
    purl: str
    path: bytes
    layer: str | None = None
    licence: str = ""


@dataclass(frozen=True, slots=True)
class EvidenceItem:
    """One acquired thing. ``path`` is relative to the case folder and made of our own ASCII names."""

    id: str
    kind: str
    path: str
    sha256: str
    sha512: str
    size_bytes: int
    source: str
    method: str
    started_at: str
    ended_at: str
    outcome: Outcome = Outcome.COLLECTED
    reason: str = ""
    attributes: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Subject:
    """What the case is about: a container of an engine, or a saved image file."""

    kind: str
    name: str
    id: str = ""
    image: str = ""
    image_id: str = ""
    engine: str = ""
    started_at: str = ""


class StepOutcome(enum.StrEnum):
    """How a playbook step ended. *partial*: it finished, and names what it could not do."""

    DONE = "done"
    PARTIAL = "partial"
    FAILED = "failed"
    SKIPPED = "skipped"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class StepResult:
    """How a playbook step ended; ``value`` is what conditions of later steps may ask about."""

    step: str
    outcome: StepOutcome
    reason: str = ""
    seconds: float = 0.0
    value: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Analysis:
    """Everything that `ir analyze` derives from a case; the report reads this and the case, nothing else.

    ``ledger`` has one line for each analyzer: an analyzer that failed is a line with its reason, never a clean result.
    ``changes`` may be too many for memory: walk them, and keep none.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    findings: tuple[Finding, ...]
    changes: Sequence[Change]
    recovered: tuple[RecoveredFile, ...]
    layers: tuple[LayerSummary, ...]
    timeline: tuple[TimelineEvent, ...]
    indicators: tuple[Indicator, ...]
    ledger: tuple[LedgerLine, ...]
    warnings: tuple[str, ...] = ()
    packages: tuple[Package, ...] = ()
