"""MITRE ATT&CK technique ids to names and tactics; findings told in the order of tactics. Asks nobody.

The table is :mod:`forensics.report.attack_table`. An id that is not listed is reported under "Other", never dropped; an
id that ATT&CK revoked is told under the one that replaced it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from forensics.analyze.rule import ATTACK_VERSION
from forensics.model import EvidenceRef, Finding, Severity, TimelineEvent
from forensics.report.attack_table import REPLACED, TABLE, TACTICS
from forensics.report.document import TacticStory, TechniqueUse

__all__ = ["ATTACK_VERSION", "OTHER", "TACTICS", "TECHNIQUES", "current_technique", "name_technique", "tell_story"]

OTHER = "Other"


def _parse_table() -> dict[str, tuple[str, tuple[str, ...]]]:
    techniques = {}
    for line in TABLE.strip().splitlines():
        head, name = line.split("|", 1)
        technique, tactics = head.split(" ", 1)
        techniques[technique] = (name, tuple(tactics.split(",")))
    return techniques


TECHNIQUES = _parse_table()
"""Technique id to (name, tactics)."""


def current_technique(technique: str) -> str:
    """Return the id that is in force for *technique*: the one that replaced it, else itself."""
    return REPLACED.get(technique, technique)


def name_technique(technique: str) -> str:
    """Return the technique's name with its parent's, as the matrix prints it; the id itself where it is unknown."""
    technique = current_technique(technique)
    known = TECHNIQUES.get(technique)
    if known is None:
        return technique
    parent = TECHNIQUES.get(technique.partition(".")[0])
    return f"{parent[0]}: {known[0]}" if parent and "." in technique else known[0]


def tell_story(findings: Sequence[Finding], timeline: Iterable[TimelineEvent]) -> tuple[TacticStory, ...]:
    """Group findings by tactic in life-cycle order, techniques by first sign; findings are numbered from 1.

    A technique that serves several tactics is told once, under its first one, so that a count is a count. What is said
    for information only is no part of an attack.
    """
    uses: dict[str, dict[str, list[int]]] = {}
    for number, finding in enumerate(findings, start=1):
        if finding.severity is Severity.INFO:
            continue
        for technique in dict.fromkeys(map(current_technique, finding.attack)):
            _, tactics = TECHNIQUES.get(technique, ("", (OTHER,)))
            uses.setdefault(tactics[0], {}).setdefault(technique, []).append(number)
    times = _date_findings(findings, timeline)
    return tuple(_tell_tactic(key, uses[key], times) for key in (*TACTICS, OTHER) if key in uses)


def _tell_tactic(tactic: str, uses: dict[str, list[int]], times: dict[int, str]) -> TacticStory:
    tactic_id, name = TACTICS.get(tactic, ("", OTHER))
    rows = []
    for technique, numbers in uses.items():
        first_at = min((times[number] for number in numbers if number in times), default="")
        rows.append(TechniqueUse(technique, name_technique(technique), tuple(numbers), first_at))
    rows.sort(key=lambda row: (not row.first_at, row.first_at, row.id))
    return TacticStory(tactic_id, name, tuple(rows))


def _date_findings(findings: Iterable[Finding], timeline: Iterable[TimelineEvent]) -> dict[int, str]:
    """Return by finding number the earliest undoubted event that shares a process or a path with it."""
    seen: dict[object, str] = {}
    for event in timeline:
        if event.evidence is None or event.doubt:
            continue
        for key in _keys(event.evidence):
            seen[key] = min(seen.get(key, event.at), event.at)
    times = {}
    for number, finding in enumerate(findings, start=1):
        known = [seen[key] for ref in finding.evidence for key in _keys(ref) if key in seen]
        if known:
            times[number] = min(known)
    return times


def _keys(ref: EvidenceRef) -> Iterator[object]:
    if ref.pid is not None:
        yield ref.pid
    if ref.path:
        yield ref.path.lstrip(b"/")
