"""A run's part of the custody log: every step before and after it happens; the log alone says where to go on.

An entry of a step names its run, its action, its phase (*do*, or *undo* for a rollback) and, at its end, outcome and
value. A begin without an end is a step that was interrupted. Nothing here decides anything.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.model import JsonObject, StepOutcome, StepResult
from forensics.playbook.plan import Call, Playbook, Step

if TYPE_CHECKING:
    from collections.abc import Iterable

    from forensics.evidence.case import Case
    from forensics.evidence.custody import Authority, CustodyEntry

_CLOSING = "case."
"""Sealing and verifying are no open acts of the case that they look at: a seal would call it incomplete."""
_MOST_VALUE = 64 << 10
_BAD = frozenset({StepOutcome.FAILED, StepOutcome.PARTIAL, StepOutcome.DENIED})
DO, UNDO = "do", "undo"


@dataclass
class RunRecord:
    """What the log says of one run."""

    run_id: str
    playbook_id: str
    digest: str
    source: str
    plan: str
    inputs: JsonObject
    container: str
    host_id: str
    results: dict[str, StepResult] = field(default_factory=dict)
    begun: dict[str, int] = field(default_factory=dict)
    undone: set[str] = field(default_factory=set)
    nonces: set[str] = field(default_factory=set)
    is_over: bool = False


class Journal:
    """Writes the entries of one run."""

    def __init__(self, case: Case, playbook: Playbook, run_id: str) -> None:
        """Take the case; nothing is written yet."""
        self._case = case
        self._playbook = playbook
        self.run_id = run_id

    def begin_run(self, details: JsonObject, *, resumed: bool = False) -> None:
        """Record that the run begins, or goes on, with everything that it depends on."""
        known = {
            "run": self.run_id,
            "playbook": self._playbook.id,
            "playbook_sha256": self._playbook.digest,
            "source": str(Path(self._playbook.source).absolute()),
            **details,
            "steps": [step.id for step in self._playbook.steps + self._playbook.finally_steps],
        }
        purpose = f"{'go on with' if resumed else 'run'} {self._playbook.id}"
        self._case.record("playbook", purpose=purpose, result="begin", details=known | {"resumed": resumed})

    def end_run(self, results: Iterable[StepResult]) -> None:
        """Record how the run ended."""
        kept = tuple(results)
        failures = find_failures(kept)
        self._case.record(
            "playbook",
            purpose=f"run {self._playbook.id}",
            result="failed" if failures else "ok",
            error="; ".join(failures) or None,
            details={"run": self.run_id, "outcomes": {r.step: r.outcome.value for r in kept}},
        )

    def authority(self, step: Step) -> Authority:
        """Return under which authority everything of *step* is recorded."""
        playbook = f"{self._playbook.id} sha256:{self._playbook.digest}"
        return replace(self._case.authority, playbook=playbook, step=step.id, run_id=self.run_id)

    def begin(self, step: Step, call: Call, arguments: JsonObject, *, phase: str = DO, purpose: str = "") -> None:
        """Record that a step, or its rollback, begins."""
        self._record(step, call, "begin", phase, purpose=purpose, more={"with": arguments})

    def end(self, step: Step, call: Call, result: StepResult, *, phase: str = DO) -> None:
        """Record how a step, or its rollback, ended."""
        word = {StepOutcome.FAILED: "failed", StepOutcome.DENIED: "denied", StepOutcome.SKIPPED: "skipped"}
        said = word.get(result.outcome, "ok")
        value = _bound(result.value)
        self._record(
            step,
            call,
            said,
            phase,
            error=result.reason,
            more={"outcome": result.outcome.value, "value": value, "seconds": result.seconds},
        )

    def interrupt(self, step: Step, call: Call, error: BaseException, *, phase: str = DO) -> None:
        """Record that a step was interrupted from outside; it counts as begun, not as ended."""
        self._record(
            step, call, "failed", phase, error=f"interrupted: {type(error).__name__}", more={"interrupted": True}
        )

    def _record(  # noqa: PLR0913 - the facts of one journal entry
        self, step: Step, call: Call, result: str, phase: str, *, more: JsonObject, error: str = "", purpose: str = ""
    ) -> None:
        details: JsonObject = {"run": self.run_id, "uses": call.uses, "phase": phase}
        if not call.uses.startswith(_CLOSING):
            act = "step" if phase == DO else "rollback of step"
            details["activity"] = f"{act} {step.id} ({call.uses})#{self.run_id}"
        self._case.record(
            "step",
            purpose=purpose or step.description or call.uses,
            result=result,
            error=error or None,
            details=details | more,
            authority=self.authority(step),
        )


def find_failures(results: Iterable[StepResult]) -> tuple[str, ...]:
    """Return one sentence for each step that did not end well; empty means exit code 0."""
    return tuple(f"{result.step} {result.outcome}: {result.reason}" for result in results if result.outcome in _BAD)


def read_runs(case: Case) -> tuple[RunRecord, ...]:
    """Return every run that the case's log holds, oldest first; entries of no known form are left out."""
    runs: dict[str, RunRecord] = {}
    for entry in case.custody():
        details = entry.details or {}
        run_id = details.get("run")
        if not isinstance(run_id, str):
            continue
        if entry.action == "playbook" and entry.result == "begin":
            runs.setdefault(run_id, _read_begin(run_id, entry, details))
            runs[run_id].is_over = False
        elif run_id in runs and entry.action == "playbook":
            runs[run_id].is_over = True
        elif run_id in runs and entry.action == "step" and entry.authority.step:
            _read_step(runs[run_id], entry, details)
        elif run_id in runs and entry.action == "approve":
            runs[run_id].nonces.add(str(details.get("nonce")))
    return tuple(runs.values())


def _read_begin(run_id: str, entry: CustodyEntry, details: JsonObject) -> RunRecord:
    inputs = details.get("inputs")
    return RunRecord(
        run_id=run_id,
        playbook_id=str(details.get("playbook")),
        digest=str(details.get("playbook_sha256")),
        source=str(details.get("source") or ""),
        plan=str(details.get("plan_sha256") or ""),
        inputs=inputs if isinstance(inputs, dict) else {},
        container=str(details.get("container") or ""),
        host_id=str(entry.location.get("host_id") or ""),
    )


def _read_step(run: RunRecord, entry: CustodyEntry, details: JsonObject) -> None:
    name = str(entry.authority.step)
    if details.get("phase") == UNDO:
        if entry.result != "begin" and not details.get("interrupted"):
            run.undone.add(name)
    elif entry.result == "begin":
        run.begun[name] = entry.seq
        run.results.pop(name, None)
    elif not details.get("interrupted") and details.get("outcome") in set(StepOutcome):
        value = details.get("value")
        kept = value if isinstance(value, dict) else {}
        took = details.get("seconds")
        seconds = float(took) if isinstance(took, int | float) else 0.0
        run.results[name] = StepResult(name, StepOutcome(details["outcome"]), entry.error or "", seconds, kept)


def _bound(value: JsonObject) -> JsonObject:
    """Return *value*, or a note that it is too large for the log."""
    size = len(json.dumps(value))
    return value if size <= _MOST_VALUE else {"dropped": f"{size} bytes are too many for the log"}
