"""Carries out one step or one rollback: journaled, within its time, tried again as it says, its evidence checked.

Whatever goes wrong inside an action becomes a result; only an interruption from outside goes on to the caller.
"""

from __future__ import annotations

import importlib
import time
from typing import TYPE_CHECKING, cast

from forensics.errors import IrError, PlaybookError
from forensics.evidence.door import Mandate
from forensics.model import JsonObject, StepOutcome, StepResult
from forensics.playbook.catalogue import find_action
from forensics.playbook.context import Done, RunContext
from forensics.playbook.journal import DO, UNDO, Journal
from forensics.playbook.plan import Call, Step
from forensics.playbook.timeout import StepTimeout, time_limit
from forensics.text import show

if TYPE_CHECKING:
    from collections.abc import Callable

    from forensics.playbook.context import Answer
    from forensics.playbook.run import PlannedStep

_UNDO_SECONDS = 600.0
"""For rollbacks of steps that say no time of their own: a rollback that hangs would hold everything up."""


class Executor:
    """Carries out the steps of one run."""

    def __init__(self, context: RunContext, journal: Journal) -> None:
        """Take what every step is given."""
        self._context = context
        self._journal = journal

    def execute(self, planned: PlannedStep, mandate: Mandate, grant: Answer | None, *, again: bool) -> StepResult:
        """Take one step and put it on record.

        Raises:
            BaseException: it was interrupted from outside; that is on record too.
        """
        step, started = planned.step, time.monotonic()
        with mandate.in_force():
            self._journal.begin(step, step.call, planned.arguments, phase=DO)
            try:
                result = self._attempt(planned, self._context.for_step(step, grant, again=again))
            except BaseException as error:
                if not mandate.is_withdrawn:
                    self._journal.interrupt(step, step.call, error)
                raise
            result = _timed(result, started)
            self._journal.end(step, step.call, result)
        return result

    def undo(self, step: Step, call: Call, arguments: JsonObject, failed: Step) -> StepResult:
        """Carry out the rollback of *step* and put it on record."""
        started = time.monotonic()
        with Mandate(self._journal.authority(step)).in_force():
            self._journal.begin(step, call, arguments, phase=UNDO, purpose=f"roll back after {failed.id}")
            try:
                limit = step.timeout_s or _UNDO_SECONDS
                done = self._try(call, arguments, self._context.for_step(step, None, again=False), limit)
            except BaseException as error:
                self._journal.interrupt(step, call, error, phase=UNDO)
                raise
            result = done if isinstance(done, StepResult) else _judge(step, done)
            result = _timed(result, started)
            self._journal.end(step, call, result, phase=UNDO)
        return result

    def _attempt(self, planned: PlannedStep, context: RunContext) -> StepResult:
        step, delay = planned.step, planned.step.delay_s
        done = self._try(step.call, planned.arguments, context, step.timeout_s)
        for _ in range(1, step.attempts):
            if isinstance(done, Done):
                break
            time.sleep(delay)
            delay *= 2
            done = self._try(step.call, planned.arguments, context, step.timeout_s)
        return self._check_evidence(step, done) if isinstance(done, Done) else done

    def _try(self, call: Call, arguments: JsonObject, context: RunContext, limit: float) -> Done | StepResult:
        name = context.step.id if context.step else ""
        try:
            with time_limit(limit):
                return call_action(call, arguments, context)
        except (IrError, OSError, StepTimeout) as error:
            return StepResult(name, StepOutcome.FAILED, describe_error(error))
        except Exception as error:  # noqa: BLE001 - a fault in one action must not keep the case from being sealed
            reason = f"internal error ({type(error).__name__}: {show(str(error), 200)}) in {call.uses}; this is a bug"
            return StepResult(name, StepOutcome.FAILED, reason)

    def _check_evidence(self, step: Step, done: Done) -> StepResult:
        items = self._context.case.items() if step.evidence else ()
        kept = {item.kind for item in items if item.outcome.value == "collected"}
        missing = [need.kind for need in step.evidence if need.required and need.kind not in kept]
        if missing:
            reason = "; ".join((f"the required evidence '{missing[0]}' was not collected", *done.failures))
            return StepResult(step.id, StepOutcome.FAILED, reason, value=done.value)
        return _judge(step, done)


def call_action(call: Call, arguments: JsonObject, context: RunContext) -> Done:
    """Call one registered action with its arguments and the defaults of those left out.

    Raises:
        PlaybookError: nobody offers the action any more.
    """
    action = find_action(call.uses)
    if action is None:
        raise PlaybookError(f"the action '{call.uses}' is not installed", hint="see 'ir playbook actions'")
    module, _, function = action.target.partition(":")
    target = cast("Callable[[RunContext, JsonObject], Done]", getattr(importlib.import_module(module), function))
    return target(context, {**fill_defaults(call), **arguments, "uses": call.uses})


def fill_defaults(call: Call) -> JsonObject:
    """Return the default of every parameter of the action that *call* names."""
    action = find_action(call.uses)
    return {
        parameter.name: list(parameter.default) if isinstance(parameter.default, tuple) else parameter.default
        for parameter in (action.parameters if action else ())
    }


def describe_error(error: BaseException) -> str:
    """Return one sentence for *error*, with its hint where it has one."""
    if isinstance(error, IrError):
        return f"{error.message} ({error.hint})" if error.hint else error.message
    if isinstance(error, OSError) and error.strerror:
        where = f": {show(str(error.filename))}" if error.filename else ""
        return f"{error.strerror}{where}"
    return str(error) or type(error).__name__


def _judge(step: Step, done: Done) -> StepResult:
    outcome = StepOutcome.PARTIAL if done.failures else StepOutcome.DONE
    return StepResult(step.id, outcome, "; ".join(done.failures), value=done.value)


def _timed(result: StepResult, started: float) -> StepResult:
    return StepResult(result.step, result.outcome, result.reason, round(time.monotonic() - started, 6), result.value)
