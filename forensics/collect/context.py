"""What every collector is given, and how it answers: a ledger line for each artefact. Touches no host by itself."""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from forensics.collect.treetar import Budget
from forensics.engine.base import Engine
from forensics.model import EvidenceItem, JsonObject, LedgerLine, Outcome
from forensics.text import show

if TYPE_CHECKING:
    from forensics.collect.patient_reads import PatientReader
    from forensics.collect.yara_look import FirstLook
    from forensics.engine.base import Container, EngineInfo
    from forensics.engine.host import HostProcess
    from forensics.evidence.case import Case

DEFAULT_BUDGET_BYTES = 4 << 30
_NAME_LIMIT = 80


class Need(enum.StrEnum):
    """What a collector cannot work without."""

    LOCAL = "the engine's own host"
    ROOT = "root"
    RUNNING = "a running container"


@dataclass(frozen=True, slots=True)
class Collector:
    """One row of the table: how volatile (0 goes first), what it needs, what it changes in the source."""

    name: str
    rank: int
    collect: Callable[[CollectContext], Iterator[LedgerLine]]
    summary: str
    needs: frozenset[Need] = frozenset()
    disturbs: str = ""
    optional: bool = False


@dataclass(frozen=True, slots=True)
class CollectOptions:
    """What to collect.

    ``budget_bytes`` bounds the content taken from memory, tmpfs, volumes and deleted files, each, and that of changed
    files which is hashed before the snapshot. When ``budget_seconds`` have passed, no further collector begins. With
    ``resume`` those that have ended in an earlier run on this case, and of which nothing failed, are left out.
    """

    memory: bool = False
    only: frozenset[str] = frozenset()
    skip: frozenset[str] = frozenset()
    budget_bytes: int = DEFAULT_BUDGET_BYTES
    budget_seconds: float | None = None
    resume: bool = False


class Source(Engine, Protocol):
    """The engine, and its version document."""

    def read_version(self) -> JsonObject:
        """Return the version document, with its components (containerd, runc)."""


def make_options(  # noqa: PLR0913 - one for each field, by name
    *,
    memory: bool = False,
    only: Iterable[str] = (),
    skip: Iterable[str] = (),
    budget_bytes: int = DEFAULT_BUDGET_BYTES,
    budget_seconds: float | None = None,
    resume: bool = False,
) -> CollectOptions:
    """Return options from what a person or a playbook gave."""
    return CollectOptions(memory, frozenset(only), frozenset(skip), budget_bytes, budget_seconds, resume)


class Progress(Protocol):
    """Told what is being collected; the core has no user interface of its own."""

    def start(self, artefact: str) -> None:
        """A collector begins."""

    def done(self, line: LedgerLine) -> None:
        """An artefact has ended, one way or another."""


class Silence:
    """A :class:`Progress` that tells nobody."""

    def start(self, artefact: str) -> None:
        """Do nothing."""

    def done(self, line: LedgerLine) -> None:
        """Do nothing."""


@dataclass
class CollectContext:
    """The case that receives, the engine and container that give, and what collectors share within one run."""

    case: Case
    engine: Source
    container: Container
    info: EngineInfo
    options: CollectOptions
    started_at: str
    first_look: FirstLook | None = None
    budgets: dict[str, Budget] = field(default_factory=dict)

    @cached_property
    def processes(self) -> tuple[HostProcess, ...]:
        """The container's processes as the host sees them, read once, when the first collector asks.

        Raises:
            OSError: the host's process table cannot be read.
        """
        from forensics.engine.host import list_container_processes  # noqa: PLC0415 - a remote engine never needs it

        return list_container_processes(self.container)

    @cached_property
    def mount_namespaces(self) -> dict[int, tuple[int, ...]]:
        """The mount namespaces that the container's processes live in, by inode, each with its processes."""
        members: dict[int, tuple[int, ...]] = {}
        for process in self.processes:
            inode = process.namespace("mnt")
            members[inode] = (*members.get(inode, ()), process.pid)
        return members

    @cached_property
    def reader(self) -> PatientReader:
        """Reads files that processes hold, without waiting for a file system that hangs."""
        from forensics.collect.namespace import read_mounts  # noqa: PLC0415 - a remote engine never needs it
        from forensics.collect.patient_reads import PatientReader, find_memory_mount  # noqa: PLC0415 - as above

        types = {find_memory_mount(): "tmpfs"}
        for pids in self.mount_namespaces.values():
            with contextlib.suppress(OSError):  # ended since
                types |= {mount.id: mount.type for mount in read_mounts(pids[0])}
        return PatientReader(types)

    def budget(self, name: str) -> Budget:
        """Return the budget called *name*, opened with ``options.budget_bytes`` on first use."""
        return self.budgets.setdefault(name, Budget(self.options.budget_bytes))

    def keep_json(self, kind: str, document: JsonObject, *, source: str, method: str) -> EvidenceItem:
        """Add one JSON document to the case."""
        return self.case.add_json(kind, document, source=source, method=method)


def collected(artefact: str, *items: EvidenceItem, reason: str = "", disturbed: str = "") -> LedgerLine:
    """Return the line of an artefact that is in the case."""
    size_bytes = sum(item.size_bytes for item in items)
    return LedgerLine(
        artefact, Outcome.COLLECTED, reason, size_bytes, disturbed=disturbed, items=tuple(item.id for item in items)
    )


def empty(artefact: str, reason: str, *items: EvidenceItem) -> LedgerLine:
    """Return the line of an artefact that was looked for, and there is nothing."""
    return LedgerLine(artefact, Outcome.EMPTY, reason, items=tuple(item.id for item in items))


def failed(artefact: str, reason: str, *items: EvidenceItem) -> LedgerLine:
    """Return the line of an artefact that is missing, or only partly there."""
    size_bytes = sum(item.size_bytes for item in items)
    return LedgerLine(artefact, Outcome.FAILED, reason, size_bytes, items=tuple(item.id for item in items))


def not_applicable(artefact: str, reason: str) -> LedgerLine:
    """Return the line of an artefact that cannot exist here."""
    return LedgerLine(artefact, Outcome.NOT_APPLICABLE, reason)


def name_some(names: Iterable[str], limit: int = 5) -> str:
    """Return the first few different names for a person, made safe, and how many more there are."""
    different = list(dict.fromkeys(names))
    if not different:
        return "none"
    named = ", ".join(show(name, _NAME_LIMIT) for name in different[:limit])
    return f"{named} and {len(different) - limit} more" if len(different) > limit else named
