"""What many drills say together: the trend, what got worse, the readiness level. Pure: runs in, a scorecard out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from forensics.drill.history import Run
from forensics.drill.readiness import Readiness, judge_readiness
from forensics.model import JsonObject

_SLOWER_FACTOR, _SLOWER_S = 1.5, 1.0
_BAD_STEPS = frozenset({"failed", "partial"})
TIMES = (
    ("time_to_contain_s", "contained"),
    ("time_to_first_finding_s", "first finding"),
    ("time_to_sealed_case_s", "sealed case"),
)
"""The times of a run that are followed, and how each is called."""


@dataclass(frozen=True, slots=True)
class Trend:
    """One scenario over its runs, oldest first; ``regressions`` compares the last run with the one before it."""

    scenario: str
    runs: tuple[Run, ...]
    regressions: tuple[str, ...]

    @property
    def last(self) -> Run:
        """The newest run."""
        return self.runs[-1]


@dataclass(frozen=True, slots=True)
class StepFailure:
    """How often one step of one playbook did not end well, and why it did so last."""

    playbook: str
    step: str
    failures: int
    runs: int
    reason: str


@dataclass(frozen=True, slots=True)
class Scorecard:
    """The whole card; ``made_at`` is the moment that it speaks of."""

    made_at: datetime
    trends: tuple[Trend, ...]
    steps: tuple[StepFailure, ...]
    readiness: Readiness
    never_run: tuple[str, ...] = field(default=())

    @property
    def regressions(self) -> tuple[str, ...]:
        """Every regression, with its scenario in front."""
        return tuple(f"{trend.scenario}: {sentence}" for trend in self.trends for sentence in trend.regressions)


def build_scorecard(
    runs: Iterable[Run], scenarios: dict[str, str], playbooks: Iterable[str], scheduled: Iterable[str], now: datetime
) -> Scorecard:
    """Return the scorecard of *runs*; *scenarios* maps each shipped scenario to its playbook."""
    by_scenario: dict[str, list[Run]] = {}
    every = tuple(runs)
    for run in every:
        by_scenario.setdefault(run.scenario, []).append(run)
    trends = tuple(
        Trend(scenario, tuple(own), find_regressions(own[-2], own[-1]) if len(own) > 1 else ())
        for scenario, own in sorted(by_scenario.items())
    )
    regressed = tuple(trend.scenario for trend in trends if trend.regressions)
    readiness = judge_readiness(by_scenario, scenarios, tuple(playbooks), tuple(scheduled), regressed, now)
    never = tuple(sorted(set(scenarios) - set(by_scenario)))
    return Scorecard(now, trends, count_step_failures(every), readiness, never)


def find_regressions(before: Run, after: Run) -> tuple[str, ...]:
    """Return what is worse in *after* than in *before*; a time when it is half as long again and 1 s more."""
    old, new = before.document, after.document
    found = []
    if before.passed and not after.passed:
        found.append(f"it passed before and fails now: {'; '.join(map(str, new['problems'][:2])) or 'no reason given'}")
    for name in ("recall", "precision"):
        if new[name] < old[name]:
            found.append(f"{name} fell from {old[name]:.2f} to {new[name]:.2f}")
    lost = [what for what in new["missed"] if what in old["found"]]
    if lost:
        found.append(f"found before and missed now: {', '.join(lost)}")
    fresh = [what for what in new["false_positives"] if what not in old["false_positives"]]
    if fresh:
        found.append(f"{len(fresh)} new false positives, first {fresh[0]}")
    if new["packets_escaped"] > old["packets_escaped"]:
        found.append(f"packets escaped: {new['packets_escaped']}, before {old['packets_escaped']}")
    found += [sentence for key, name in TIMES if (sentence := _compare_times(old.get(key), new.get(key), name))]
    good = {step["step"] for step in old.get("steps", ()) if step["outcome"] not in _BAD_STEPS}
    found += [
        f"the step {step['step']} fails now: {step['reason']}" for step in _bad_steps(after) if step["step"] in good
    ]
    return tuple(found)


def _compare_times(old: float | None, new: float | None, name: str) -> str:
    if old is None or new is None:
        return f"{name} was reached before ({old:.1f} s) and is not now" if old is not None and new is None else ""
    slower = new > old * _SLOWER_FACTOR and new > old + _SLOWER_S
    return f"{name} took {new:.1f} s, before {old:.1f} s" if slower else ""


def count_step_failures(runs: Iterable[Run]) -> tuple[StepFailure, ...]:
    """Return every step that did not end well at least once, the worst first."""
    taken: Counter[tuple[str, str]] = Counter()
    failed: Counter[tuple[str, str]] = Counter()
    reasons: dict[tuple[str, str], str] = {}
    for run in runs:
        playbook = str(run.document.get("playbook", ""))
        taken.update((playbook, str(step["step"])) for step in run.document.get("steps", ()))
        for step in _bad_steps(run):
            key = (playbook, str(step["step"]))
            failed[key] += 1
            reasons[key] = str(step["reason"])
    return tuple(StepFailure(*key, count, taken[key], reasons[key]) for key, count in failed.most_common())


def _bad_steps(run: Run) -> list[JsonObject]:
    """Return the steps that speak against the run; half a success does not where the scenario expects no more."""
    bad = _BAD_STEPS if not run.passed else {"failed"}
    return [step for step in run.document.get("steps", ()) if step["outcome"] in bad]


def to_document(card: Scorecard) -> JsonObject:
    """Return the scorecard as ``ir.scorecard/1``."""
    return {
        "schema": "ir.scorecard/1",
        "made_at": card.made_at.isoformat(timespec="seconds"),
        "level": card.readiness.level,
        "next_level": card.readiness.next_level,
        "missing": list(card.readiness.missing),
        "levels": [
            {
                "level": level.name,
                "reached": level.reached,
                "criteria": [
                    {"criterion": criterion.text, "met": not criterion.missing, "missing": criterion.missing}
                    for criterion in level.criteria
                ],
            }
            for level in card.readiness.levels
        ],
        "regressions": list(card.regressions),
        "never_run": list(card.never_run),
        "step_failures": [
            {"playbook": s.playbook, "step": s.step, "failures": s.failures, "runs": s.runs, "reason": s.reason}
            for s in card.steps
        ],
        "scenarios": [
            {
                "scenario": trend.scenario,
                "regressions": list(trend.regressions),
                "runs": [
                    {"at": run.at.isoformat(timespec="seconds"), "version": run.version, **run.document}
                    for run in trend.runs
                ],
            }
            for trend in card.trends
        ],
    }
