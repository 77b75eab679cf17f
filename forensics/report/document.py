"""The frozen report: everything a renderer may say. Standard library only; holds no secret in the clear.

Text that evidence supplied is kept raw here (bytes paths, surrogate-escaped strings); each renderer makes it safe for
its own medium through :mod:`forensics.text`.
"""

from __future__ import annotations

from dataclasses import dataclass

from forensics.model import Analysis, EvidenceItem, LedgerLine, Subject


@dataclass(frozen=True, slots=True)
class Fact:
    """One named observation, in the order a reader wants it."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class CaseFacts:
    """What `case.json` says: who, where, under which authority, by which clock."""

    id: str
    created_at: str
    operator: str
    organization: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was done, from the custody log. ``outcome`` is ok, failed, denied or interrupted."""

    seq: int
    at: str
    action: str
    detail: str
    outcome: str
    actor: str
    altered: str = ""


@dataclass(frozen=True, slots=True)
class ContainmentFacts:
    """The cut: planned actions and the proof taken from outside. ``attempted`` False means: nothing was cut."""

    attempted: bool
    proved: bool
    released: bool
    at: str
    seconds: float | None
    actions: tuple[Fact, ...]
    proof: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class TechniqueUse:
    """One ATT&CK technique of the story, the numbers of the findings that show it, and its first sign ("": undated)."""

    id: str
    name: str
    findings: tuple[int, ...]
    first_at: str


@dataclass(frozen=True, slots=True)
class TacticStory:
    """One tactic, in the order of the attack life cycle."""

    id: str
    name: str
    techniques: tuple[TechniqueUse, ...]


@dataclass(frozen=True, slots=True)
class Process:
    """One process of the suspect, pre-order in its tree; ``signals`` and ``findings`` (numbers) are reasons to look."""

    pid: int
    ns_pid: int | None
    depth: int
    name: str
    command: str
    executable: str
    user: str
    started_at: str
    signals: tuple[str, ...]
    findings: tuple[int, ...]
    item: str


@dataclass(frozen=True, slots=True)
class Connection:
    """One socket, as the host saw it before the cut. ``external`` means the peer is no local or private address."""

    protocol: str
    local: str
    remote: str
    state: str
    process: str
    external: bool
    item: str


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of the container's configuration; ``risk`` is empty where the value is a safe one."""

    name: str
    value: str
    risk: str
    item: str


@dataclass(frozen=True, slots=True)
class Exposure:
    """One thing the suspect shared or could reach, and who else is on it."""

    kind: str
    name: str
    detail: str
    others: tuple[str, ...]
    item: str


@dataclass(frozen=True, slots=True)
class Secret:
    """A credential that the suspect held and that must be rotated; ``masked`` never shows enough to use it."""

    name: str
    where: str
    masked: str
    item: str


@dataclass(frozen=True, slots=True)
class CustodyLine:
    """One line of the custody log, shortened for reading; the file itself is the record."""

    seq: int
    at: str
    action: str
    actor: str
    evidence: tuple[str, ...]
    purpose: str
    result: str
    error: str
    digest: str


@dataclass(frozen=True, slots=True)
class SealFacts:
    """One numbered seal: what it covers, who signed it, and whether a timestamp is there."""

    number: int
    facts: tuple[Fact, ...]
    signed: bool
    timestamped: bool


@dataclass(frozen=True, slots=True)
class CustodyFacts:
    """The chain up to the last entry that is not itself about a rendered report."""

    entries: int
    head: str
    lines: tuple[CustodyLine, ...]
    seals: tuple[SealFacts, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """Everything the report says. Same case, same analysis, same version: same document."""

    tool: tuple[Fact, ...]
    case: CaseFacts
    subject: Subject
    analysis: Analysis
    containment: ContainmentFacts
    steps: tuple[Step, ...]
    story: tuple[TacticStory, ...]
    processes: tuple[Process, ...]
    connections: tuple[Connection, ...]
    settings: tuple[Setting, ...]
    exposures: tuple[Exposure, ...]
    secrets: tuple[Secret, ...]
    items: tuple[EvidenceItem, ...]
    ledger: tuple[LedgerLine, ...]
    custody: CustodyFacts
    gaps: tuple[LedgerLine, ...]
    """What could not be examined: every failed line, then every line that did not apply."""
