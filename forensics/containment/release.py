"""Undoes containment from the custody log alone, in reverse, and proves the restoration; a second time is a no-op.

Processes go on last, when everything else is as it was. Connections of a frozen container outlive containment and may
go on; aborting them could end the container, and then nothing would be as it was.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.containment.actions import Action, ActionKind, parse_recorded_attachment
from forensics.containment.apply import undo_action
from forensics.containment.journal import Journal, Performed
from forensics.containment.pointers import forget
from forensics.containment.reached import Reached, judge, reach
from forensics.containment.restore import Notes, compare, mend_attachments, reattach_missing
from forensics.containment.scene import look
from forensics.engine.footprint import Footprint
from forensics.errors import ContainerNotFoundError
from forensics.frozen import dataclass
from forensics.model import JsonObject

if TYPE_CHECKING:
    from forensics.containment.plan import Scene
    from forensics.containment.port import ContainmentEngine
    from forensics.engine.base import Container, NetworkAttachment
    from forensics.evidence.case import Case

_LAST_KINDS = frozenset({ActionKind.FREEZE, ActionKind.END_LOOP})


@dataclass(frozen=True, slots=True)
class ReleaseResult:
    """What was undone, whether everything is as it was, and what is not."""

    container_id: str
    case: Path
    performed: tuple[Performed, ...]
    reasons: tuple[str, ...]
    differences: tuple[str, ...]
    proof: JsonObject
    seconds: float

    @property
    def restored(self) -> bool:
        """Whether every action was undone and the container is reachable as before."""
        return not self.reasons

    def to_document(self) -> JsonObject:
        """Return the machine output, in the shape of ``ir.containment/1``."""
        return {
            "schema": "ir.containment/1",
            "container": self.container_id,
            "case": str(self.case),
            "released": True,
            "proved": self.restored,
            "reasons": list(self.reasons),
            "differences": list(self.differences),
            "proof": self.proof,
            "actions": [done.to_document() for done in self.performed],
            "seconds": round(self.seconds, 3),
        }


def release(engine: ContainmentEngine, container_id: str, case: Case) -> ReleaseResult:
    """Undo every open containment action of the container that *case* records.

    What fails stays open in the custody log, so that releasing again continues there.

    Raises:
        EngineError: the engine is gone half-way.
    """
    started = time.monotonic()
    journal = Journal(case, container_id)
    work = _Release(engine, journal, container_id)
    open_actions = journal.read_open()
    if open_actions:
        work.run(open_actions)
        journal.write_proof("released", work.document(), succeeded=not work.reasons, reasons=tuple(work.reasons))
    if work.is_gone:
        forget(container_id)
    return ReleaseResult(
        container_id=container_id,
        case=case.root,
        performed=tuple(work.performed),
        reasons=tuple(work.reasons),
        differences=tuple(work.differences),
        proof=work.document(),
        seconds=time.monotonic() - started,
    )


class _Release:
    """One run of the undo."""

    def __init__(self, engine: ContainmentEngine, journal: Journal, container_id: str) -> None:
        self.performed: list[Performed] = []
        self.reasons: list[str] = []
        self.differences: list[str] = []
        self.is_gone = False
        self._reached = Reached()
        self._notes: Notes = {}
        self._engine = engine
        self._journal = journal
        self._id = container_id

    def run(self, open_actions: tuple[Action, ...]) -> None:
        """Undo *open_actions* in reverse order, mend what the engine chose differently, and check."""
        try:
            container = self._engine.find_container(self._id)
        except ContainerNotFoundError:
            self._give_up(open_actions)
            return
        scene = look(self._engine, container)
        footprint = scene.footprint
        self._note_connections(scene)
        wanted = _recorded_attachments(open_actions)
        for action in reversed(open_actions):
            if action.kind not in _LAST_KINDS:
                self._undo(action, container, footprint)
        if wanted:
            self._notes = mend_attachments(self._engine, self._id, wanted)
        for action in reversed(open_actions):
            if action.kind in _LAST_KINDS:
                self._undo(action, container, footprint)
        if any(action.kind is ActionKind.END_LOOP for action in open_actions):
            self.differences.append(
                "it ends and is started again as before; nobody was asked whether it can be reached"
            )
        elif again := reattach_missing(self._engine, self._id, wanted):
            self._notes |= mend_attachments(self._engine, self._id, wanted) | again
        self._check(open_actions, wanted)

    def document(self) -> JsonObject:
        """Return what was seen, for the case and the machine output."""
        return {
            "restored": not self.reasons,
            "reasons": self.reasons,
            "differences": self.differences,
            "reached": self._reached.to_document(),
        }

    def _undo(self, action: Action, container: Container, footprint: Footprint) -> None:
        done = self._journal.undo(action, lambda: undo_action(action, self._engine, container, footprint))
        self.performed.append(done)
        if done.error:
            self.reasons.append(f"{action.inverse}: {done.error}")

    def _give_up(self, open_actions: tuple[Action, ...]) -> None:
        self.is_gone = True
        for action in reversed(open_actions):
            self.performed.append(self._journal.undo(action, lambda: "the container no longer exists"))
        self.differences.append("the container no longer exists; nothing was left to restore")

    def _note_connections(self, scene: Scene) -> None:
        held = sum(len(snapshot.established) for _, snapshot in scene.own)
        if held:
            self.differences.append(
                f"{held} connections of before the cut may go on, if their other end still has them"
            )

    def _check(self, open_actions: tuple[Action, ...], wanted: tuple[NetworkAttachment, ...]) -> None:
        container = self._engine.find_container(self._id)
        problems, differences = compare(container, open_actions, wanted, self._notes)
        self.reasons += problems
        self.differences += differences
        if container.status == "exited" and any(
            done.action.kind is ActionKind.RESTART_POLICY for done in self.performed
        ):
            self.differences.append(
                "it ended while nothing started it again; to start it: docker start " + self._id[:12]
            )
        in_loop = any(action.kind is ActionKind.END_LOOP for action in open_actions)
        if container.is_running and not in_loop and (wanted or container.networks):
            before = self._journal.read_probe()
            self._reached = reach(self._engine, container, before)
            self.reasons += judge(self._reached, before)


def _recorded_attachments(open_actions: tuple[Action, ...]) -> tuple[NetworkAttachment, ...]:
    found = {
        attachment.name: (int(action.parameters["order"]), attachment)
        for action in reversed(open_actions)
        if action.kind is ActionKind.DISCONNECT
        for attachment in (parse_recorded_attachment(action.parameters["attachment"]),)
    }
    return tuple(attachment for _, attachment in sorted(found.values(), key=lambda pair: pair[0]))
