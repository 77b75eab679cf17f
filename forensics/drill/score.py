"""Compares what was found with what was planted. Pure: a scenario, an analysis and the process table in, numbers out.

A planted thing counts as found when one finding that alerts points at it *and* names one of the expected ATT&CK
techniques (or a parent or child of one). An alert that points at nothing planted is a false positive, and so is one
that also points at the noise. A finding that names techniques by the handful names none: a guess is no answer. Each
thing counts once, however many findings point at it, so that repeating what is right hides nothing that is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from forensics.drill.placeholders import Peers
from forensics.drill.schema import MatchModel, ScenarioModel, TruthModel
from forensics.model import Analysis, Finding, Severity
from forensics.text import from_bytes

_ALERTING = Severity.MEDIUM
_MOST_TECHNIQUES = 6
_PATH_BEFORE, _PATH_AFTER = r"(?<![\w./\\-])", r"(?![\w-]|\.\w)"
_ADDRESS_BEFORE, _ADDRESS_AFTER = r"(?<![\w.])(?<![0-9a-f]:)", r"(?![0-9A-Fa-f]|\.\d)"


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


def score(model: ScenarioModel, analysis: Analysis, processes: Iterable[ProcessFact], peers: Peers) -> Score:
    """Return the score of *analysis*; recall counts planted things, precision distinct things that alerts point at."""
    by_pid = {process.pid: process for process in processes}
    sights = [_Sight(finding, by_pid, peers) for finding in analysis.findings]
    recovered = {"/" + from_bytes(file.entry.path).lstrip("/") for file in analysis.recovered}
    found = [truth for truth in model.truth if _is_found(truth, sights, recovered)]
    planted = [*(truth.match for truth in model.truth), *model.related]
    alerts = [sight for sight in sights if sight.alerts(_ALERTING)]
    right = [match for match in planted if any(alert.shows(match) for alert in alerts)]
    wrong = tuple(dict.fromkeys(sentence for alert in alerts for sentence in _find_wrong(alert, planted, model)))
    return Score(
        found=tuple(truth.what for truth in found),
        missed=tuple(truth.what for truth in model.truth if truth not in found),
        false_positives=wrong,
        recall=len(found) / len(model.truth) if model.truth else 1.0,
        precision=len(right) / (len(right) + len(wrong)) if wrong else 1.0,
    )


def list_noise(model: ScenarioModel) -> list[MatchModel]:
    """Return what no alert may point at: the files of the noise (folders too), and what is named benign."""
    planted = {file.path for file in model.plant.files} | {truth.match.path for truth in model.truth}
    files = [MatchModel(path=file.path) for file in model.noise.files if file.path not in planted]
    return [*model.benign, *files]


def _find_wrong(alert: _Sight, planted: list[MatchModel], model: ScenarioModel) -> Iterable[str]:
    if not any(map(alert.shows, planted)):
        yield f"{alert.finding.rule}: {alert.finding.matched}"
        return
    for match in list_noise(model):
        if alert.shows(match):
            harmless = match.path or match.argv or match.address or match.text
            yield f"{alert.finding.rule}: it also points at the harmless {harmless}"


def _is_found(truth: TruthModel, sights: list[_Sight], recovered: set[str]) -> bool:
    if truth.recovered and truth.match.path not in recovered:
        return False
    if not truth.attack:
        return truth.recovered
    least = Severity(truth.severity)
    return any(
        sight.alerts(least) and sight.shows(truth.match) and _names_one(sight.finding.attack, truth.attack)
        for sight in sights
    )


def _names_one(named: tuple[str, ...], expected: list[str]) -> bool:
    return len(named) <= _MOST_TECHNIQUES and any(
        one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")
        for one in named
        for other in expected
    )


class _Sight:
    """A finding, and everything it points at, as text."""

    def __init__(self, finding: Finding, by_pid: dict[int, ProcessFact], peers: Peers) -> None:
        self.finding = finding
        self._peers = peers
        self._paths = {"/" + from_bytes(ref.path.lstrip(b"/")) for ref in finding.evidence if ref.path is not None}
        self._processes = [by_pid[ref.pid] for ref in finding.evidence if ref.pid in by_pid]

    def alerts(self, least: Severity) -> bool:
        """Return whether the finding is at least that severe."""
        return self.finding.severity.rank <= least.rank

    def shows(self, match: MatchModel) -> bool:
        """Return whether the finding points at what *match* describes; nothing is never pointed at."""
        argv, address, text = (self._peers.put_in(value or "") for value in (match.argv, match.address, match.text))
        return bool(
            (match.path and self._shows_path(match.path))
            or (argv and self._shows_argv(argv))
            or (address and self._says(address, _ADDRESS_BEFORE, _ADDRESS_AFTER))
            or (text and text in self.finding.matched)
        )

    def _shows_path(self, path: str) -> bool:
        programs = {process.exe.removesuffix(" (deleted)") for process in self._processes}
        return path in self._paths | programs or self._says(path, _PATH_BEFORE, _PATH_AFTER)

    def _shows_argv(self, argv: str) -> bool:
        return argv in self.finding.matched or any(argv in process.argv for process in self._processes)

    def _says(self, wanted: str, before: str, after: str) -> bool:
        """Return whether *wanted* stands in what the finding matched, and not only as a part of something longer."""
        return re.search(before + re.escape(wanted) + after, self.finding.matched) is not None
