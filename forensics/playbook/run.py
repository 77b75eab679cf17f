"""Runs a playbook: every step journaled before and after, nothing skipped in silence, what must happen last happens.

A step that fails is data, not an exception: its `on_failure` says what follows. Dry-run and run read the same plan.
A step that may begin alone runs in the caller's thread, where a time-out also interrupts system calls; steps that wait
for nothing of each other run beside each other, one thread each.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import asdict, dataclass, replace

from forensics.errors import PlaybookError
from forensics.model import JsonObject, StepOutcome, StepResult
from forensics.playbook.action import Action
from forensics.playbook.catalogue import find_action
from forensics.playbook.context import RunContext, fill_inputs
from forensics.playbook.execute import Executor, call_action, describe_error, fill_defaults
from forensics.playbook.gate import Gate
from forensics.playbook.journal import Journal, RunRecord, find_failures
from forensics.playbook.lanes import Lanes
from forensics.playbook.plan import Call, Playbook, Step
from forensics.playbook.schedule import find_beside, find_waits
from forensics.text import show

__all__ = [
    "PlannedStep",
    "call_action",
    "describe_error",
    "find_failures",
    "plan_run",
    "run_playbook",
    "to_document",
]

_GOOD = frozenset({StepOutcome.DONE, StepOutcome.PARTIAL})
_REFERENCE = re.compile(r"\$\{inputs\.([a-z0-9][a-z0-9_-]*)\}")


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One line of a dry-run: what would be called, with what, on which condition, and beside what."""

    step: Step
    arguments: JsonObject
    last: bool
    waits: frozenset[str] = frozenset()
    beside: tuple[str, ...] = ()

    def full_arguments(self) -> JsonObject:
        """Return the arguments with the defaults of those left out: exactly what the action is given."""
        return fill_defaults(self.step.call) | self.arguments


def plan_run(playbook: Playbook, inputs: JsonObject) -> tuple[PlannedStep, ...]:
    """Return exactly what a run would do, in its order; changes nothing.

    Raises:
        PlaybookError: a required input is missing, one is given that does not exist, or an action is not installed.
    """
    known = {item.name for item in playbook.inputs}
    for name in inputs:
        if name not in known:
            hint = f"it has: {', '.join(sorted(known))}" if known else "it has none"
            raise PlaybookError(f"'{playbook.id}' has no input '{show(name)}'", hint=hint)
    missing = [item.name for item in playbook.inputs if item.required and not inputs.get(item.name)]
    if missing:
        raise PlaybookError(f"'{playbook.id}' needs the input '{missing[0]}'", hint=f"add --input {missing[0]}=VALUE")
    values = fill_inputs(playbook, inputs)
    actions = find_actions(playbook)
    return (
        *_plan(playbook.steps, values, actions, last=False),
        *_plan(playbook.finally_steps, values, actions, last=True),
    )


def digest_plan(plan: tuple[PlannedStep, ...]) -> str:
    """Return the SHA-256 (hex) of everything that the plan says: what was shown is what ran."""
    document = [
        {**asdict(planned.step), "arguments": planned.full_arguments(), "waits": sorted(planned.waits)}
        for planned in plan
    ]
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def find_actions(playbook: Playbook) -> dict[str, Action]:
    """Return the action of every step.

    Raises:
        PlaybookError: one is not installed (any more).
    """
    actions = {}
    for step in playbook.steps + playbook.finally_steps:
        action = find_action(step.call.uses)
        if action is None:
            raise PlaybookError(f"the action '{step.call.uses}' is not installed", hint="see 'ir playbook actions'")
        actions[step.call.uses] = action
    return actions


def run_playbook(playbook: Playbook, context: RunContext, *, record: RunRecord | None = None) -> tuple[StepResult, ...]:
    """Run *playbook* and return one result a step, in the order of the file; with *record*, go on with that run.

    Raises:
        PlaybookError: the inputs do not fit; nothing was run.
    """
    plan = plan_run(playbook, context.inputs)
    context = replace(context, playbook=playbook, run_id=record.run_id if record else os.urandom(16).hex())
    run = _Run(playbook, context, plan, record)
    run.begin()
    run.take([planned for planned in plan if not planned.last])
    run.roll_back_where_wanted()
    run.take([planned for planned in plan if planned.last])
    return run.end()


