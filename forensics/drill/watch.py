"""Looks on from outside while the playbook runs: when each mark was reached, whether the source stayed as it was."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING

from forensics.errors import IrError
from forensics.model import LedgerLine, StepOutcome, StepResult
from forensics.playbook.context import Silence, Watcher
from forensics.playbook.plan import Step

if TYPE_CHECKING:
    from forensics.engine.base import Container, NetworkAttachment
    from forensics.engine.docker import DockerEngine

_CONTAINED, _SEALED = "contained", "sealed"
_MARKS = (
    ("contain.isolate", _CONTAINED),
    ("collect.", "collected"),
    ("analyze.findings", "first_finding"),
    ("case.seal", _SEALED),
)
_GOOD = frozenset({StepOutcome.DONE, StepOutcome.PARTIAL})


class Announcer(Silence):
    """A watcher that is also told what the drill itself does."""

    def say(self, _text: str) -> None:
        """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What must be the same before and after, or the toolkit has changed the source."""

    started_at: str
    restarts: int
    pid: int
    changes: tuple[tuple[str, str], ...]
    content: str


@dataclass(frozen=True, slots=True)
class Attachments:
    """What release must give back: the state, and each network with its addresses and names."""

    status: str
    networks: tuple[tuple[str, ...], ...]


@dataclass
class Stopwatch:
    """A watcher that notes when each mark of the run was reached, and passes everything on."""

    steps: dict[str, Step]
    inner: Watcher
    started: float = field(default_factory=time.monotonic)
    contained_at: datetime | None = None
    marks: dict[str, float] = field(default_factory=dict)

    def begin(self, step: Step) -> None:
        """Pass on."""
        self.inner.begin(step)

    def end(self, result: StepResult) -> None:
        """Note the time of a step that ended well, pass on."""
        uses = self.steps[result.step].call.uses
        mark = next((name for prefix, name in _MARKS if uses.startswith(prefix)), "")
        if mark and result.outcome in _GOOD:
            if mark != _CONTAINED or self.contained_at is None:
                self.marks[mark] = round(time.monotonic() - self.started, 3)
            if mark == _CONTAINED and self.contained_at is None:
                self.contained_at = datetime.now(UTC)
        self.inner.end(result)

    def start(self, artefact: str) -> None:
        """Pass on."""
        self.inner.start(artefact)

    def done(self, line: LedgerLine) -> None:
        """Pass on."""
        self.inner.done(line)


def read_fingerprint(engine: DockerEngine, suspect: Container) -> Fingerprint | None:
    """Return what must not change while the toolkit works, files and volumes to the byte; None when it is gone."""
    try:
        now = engine.find_container(suspect.id)
        changes = tuple(sorted((path, kind.value) for path, kind in engine.diff(now)))
        content = hashlib.sha256()
        streams = [engine.export(now)]
        streams += [engine.read_archive(now, mount.destination) for mount in now.mounts if mount.type == "volume"]
        for chunk in chain.from_iterable(streams):
            content.update(chunk)
    except IrError:
        return None
    return Fingerprint(now.started_at, int(now.raw.get("RestartCount") or 0), now.pid, changes, content.hexdigest())


def read_attachments(engine: DockerEngine, suspect: Container) -> Attachments | None:
    """Return what release must give back; None when the container is gone."""
    try:
        now = engine.find_container(suspect.id)
    except IrError:
        return None
    return Attachments(now.status, tuple(sorted(map(_describe, now.networks))))


def _describe(network: NetworkAttachment) -> tuple[str, ...]:
    """Return what a container knows of a network; its id is left out: a stopped container has none until it starts."""
    return (network.name, network.ipv4, network.ipv6, network.mac, *sorted((*network.aliases, *network.links)))
