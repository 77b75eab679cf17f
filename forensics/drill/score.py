"""Compares what was found with what was planted. Pure: a scenario, an analysis and the process table in, numbers out.

A planted thing counts as found when one finding points at it *and* names one of the expected ATT&CK techniques (or a
parent or child of one). A finding of medium severity or worse that points at nothing planted is a false positive.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from forensics.drill.scenario import PEER
from forensics.drill.schema import MatchModel, ScenarioModel, TruthModel
from forensics.model import Analysis, Finding, Severity
from forensics.text import from_bytes

_ALERTING = Severity.MEDIUM


@dataclass(frozen=True, slots=True)
class ProcessFact:
    """What a process id in a finding stands for."""

    pid: int
    argv: str
    exe: str


@dataclass(frozen=True, slots=True)
class Score:
    """How good the findings were; ``found`` and ``missed`` hold what was planted, in the scenario's words."""

    found: tuple[str, ...]
    missed: tuple[str, ...]
    false_positives: tuple[str, ...]
    recall: float
    precision: float


def score(model: ScenarioModel, analysis: Analysis, processes: Iterable[ProcessFact], peer: str) -> Score:
    """Return the score of *analysis*; *peer* stands for the address in the scenario's matches."""
    by_pid = {process.pid: process for process in processes}
    sights = [_Sight(finding, by_pid, peer) for finding in analysis.findings]
    recovered = {"/" + from_bytes(file.entry.path) for file in analysis.recovered}
    found = [truth for truth in model.truth if _is_found(truth, sights, recovered)]
    planted = [*(truth.match for truth in model.truth), *model.related]
    alerting = [sight for sight in sights if sight.finding.severity.rank <= _ALERTING.rank]
    wrong = [sight for sight in alerting if not any(map(sight.shows, planted))]
    return Score(
        found=tuple(truth.what for truth in found),
        missed=tuple(truth.what for truth in model.truth if truth not in found),
        false_positives=tuple(f"{sight.finding.rule}: {sight.finding.matched}" for sight in wrong),
        recall=len(found) / len(model.truth) if model.truth else 1.0,
        precision=(len(alerting) - len(wrong)) / len(alerting) if alerting else 1.0,
    )


def _is_found(truth: TruthModel, sights: list[_Sight], recovered: set[str]) -> bool:
    if truth.recovered and truth.match.path in recovered and not truth.attack:
        return True
    return any(sight.shows(truth.match) and _names_one(sight.finding.attack, truth.attack) for sight in sights)


def _names_one(named: tuple[str, ...], expected: list[str]) -> bool:
    return any(
        one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")
        for one in named
        for other in expected
    )


class _Sight:
    """A finding, and everything it points at, as text."""

    def __init__(self, finding: Finding, by_pid: dict[int, ProcessFact], peer: str) -> None:
        self.finding = finding
        self._peer = peer
        self._paths = {"/" + from_bytes(ref.path.lstrip(b"/")) for ref in finding.evidence if ref.path is not None}
        self._processes = [by_pid[ref.pid] for ref in finding.evidence if ref.pid in by_pid]

    def shows(self, match: MatchModel) -> bool:
        """Return whether the finding points at what *match* describes."""
        return (
            (match.path is not None and self._shows_path(match.path))
            or (match.argv is not None and self._shows_argv(match.argv))
            or (match.address is not None and self._put_in(match.address) in self.finding.matched)
            or (match.text is not None and self._put_in(match.text) in self.finding.matched)
        )

    def _shows_path(self, path: str) -> bool:
        programs = {process.exe.removesuffix(" (deleted)") for process in self._processes}
        return path in self._paths | programs or path in self.finding.matched

    def _shows_argv(self, argv: str) -> bool:
        wanted = self._put_in(argv)
        return wanted in self.finding.matched or any(wanted in process.argv for process in self._processes)

    def _put_in(self, text: str) -> str:
        return text.replace(PEER, self._peer)
