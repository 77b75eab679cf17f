"""Runs a playbook: every step journaled before and after, nothing skipped in silence, what must happen last happens.

A step that fails is data, not an exception: its `on_failure` says what follows. Dry-run and run read the same plan.
Steps run in the order of the file. A time-out needs the main thread, since it interrupts system calls by a signal.
"""

from __future__ import annotations

import importlib
import os
import re
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, cast

from forensics.errors import IrError, PlaybookError
from forensics.model import JsonObject, StepOutcome, StepResult
from forensics.playbook.actions import ACTIONS
from forensics.playbook.context import Done, RunContext, fill_inputs
from forensics.playbook.plan import Call, Playbook, Step
from forensics.playbook.timeout import StepTimeout, time_limit
from forensics.text import show

if TYPE_CHECKING:
    from collections.abc import Callable

    from forensics.evidence.custody import Authority

_GOOD = frozenset({StepOutcome.DONE, StepOutcome.PARTIAL})
_CLOSING = "case."
"""Sealing and verifying are no open acts of the case that they look at: a seal would call it incomplete."""
_REFERENCE = re.compile(r"\$\{inputs\.([a-z0-9][a-z0-9_-]*)\}")


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One line of a dry-run: what would be called, with what, and on which condition."""

    step: Step
    arguments: JsonObject
    last: bool


def plan_run(playbook: Playbook, inputs: JsonObject) -> tuple[PlannedStep, ...]:
    """Return exactly what a run would do, in its order; changes nothing.

    Raises:
        PlaybookError: a required input is missing, or one is given that does not exist.
    """
    known = {item.name for item in playbook.inputs}
    for name in inputs:
        if name not in known:
            raise PlaybookError(
                f"'{playbook.id}' has no input '{show(name)}'", hint=f"it has: {', '.join(sorted(known))}"
            )
    missing = [item.name for item in playbook.inputs if item.required and not inputs.get(item.name)]
    if missing:
        raise PlaybookError(f"'{playbook.id}' needs the input '{missing[0]}'", hint=f"add --input {missing[0]}=VALUE")
    values = fill_inputs(playbook, inputs)
    steps = [PlannedStep(step, _fill(step.call, values), last=False) for step in playbook.steps]
    return (*steps, *(PlannedStep(step, _fill(step.call, values), last=True) for step in playbook.finally_steps))


def run_playbook(playbook: Playbook, context: RunContext) -> tuple[StepResult, ...]:
    """Run *playbook* and return one result a step, in the order of the file.

    Raises:
        PlaybookError: the inputs do not fit; nothing was run.
    """
    plan = plan_run(playbook, context.inputs)
    run = _Run(playbook, context, os.urandom(16).hex())
    run.record_start()
    aborted_by = ""
    for planned in plan:
        result = run.take(planned, "" if planned.last else aborted_by)
        if result.outcome in _GOOD or result.outcome is StepOutcome.SKIPPED or planned.last or aborted_by:
            continue
        if planned.step.on_failure == "rollback":
            run.roll_back(planned.step)
        if planned.step.on_failure != "continue":
            aborted_by = planned.step.id
    results = tuple(context.results[planned.step.id] for planned in plan)
    run.record_end(results)
    return results


def find_failures(results: tuple[StepResult, ...]) -> tuple[str, ...]:
    """Return one sentence for each step that did not end well; empty means exit code 0."""
    bad = {StepOutcome.FAILED, StepOutcome.PARTIAL, StepOutcome.DENIED}
    return tuple(f"{result.step} {result.outcome}: {result.reason}" for result in results if result.outcome in bad)


class _Run:
    """One run in progress; knows how to take a step and put it on record."""

    def __init__(self, playbook: Playbook, context: RunContext, run_id: str) -> None:
        self._playbook = playbook
        self._context = context
        self._run_id = run_id
        self._undo: list[tuple[Step, Call]] = []

    def record_start(self) -> None:
        details = {
            "run": self._run_id,
            "playbook": self._playbook.id,
            "playbook_sha256": self._playbook.digest,
            "inputs": fill_inputs(self._playbook, self._context.inputs),
            "steps": [step.id for step in self._playbook.steps + self._playbook.finally_steps],
        }
        self._context.case.record("playbook", purpose=f"run {self._playbook.id}", result="begin", details=details)

    def record_end(self, results: tuple[StepResult, ...]) -> None:
        failures = find_failures(results)
        details = {
            "run": self._run_id,
            "outcomes": {r.step: r.outcome.value for r in results},
        }
        self._context.case.record(
            "playbook",
            purpose=f"run {self._playbook.id}",
            result="failed" if failures else "ok",
            error="; ".join(failures) or None,
            details=details,
        )

    def take(self, planned: PlannedStep, aborted_by: str) -> StepResult:
        """Take one step, or say why it is not taken; always journaled."""
        step, started = planned.step, time.monotonic()
        self._context.watcher.begin(step)
        result = self._refuse(step, aborted_by) or self._execute(planned)
        result = replace(result, seconds=round(time.monotonic() - started, 6))
        self._context.results[step.id] = result
        self._context.watcher.end(result)
        return result

    def _refuse(self, step: Step, aborted_by: str) -> StepResult | None:
        """Return why *step* is not taken, None when it is to be taken."""
        reason = f"'{aborted_by}' ended the run" if aborted_by else self._unmet_need(step)
        if reason:
            return self._note(step, StepOutcome.SKIPPED, reason)
        if step.when:
            from forensics.playbook.condition import ConditionError, evaluate  # noqa: PLC0415 - 130 ms, only if used
            from forensics.playbook.facts import read_facts  # noqa: PLC0415 - only conditions need them

            try:
                if not evaluate(step.when, read_facts(self._playbook, self._context)):
                    return self._note(step, StepOutcome.SKIPPED, f"the condition does not hold: {step.when}")
            except ConditionError as error:
                return self._note(step, StepOutcome.FAILED, f"the condition failed: {error}")
        if step.approval is None:
            return None
        approver = self._context.approve(step)
        self._context.case.record(
            "approve" if approver else "deny", purpose=step.id, details={"approver": approver, "run": self._run_id}
        )
        return None if approver else self._note(step, StepOutcome.DENIED, "nobody approved it")

    def _unmet_need(self, step: Step) -> str:
        unmet = [need for need in step.needs if self._context.results[need].outcome not in _GOOD]
        return f"it needs '{unmet[0]}', which is {self._context.results[unmet[0]].outcome}" if unmet else ""

    def _execute(self, planned: PlannedStep) -> StepResult:
        step = planned.step
        self._journal(step, step.call, "begin", planned.arguments)
        if step.rollback:
            self._undo.append((step, step.rollback))
        try:
            result = self._attempt(planned)
        except BaseException as error:
            self._journal(step, step.call, "failed", error=f"interrupted: {type(error).__name__}")
            raise
        self._journal(step, step.call, "failed" if result.outcome is StepOutcome.FAILED else "ok", error=result.reason)
        return result

    def _attempt(self, planned: PlannedStep) -> StepResult:
        step, delay = planned.step, planned.step.delay_s
        for attempt in range(1, step.attempts + 1):
            try:
                with time_limit(step.timeout_s):
                    done = call_action(step.call, planned.arguments, self._context)
            except (IrError, OSError, StepTimeout) as error:
                result = StepResult(step.id, StepOutcome.FAILED, describe_error(error))
            else:
                return self._check_evidence(step, done)
            if attempt < step.attempts:
                time.sleep(delay)
                delay *= 2
        return result

    def _check_evidence(self, step: Step, done: Done) -> StepResult:
        for need in step.evidence:
            if need.required and not any(
                item.outcome.value == "collected" for item in self._context.case.find(need.kind)
            ):
                reason = "; ".join((f"the required evidence '{need.kind}' was not collected", *done.failures))
                return StepResult(step.id, StepOutcome.FAILED, reason, value=done.value)
        outcome = StepOutcome.PARTIAL if done.failures else StepOutcome.DONE
        return StepResult(step.id, outcome, "; ".join(done.failures), value=done.value)

    def roll_back(self, failed: Step) -> None:
        """Undo every step that has a rollback, newest first; a rollback that fails is on record and stops nothing."""
        values = fill_inputs(self._playbook, self._context.inputs)
        for step, call in reversed(self._undo):
            arguments = _fill(call, values)
            self._journal(step, call, "begin", arguments, purpose=f"roll back after {failed.id}")
            try:
                call_action(call, arguments, self._context)
            except (IrError, OSError) as error:
                self._journal(step, call, "failed", error=describe_error(error))
                continue
            self._journal(step, call, "ok")

    def _note(self, step: Step, outcome: StepOutcome, reason: str) -> StepResult:
        result = "failed" if outcome is StepOutcome.FAILED else outcome.value
        self._journal(step, step.call, result, error=reason)
        return StepResult(step.id, outcome, reason)

    def _journal(  # noqa: PLR0913 - the facts of one journal entry
        self,
        step: Step,
        call: Call,
        result: str,
        arguments: JsonObject | None = None,
        *,
        error: str = "",
        purpose: str = "",
    ) -> None:
        details: JsonObject = {"run": self._run_id, "uses": call.uses}
        if not call.uses.startswith(_CLOSING):
            details["activity"] = f"step {step.id} ({call.uses})#{self._run_id}"
        if arguments is not None:
            details["with"] = arguments
        self._context.case.record(
            "step",
            purpose=purpose or step.description or call.uses,
            result=result,
            error=error or None,
            details=details,
            authority=self._authority(step),
        )

    def _authority(self, step: Step) -> Authority:
        playbook = f"{self._playbook.id} sha256:{self._playbook.digest}"
        return replace(self._context.case.authority, playbook=playbook, step=step.id, run_id=self._run_id)


def call_action(call: Call, arguments: JsonObject, context: RunContext) -> Done:
    """Call one registered action with its arguments and the defaults of those left out."""
    action = ACTIONS[call.uses]
    module, _, function = action.target.partition(":")
    target = cast("Callable[[RunContext, JsonObject], Done]", getattr(importlib.import_module(module), function))
    defaults = {parameter.name: parameter.default for parameter in action.parameters}
    return target(context, {**defaults, **arguments, "uses": call.uses})


def describe_error(error: BaseException) -> str:
    """Return one sentence for *error*, with its hint where it has one."""
    if isinstance(error, IrError):
        return f"{error.message} ({error.hint})" if error.hint else error.message
    if isinstance(error, OSError) and error.strerror:
        where = f": {show(str(error.filename))}" if error.filename else ""
        return f"{error.strerror}{where}"
    return str(error) or type(error).__name__


def to_document(results: tuple[StepResult, ...]) -> list[JsonObject]:
    """Return the results as plain JSON."""
    return [{**asdict(result), "outcome": result.outcome.value} for result in results]


def _fill(call: Call, values: JsonObject) -> JsonObject:
    return {name: _fill_value(value, values) for name, value in call.arguments.items()}


def _fill_value(value: object, values: JsonObject) -> object:
    if not isinstance(value, str):
        return value
    whole = _REFERENCE.fullmatch(value)
    return values[whole[1]] if whole else _REFERENCE.sub(lambda match: str(values[match[1]]), value)
