"""What an earlier collection into the same case has left to do: read from its custody log and ledger, nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from forensics.collect.context import not_applicable
from forensics.collect.table import COLLECTORS
from forensics.model import LedgerLine, Outcome

if TYPE_CHECKING:
    from forensics.evidence.case import Case

COLLECTION = "collect"
ACTIVITY = f"{COLLECTION}."
"""Begins the name of each collector's activity in the custody log."""

_DEFAULT_PLAN = tuple(collector.name for collector in COLLECTORS if not collector.optional)
_PARTS = (", parts", ", the rest")


def find_finished(case: Case) -> frozenset[str]:
    """Return the collectors whose end stands in the custody log; one that was interrupted or killed is not among them.

    Raises:
        CaseError: the custody log cannot be read.
    """
    ended = [str((entry.details or {}).get("activity") or "") for entry in case.custody() if entry.result == "ok"]
    return frozenset(name.removeprefix(ACTIVITY).partition("#")[0] for name in ended if name.startswith(ACTIVITY))


def find_settled(case: Case, done: frozenset[str]) -> list[str]:
    """Return the interrupted acts of earlier collections of which nothing is left when *done* are collected."""
    settled = []
    for activity, details in case.open_activities().items():
        name = activity.partition("#")[0]
        planned = details.get("plan", _DEFAULT_PLAN) if name == COLLECTION else [name.removeprefix(ACTIVITY)]
        if name.startswith(COLLECTION) and done.issuperset(planned):
            settled.append(activity)
    return settled


def find_incomplete(case: Case) -> dict[str, tuple[LedgerLine, ...]]:
    """Return the collectors that ran to their end and of which something failed, with those lines of the ledger."""
    found: dict[str, tuple[LedgerLine, ...]] = {}
    for line in case.ledger():
        if line.outcome is Outcome.FAILED and line.activity.startswith(ACTIVITY):
            name = line.activity.removeprefix(ACTIVITY).partition("#")[0]
            found[name] = (*found.get(name, ()), line)
    return found


def find_mended(before: Iterable[LedgerLine], told: Iterable[LedgerLine]) -> Iterator[LedgerLine]:
    """Yield a line for each part that was missing *before* of a whole that has now been collected without a gap.

    A thing of its own that failed before and did not show again (a process that has ended since) stays failed.
    """
    now = {line.artefact: line.outcome for line in told}
    for line in before:
        whole = next((line.artefact.removesuffix(end) for end in _PARTS if line.artefact.endswith(end)), "")
        if line.artefact.startswith("changed-files /"):
            whole = "changed-files"
        if whole and line.artefact not in now and now.get(whole) is Outcome.COLLECTED:
            yield not_applicable(line.artefact, f"collected again, and nothing is missing of {whole}")
