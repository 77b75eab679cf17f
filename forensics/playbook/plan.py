"""The frozen form of a validated playbook, as the runner reads it. Standard library only: `ir isolate` waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.frozen import dataclass, replace
from forensics.model import JsonObject

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Input:
    """One value that whoever runs the playbook gives; ``default`` is None where there is none."""

    name: str
    type: str
    required: bool
    default: str | int | bool | None
    description: str


@dataclass(frozen=True, slots=True)
class Call:
    """A registered action and what it is called with."""

    uses: str
    arguments: JsonObject


@dataclass(frozen=True, slots=True)
class EvidenceNeed:
    """A kind of evidence that a step must leave in the case; ``required`` makes its absence a failure."""

    kind: str
    required: bool


@dataclass(frozen=True, slots=True)
class Approval:
    """Who may allow a step, and how long the question stays open."""

    approvers: tuple[str, ...]
    expires_s: float


@dataclass(frozen=True, slots=True)
class Step:
    """One declared step; ``timeout_s`` is 0 where there is none."""

    id: str
    call: Call
    effects: str
    description: str = ""
    needs: tuple[str, ...] = ()
    when: str = ""
    timeout_s: float = 0.0
    attempts: int = 1
    delay_s: float = 0.0
    on_failure: str = "abort"
    rollback: Call | None = None
    evidence: tuple[EvidenceNeed, ...] = ()
    approval: Approval | None = None


@dataclass(frozen=True, slots=True)
class Playbook:
    """A validated playbook. ``digest`` is the SHA-256 of the file as it stands on disk."""

    id: str
    name: str
    description: str
    when_to_use: str
    severity: str
    attack: tuple[str, ...]
    references: tuple[str, ...]
    inputs: tuple[Input, ...]
    steps: tuple[Step, ...]
    finally_steps: tuple[Step, ...]
    digest: str
    source: str

    def select(self, wanted: Callable[[Step], bool]) -> Playbook:
        """Return the same playbook with only the wanted steps; needs of steps left out count as met."""
        kept = {step.id for step in self.steps + self.finally_steps if wanted(step)}
        return replace(self, steps=_keep(self.steps, kept), finally_steps=_keep(self.finally_steps, kept))

    def select_actions(self, *prefixes: str) -> Playbook:
        """Return the same playbook with only the steps whose action begins with one of *prefixes*."""
        return self.select(lambda step: step.call.uses.startswith(prefixes))

    def find_step(self, uses: str) -> Step | None:
        """Return the first step that calls the action *uses*, None where there is none."""
        return next((step for step in self.steps + self.finally_steps if step.call.uses == uses), None)


def _keep(steps: tuple[Step, ...], kept: set[str]) -> tuple[Step, ...]:
    return tuple(
        replace(step, needs=tuple(need for need in step.needs if need in kept)) for step in steps if step.id in kept
    )


def parse_playbook(document: JsonObject, *, digest: str, source: str) -> Playbook:
    """Return the playbook of a validated, normalised *document* (what :mod:`forensics.playbook.validate` gives)."""
    return Playbook(
        id=document["id"],
        name=document["name"],
        description=document["description"],
        when_to_use=document["when_to_use"],
        severity=document["severity"],
        attack=tuple(document["attack"]),
        references=tuple(document["references"]),
        inputs=tuple(Input(name=name, **value) for name, value in document["inputs"].items()),
        steps=tuple(_parse_step(step) for step in document["steps"]),
        finally_steps=tuple(_parse_step(step) for step in document["finally"]),
        digest=digest,
        source=source,
    )


def _parse_step(document: JsonObject) -> Step:
    rollback, approval = document["rollback"], document["approval"]
    return Step(
        id=document["id"],
        call=Call(document["uses"], document["with"]),
        effects=document["effects"],
        description=document["description"],
        needs=tuple(document["needs"]),
        when=document["when"],
        timeout_s=document["timeout_s"],
        attempts=document["attempts"],
        delay_s=document["delay_s"],
        on_failure=document["on_failure"],
        rollback=Call(rollback["uses"], rollback["with"]) if rollback else None,
        evidence=tuple(EvidenceNeed(need["kind"], need["required"]) for need in document["evidence"]),
        approval=Approval(tuple(approval["approvers"]), approval["expires_s"]) if approval else None,
    )