class _Run:
    """One run in progress."""

    def __init__(
        self, playbook: Playbook, context: RunContext, plan: tuple[PlannedStep, ...], record: RunRecord | None
    ) -> None:
        self._plan = plan
        self._context = context
        self._resumed = record is not None
        self._record = record or _new_record(playbook, context, plan)
        self._journal = Journal(context.case, playbook, context.run_id)
        self._executor = Executor(context, self._journal)
        self._gate = Gate(playbook, context, self._journal, self._record)
        self._lanes = Lanes(self._executor, self._journal)
        context.results.update(self._record.results)

    def begin(self) -> None:
        record = self._record
        details = {"inputs": record.inputs, "container": record.container, "plan_sha256": record.plan}
        self._journal.begin_run(details, resumed=self._resumed)

    def end(self) -> tuple[StepResult, ...]:
        results = tuple(self._context.results[planned.step.id] for planned in self._plan)
        self._journal.end_run(results)
        return results

    def take(self, section: list[PlannedStep]) -> None:
        """Take the steps of one section, as many beside each other as wait for nothing of each other."""
        try:
            self._take(section)
        except BaseException:
            self._lanes.stop()
            raise

    def _take(self, section: list[PlannedStep]) -> None:
        pending = [planned for planned in section if planned.step.id not in self._context.results]
        waits = {planned.step.id: planned.waits for planned in section}
        while pending or self._lanes.busy:
            ended = set(self._context.results)
            ready = [planned for planned in pending if waits[planned.step.id] <= ended]
            pending = [planned for planned in pending if planned not in ready]
            for planned in ready:
                self._start(planned, alone=len(ready) == 1)
            if self._lanes.busy:
                self._keep(self._lanes.wait())

    def _start(self, planned: PlannedStep, *, alone: bool) -> None:
        step = planned.step
        self._context.watcher.begin(step)
        verdict = self._gate.decide(planned, "" if planned.last else self._find_abort())
        if verdict.result is not None:
            self._keep(verdict.result)
        elif alone and not self._lanes.busy:
            self._keep(self._lanes.run_here(planned, verdict.grant, again=verdict.again))
        else:
            self._lanes.start(planned, verdict.grant, again=verdict.again)

    def _keep(self, result: StepResult) -> None:
        self._context.results[result.step] = result
        self._context.watcher.end(result)

    def _find_abort(self) -> str:
        failed = self._find_ending_step()
        return failed.id if failed else ""

    def _find_ending_step(self) -> Step | None:
        """Return the step that ended the run: one that went wrong and does not say `continue`."""
        for planned in self._plan:
            result = self._context.results.get(planned.step.id)
            went_wrong = result and result.outcome in {StepOutcome.FAILED, StepOutcome.DENIED}
            if went_wrong and not planned.last and planned.step.on_failure != "continue":
                return planned.step
        return None

    def roll_back_where_wanted(self) -> None:
        """Undo every step that has begun and can be undone, newest first; one that fails is named and stops nothing."""
        failed = self._find_ending_step()
        if failed is None or failed.on_failure != "rollback":
            return
        values = fill_inputs(self._context.playbook, self._context.inputs) if self._context.playbook else {}
        begun = {**self._record.begun, **self._lanes.begun}
        told = []
        for step in sorted((p.step for p in self._plan if p.step.id in begun), key=lambda one: -begun[one.id]):
            if step.rollback is None or step.id in self._record.undone:
                continue
            result = self._executor.undo(step, step.rollback, _fill(step.rollback, values), failed)
            good = result.outcome in _GOOD and not result.reason
            told.append(
                f"'{step.id}' was rolled back" if good else f"the rollback of '{step.id}' failed: {result.reason}"
            )
        result = self._context.results[failed.id]
        self._context.results[failed.id] = replace(result, reason="; ".join((result.reason, *told)))


def _new_record(playbook: Playbook, context: RunContext, plan: tuple[PlannedStep, ...]) -> RunRecord:
    return RunRecord(
        run_id=context.run_id,
        playbook_id=playbook.id,
        digest=playbook.digest,
        source=playbook.source,
        plan=digest_plan(plan),
        inputs=fill_inputs(playbook, context.inputs),
        container=context.container,
        host_id="",
    )


def to_document(results: tuple[StepResult, ...]) -> list[JsonObject]:
    """Return the results as plain JSON."""
    return [{**asdict(result), "outcome": result.outcome.value} for result in results]


def _plan(
    steps: tuple[Step, ...], values: JsonObject, actions: dict[str, Action], *, last: bool
) -> tuple[PlannedStep, ...]:
    waits = find_waits(steps, actions)
    beside = find_beside(waits)
    return tuple(PlannedStep(step, _fill(step.call, values), last, waits[step.id], beside[step.id]) for step in steps)


def _fill(call: Call, values: JsonObject) -> JsonObject:
    return {name: _fill_value(value, values) for name, value in call.arguments.items()}


def _fill_value(value: object, values: JsonObject) -> object:
    if isinstance(value, list):
        return [_fill_value(item, values) for item in value]
    if not isinstance(value, str):
        return value
    whole = _REFERENCE.fullmatch(value)
    return values[whole[1]] if whole else _REFERENCE.sub(lambda match: str(values[match[1]]), value)
