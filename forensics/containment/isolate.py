"""Cuts a container off: plan, journal, freeze, capture, cut, look again, prove. Never runs anything inside it."""

from __future__ import annotations

import contextlib
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from forensics.containment.actions import ActionKind, IsolationOptions, Plan
from forensics.containment.apply import apply_action
from forensics.containment.beside import Beside
from forensics.containment.journal import Journal, Performed
from forensics.containment.plan import Scene, number_actions, plan_end_of_loop, plan_freeze, plan_isolation
from forensics.containment.pointers import remember
from forensics.model import JsonObject

if TYPE_CHECKING:
    from collections.abc import Callable

    from forensics.containment.actions import Action
    from forensics.containment.cutting import Cutting
    from forensics.containment.port import ContainmentEngine
    from forensics.containment.prove import Proof
    from forensics.containment.replacement import Replacement
    from forensics.evidence.case import Case

_FIRST_KINDS = frozenset({ActionKind.FREEZE, ActionKind.RESTART_POLICY, ActionKind.END_LOOP})


class ContainmentResult(NamedTuple):
    """What was done and whether it is proved; the document's shape is ``ir.containment/1``."""

    container_id: str
    container_name: str
    case: Path
    performed: tuple[Performed, ...]
    proof: Proof
    warnings: tuple[str, ...]
    seconds: float
    replacements: tuple[Replacement, ...] = ()

    @property
    def proved(self) -> bool:
        """Whether the host saw that nothing can leave or arrive."""
        return self.proof.proved

    @property
    def is_done(self) -> bool:
        """Whether it is proved, no action failed for good, and nothing was started in its place."""
        return self.proved and not self.replacements and not self.failed

    @property
    def failed(self) -> tuple[Performed, ...]:
        """The actions that failed and did not succeed later: the engine may refuse one while it starts a container."""
        return tuple(
            done
            for order, done in enumerate(self.performed)
            if done.error and not any(later.makes_up_for(done) for later in self.performed[order + 1 :])
        )

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
            "replacements": [replacement.to_document() for replacement in self.replacements],
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
    with contextlib.closing(Isolation(engine, scene, case, options)) as isolation:
        isolation.begin()
        return isolation.finish()


class Isolation:
    """One isolation in two parts, so that of many all are cut before the engine disconnects the first."""

    def __init__(self, engine: ContainmentEngine, scene: Scene, case: Case, options: IsolationOptions) -> None:
        """Plan and put the plan on record; nothing is changed.

        Raises:
            RefusedError: it cannot be cut off without cutting others.
        """
        self._started = time.monotonic()
        self._engine, self._scene, self._case, self._options = engine, scene, case, options
        self._journal = Journal(case, scene.container.id)
        plan = plan_isolation(scene, options)
        first = self._journal.count_actions() + 1
        self._plan = Plan(plan.container_id, plan.container_name, number_actions(plan.actions, first), plan.warnings)
        self._guarded: list[Performed] = []
        self._cutting: Cutting | None = None
        self._prepared = Beside(partial(_prepare, engine, scene, self._journal, options))
        self._journal.write_plan(self._plan, options.reason)
        self._forgetful = remember(scene.container.id, scene.container.name, case.root)

    def close(self) -> None:
        """Close the probe, and see that the capture is in the case."""
        cutting = self._cutting or self._prepared.result()
        cutting.close()

    def begin(self) -> str:
        """Freeze, capture, and do everything but the engine's disconnects; return why the cut is not certain yet."""
        self._guarded = [self._perform(action) for action in self._plan.actions if action.kind in _FIRST_KINDS]
        if not all(done.is_applicable for done in self._guarded):
            self._options = self._options._replace(freeze=True)
        if any(done.note for done in self._guarded):
            self._guarded += self._hold()
        self._cutting = cutting = self._prepared.result()
        cutting.capture(self._plan, freeze=self._options.freeze)
        cutting.run(self._select(lambda kind: kind not in _FIRST_KINDS and kind is not ActionKind.DISCONNECT))
        if any(action.kind is ActionKind.LOWER_FAR_ENDS for action in self._plan.actions):
            return cutting.see_cut()
        return "the host alone cannot cut it"

    def finish(self) -> ContainmentResult:
        """Let the engine disconnect, look again, cut what is left, prove."""
        cutting = self._cutting or self._prepared.result()
        cutting.run(self._select(lambda kind: kind is ActionKind.DISCONNECT))
        proof = cutting.prove()
        return ContainmentResult(
            container_id=self._scene.container.id,
            container_name=self._scene.container.name,
            case=self._case.root,
            performed=(*self._guarded, *cutting.performed),
            proof=proof,
            warnings=(*self._plan.warnings, *([self._forgetful] if self._forgetful else [])),
            seconds=time.monotonic() - self._started,
            replacements=cutting.replacements,
        )

    def _hold(self) -> list[Performed]:
        """Hold what was not as planned: it had ended before it was frozen, or the engine cannot but start it again."""
        kinds = {done.action.kind for done in self._guarded}
        had_ended = any(done.action.kind is ActionKind.FREEZE and done.found_nothing for done in self._guarded)
        is_loop = had_ended and ActionKind.RESTART_POLICY in kinds and ActionKind.END_LOOP not in kinds
        container = self._engine.find_container(self._scene.container.id)
        after = int(self._plan.actions[-1].id[1:]) + 1
        loop = number_actions(plan_end_of_loop(container, was_seen=True) if is_loop else (), after)
        performed = [self._perform(action) for action in loop]
        container = self._engine.find_container(container.id)
        rest = number_actions(plan_freeze(container, self._options), after + len(loop))
        return performed + [self._perform(action) for action in rest]

    def _perform(self, action: Action) -> Performed:
        change = partial(apply_action, action, self._engine, self._scene.container, self._scene.footprint)
        return self._journal.perform(action, change)

    def _select(self, wanted: Callable[[ActionKind], bool]) -> list[Action]:
        return [action for action in self._plan.actions if wanted(action.kind)]


def _prepare(engine: ContainmentEngine, scene: Scene, journal: Journal, options: IsolationOptions) -> Cutting:
    from forensics.containment.cutting import Cutting  # noqa: PLC0415 - costs a tenth of the time, beside disk and engine

    return Cutting(engine, scene, journal, options)
