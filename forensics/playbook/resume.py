"""Finds the run that an interruption left, and makes sure that going on means the same playbook, plan, host and owner.

A case may come from somebody else, and its log names commands: a run is only gone on with by who began it, where it
began, with a playbook whose digest is the recorded one and that is read from outside the case.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.errors import PlaybookError, RefusedError, UsageError
from forensics.evidence.custody import LOG_NAME
from forensics.evidence.place import read_location
from forensics.model import StepResult
from forensics.playbook.compiled import list_playbooks, read_playbook
from forensics.playbook.journal import RunRecord, read_runs
from forensics.playbook.plan import Playbook
from forensics.playbook.run import PlannedStep, digest_plan, plan_run
from forensics.text import show

if TYPE_CHECKING:
    from forensics.evidence.case import Case
    from forensics.playbook.context import RunContext

_SHOWN = 12


def find_last_run(case: Case) -> RunRecord:
    """Return the run of *case* that began last, whether it has ended or not.

    Raises:
        UsageError: no playbook has run in this case.
        RefusedError: the run is not this user's, or not of this host.
    """
    runs = read_runs(case)
    if not runs:
        hint = "start one with 'ir run PLAYBOOK CONTAINER --case CASE'"
        raise UsageError("no playbook has run in this case", hint=hint)
    record = runs[-1]
    if (case.root / LOG_NAME).stat().st_uid != os.geteuid():
        raise RefusedError("the case belongs to somebody else", hint="go on as the user who ran the playbook")
    here = read_location(case.root).host_id
    if record.host_id and here and record.host_id != here:
        raise RefusedError("the run began on another host", hint="go on there; its containers are not here")
    return record


def find_same_playbook(record: RunRecord, named: str = "") -> Playbook:
    """Return the playbook of *record*: the file *named*, else where it was read from, else the shipped one of its name.

    Raises:
        PlaybookError: none of them has the recorded digest.
    """
    shipped = [str(path) for path in list_playbooks() if path.stem == record.playbook_id]
    candidates = [named] if named else [*([record.source] if record.source else []), *shipped]
    found = []
    for ref in candidates:
        if not named and not Path(ref).is_file():
            continue
        playbook = read_playbook(ref)
        if playbook.digest == record.digest:
            return playbook
        found.append(playbook.digest)
    now = f", it is {found[0][:_SHOWN]}… now" if found else " and cannot be found any more"
    name, digest = show(record.playbook_id, 60), record.digest[:_SHOWN]
    raise PlaybookError(
        f"the playbook '{name}' was sha256 {show(digest)}… when the run began{now}",
        hint="give the file as it was with --playbook",
    )


def plan_rest(playbook: Playbook, record: RunRecord) -> tuple[PlannedStep, ...]:
    """Return the whole plan of the run, which is the one that was recorded.

    Raises:
        RefusedError: this installation would do something else.
    """
    plan = plan_run(playbook, record.inputs)
    if record.plan and digest_plan(plan) != record.plan:
        raise RefusedError(
            "this version of ir, or an action of yours, would run another plan than the one that began",
            hint="go on with the version that began it, or start anew with 'ir run'",
        )
    return plan


def list_results(plan: tuple[PlannedStep, ...], record: RunRecord) -> tuple[StepResult, ...]:
    """Return the results on record, in the order of the plan."""
    return tuple(record.results[planned.step.id] for planned in plan if planned.step.id in record.results)


def describe_rest(plan: tuple[PlannedStep, ...], record: RunRecord) -> tuple[tuple[str, str], ...]:
    """Return every step and what going on means for it: *done*, *again* or *next*, with its outcome."""
    told = []
    for planned in plan:
        name = planned.step.id
        result = record.results.get(name)
        told.append(
            (name, f"{result.outcome}, not repeated" if result else "again" if name in record.begun else "next")
        )
    return tuple(told)


def restore_objects(context: RunContext, plan: tuple[PlannedStep, ...], record: RunRecord) -> None:
    """Put back what finished steps left for the end of the run: where the report is."""
    for planned in plan:
        result = record.results.get(planned.step.id)
        if result and planned.step.call.uses == "report.render" and isinstance(result.value.get("path"), str):
            path = Path(result.value["path"])
            if path.is_file():
                context.objects.setdefault("report", path)
