"""Cuts a container off: plan, journal, freeze, capture, cut, look again, prove. Never runs anything inside it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.containment.actions import Action, ActionKind, IsolationOptions, Plan, parse_recorded_attachment
from forensics.containment.apply import apply_action
from forensics.containment.journal import Journal, Performed
from forensics.containment.plan import Scene, number_actions, plan_isolation, plan_leftovers
from forensics.containment.pointers import remember
from forensics.containment.probe import EchoProbe
from forensics.containment.prove import Observation, Probes, Proof, prove
from forensics.containment.scene import capture, find_engine_namespace, look
from forensics.errors import EngineError
from forensics.model import JsonObject

if TYPE_CHECKING:
    from forensics.containment.port import ContainmentEngine
    from forensics.engine.base import NetworkAttachment
    from forensics.evidence.case import Case

_PROBE_SECONDS = 0.02
_ROUNDS = 3
_FIRST_KINDS = frozenset({ActionKind.FREEZE, ActionKind.RESTART_POLICY})


@dataclass(frozen=True, slots=True)
class ContainmentResult:
    """What was done and whether it is proved; the document's shape is ``ir.containment/1``."""

    container_id: str
    container_name: str
    case: Path
    performed: tuple[Performed, ...]
    proof: Proof
    warnings: tuple[str, ...]
    seconds: float

    @property
    def proved(self) -> bool:
        """Whether the host saw that nothing can leave or arrive."""
        return self.proof.proved

    def to_document(self) -> JsonObject:
        """Return the machine output."""
        return {
            "schema": "ir.containment/1",
            "container": self.container_id,
            "name": self.container_name,
            "case": str(self.case),
            "proved": self.proof.proved,
            "reasons": list(self.proof.reasons),
            "proof": self.proof.document,
            "actions": [done.to_document() for done in self.performed],
            "warnings": list(self.warnings),
            "seconds": round(self.seconds, 3),
        }


def preview(scene: Scene, options: IsolationOptions) -> Plan:
    """Return what :func:`isolate` would do, without doing anything."""
    return plan_isolation(scene, options)


def isolate(engine: ContainmentEngine, scene: Scene, case: Case, options: IsolationOptions) -> ContainmentResult:
    """Contain the container of *scene* and record everything in *case*; doing it again only proves again.

    An action that fails is part of the result, and the proof then says what is still open.

    Raises:
        RefusedError: it cannot be cut off without cutting others.
        EngineError: the engine is gone half-way; the custody log holds what was begun.
    """
    started = time.monotonic()
    journal = Journal(case, scene.container.id)
    plan = plan_isolation(scene, options)
    first = journal.count_actions() + 1
    plan = Plan(plan.container_id, plan.container_name, number_actions(plan.actions, first), plan.warnings)
    journal.write_plan(plan, options.reason)
    remember(scene.container.id, scene.container.name, case.root)
    work = _Work(engine, scene, journal, options)
    with contextlib.closing(work.probe):
        work.run([action for action in plan.actions if action.kind in _FIRST_KINDS])
        work.capture()
        work.run([action for action in plan.actions if action.kind not in _FIRST_KINDS])
        proof = work.prove()
    return ContainmentResult(
        container_id=scene.container.id,
        container_name=scene.container.name,
        case=case.root,
        performed=tuple(work.performed),
        proof=proof,
        warnings=plan.warnings,
        seconds=time.monotonic() - started,
    )


class _Work:
    """One run of isolation: what was done so far, and what was seen."""

    def __init__(self, engine: ContainmentEngine, scene: Scene, journal: Journal, options: IsolationOptions) -> None:
        self.performed: list[Performed] = []
        self.probe = EchoProbe(find_engine_namespace(engine.url))
        self._engine = engine
        self._before = scene
        self._journal = journal
        self._options = options
        self._asked: tuple[str, ...] = ()
        self._answered: tuple[str, ...] = ()

    def run(self, actions: list[Action]) -> None:
        for action in actions:
            self.performed.append(self._journal.perform(action, self._change(action, self._before)))

    def capture(self) -> None:
        """Look once more, now that it is frozen, keep what dies with the cut, and see that the probe works."""
        self._asked = tuple(
            address
            for attachment in self._before.container.networks
            for address in (attachment.ipv4, attachment.ipv6)
            if address
        )
        self.probe.send(self._asked)
        self._before = look(self._engine, self._before.container)
        self._journal.write_capture(capture(self._before))
        self._answered = self.probe.collect(_PROBE_SECONDS)

    def prove(self) -> Proof:
        """Look at what is left, cut that too, and decide."""
        self.probe.send(self._answered)
        after = self._look_again()
        for _ in range(_ROUNDS):
            rest = list(self._plan_rest(after))
            if not rest:
                break
            for action in number_actions(rest, self._journal.count_actions() + 1):
                self.performed.append(self._journal.perform(action, self._change(action, after)))
            self.probe.send(self._answered)
            after = self._look_again()
        proof = prove(self._observe(after))
        self._journal.write_proof("proof", proof.document, succeeded=proof.proved, reasons=proof.reasons)
        return proof

    def _change(self, action: Action, scene: Scene) -> Callable[[], str]:
        return lambda: apply_action(action, self._engine, scene.container, scene.footprint)

    def _look_again(self) -> Scene:
        return look(self._engine, self._engine.find_container(self._before.container.id))

    def _plan_rest(self, after: Scene) -> Iterator[Action]:
        yield from plan_leftovers(after, self._known_attachments())
        held = any(snapshot.established for _, snapshot in after.own)
        tried = any(done.action.kind is ActionKind.DESTROY_SOCKETS for done in self.performed)
        if held and not tried and after.container.status != "paused":
            yield Action(
                "",
                ActionKind.DESTROY_SOCKETS,
                effect="abort the connections that outlived the cut, so that none resumes",
                inverse="none: both ends have to connect anew",
                precondition="the container is not frozen",
            )

    def _known_attachments(self) -> tuple[NetworkAttachment, ...]:
        """Every attachment that was ever cut in this case: an interface of it may turn up late."""
        return self._before.container.networks + tuple(
            parse_recorded_attachment(action.parameters["attachment"])
            for action in self._journal.read_open()
            if action.kind is ActionKind.DISCONNECT
        )

    def _observe(self, after: Scene) -> Observation:
        kinds = {action.kind for action in self._journal.read_open()}
        answered = self.probe.collect(_PROBE_SECONDS) if self._answered else ()
        return Observation(
            before=self._before,
            after=after,
            probes=Probes(self._answered, answered, self._asked, self.probe.problem),
            want_frozen=self._options.freeze,
            is_filtered=_is_filtered(after),
            is_disconnected=not after.sharing or self._options.cut_sharing or ActionKind.DISCONNECT in kinds,
        )


def _is_filtered(scene: Scene) -> bool:
    if scene.footprint.group is None or not scene.shares_network:
        return False
    from forensics.engine.cgroup_filter import is_attached  # noqa: PLC0415 - only for shared networks

    try:
        return is_attached(scene.footprint.group)
    except EngineError:
        return False
