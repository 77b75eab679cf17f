"""Decides whether a step is taken: what ended the run, needs, condition, an earlier try, approval. Takes no step."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forensics.model import StepOutcome, StepResult
from forensics.playbook.catalogue import find_action
from forensics.playbook.context import Answer, Request, RunContext
from forensics.playbook.journal import Journal, RunRecord
from forensics.playbook.plan import Approval, Playbook, Step
from forensics.playbook.statement import write_statement

if TYPE_CHECKING:
    from forensics.playbook.action import Action
    from forensics.playbook.run import PlannedStep

_GOOD = frozenset({StepOutcome.DONE, StepOutcome.PARTIAL})


@dataclass(frozen=True, slots=True)
class Decision:
    """Take the step (``result`` is None), or why not; ``again`` where an earlier try at it was interrupted."""

    result: StepResult | None = None
    grant: Answer | None = None
    again: bool = False


class Gate:
    """Stands before every step of one run."""

    def __init__(self, playbook: Playbook, context: RunContext, journal: Journal, record: RunRecord) -> None:
        """Take the run and, where it goes on after an interruption, what is on record of it."""
        self._playbook = playbook
        self._context = context
        self._journal = journal
        self._record = record

    def decide(self, planned: PlannedStep, aborted_by: str) -> Decision:
        """Return whether *planned* is to be taken now; a refusal is on record."""
        step = planned.step
        again = step.id in self._record.begun
        reason = "" if again else f"'{aborted_by}' ended the run" if aborted_by else self._unmet_need(step)
        if reason:
            return self._note(step, StepOutcome.SKIPPED, reason)
        if again:
            settled = self._settle(step)
            if settled:
                return settled
        elif step.when and (refusal := self._check_condition(step)):
            return refusal
        if step.approval is None:
            if step.effects != "destroy":
                return Decision(again=again)
            return self._note(
                step, StepOutcome.FAILED, "it destroys, and nobody approved it (give the step an 'approval:')"
            )
        return self._ask(planned, step.approval, again=again)

    def _unmet_need(self, step: Step) -> str:
        unmet = [need for need in step.needs if self._context.results[need].outcome not in _GOOD]
        return f"it needs '{unmet[0]}', which is {self._context.results[unmet[0]].outcome}" if unmet else ""

    def _check_condition(self, step: Step) -> Decision | None:
        from forensics.playbook.condition import ConditionError, evaluate  # noqa: PLC0415 - 130 ms, only if used
        from forensics.playbook.facts import read_facts  # noqa: PLC0415 - only conditions need them

        try:
            if evaluate(step.when, read_facts(self._playbook, self._context)):
                return None
        except ConditionError as error:
            return self._note(step, StepOutcome.FAILED, f"the condition failed: {error}")
        return self._note(step, StepOutcome.SKIPPED, f"the condition does not hold: {step.when}")

    def _settle(self, step: Step) -> Decision | None:
        """Return what became of an interrupted step, None when it is to be taken again."""
        action = find_action(step.call.uses)
        if action and action.settled_by and self._find_trace(step, action):
            result = StepResult(step.id, StepOutcome.DONE, "it was done before the interruption, by the custody log")
            self._journal.end(step, step.call, result)
            return Decision(result)
        harmless = step.effects in {"read", "contain"} and (action is None or action.effects != "destroy")
        if harmless or step.approval is not None:
            return None
        reason = (
            "it was begun before the interruption, and nobody knows whether it happened; find out, and do it by hand"
        )
        return self._note(step, StepOutcome.FAILED, reason)

    def _find_trace(self, step: Step, action: Action) -> bool:
        """Whether the log holds what the action writes once it has happened, for this step of this run."""
        begun = self._record.begun[step.id]
        return any(
            entry.seq > begun
            and entry.action == action.settled_by
            and entry.result == "ok"
            and (entry.authority.run_id, entry.authority.step) == (self._record.run_id, step.id)
            for entry in self._context.case.custody()
        )

    def _ask(self, planned: PlannedStep, approval: Approval, *, again: bool) -> Decision:
        step = planned.step
        expires_at = time.time() + approval.expires_s
        statement = write_statement(self._playbook, self._context, planned, expires_at)
        answer = self._context.approve(Request(step, planned.full_arguments(), statement, expires_at))
        if answer is not None and time.time() > expires_at:
            answer = None
        details = {"run": self._record.run_id, "approver": answer.approver if answer else ""}
        if answer:
            details |= {"method": answer.method, "statement": answer.signed, "signature": answer.signature}
            details["nonce"] = answer.nonce
        name = "approve" if answer else "deny"
        self._context.case.record(name, purpose=step.id, details=details, authority=self._journal.authority(step))
        return (
            Decision(grant=answer, again=again)
            if answer
            else self._note(step, StepOutcome.DENIED, "nobody approved it")
        )

    def _note(self, step: Step, outcome: StepOutcome, reason: str) -> Decision:
        result = StepResult(step.id, outcome, reason)
        self._journal.end(step, step.call, result)
        return Decision(result)
