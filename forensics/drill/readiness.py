"""How ready a team is, by what its drills have shown: basic, standardised, optimised (docs/drills.md).

Pure. A level counts only when every level below it does; what is missing for the next one is said in words.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from forensics.drill.history import Run
from forensics.drill.result import NOT_CONTAINED

NONE = "none"
_RECENT, _FRESH, _SPAN = timedelta(days=90), timedelta(days=30), timedelta(days=21)
_FEW_SCENARIOS, _STREAK = 3, 4
_MOST_TO_CONTAIN_S = 5.0
_NAMED = 4


@dataclass(frozen=True, slots=True)
class Criterion:
    """One thing that a level asks for; ``missing`` is empty when it is met."""

    text: str
    missing: str


@dataclass(frozen=True, slots=True)
class Level:
    """One level and what it asks for."""

    name: str
    criteria: tuple[Criterion, ...]

    @property
    def reached(self) -> bool:
        """Whether all of its own criteria are met."""
        return not any(criterion.missing for criterion in self.criteria)


@dataclass(frozen=True, slots=True)
class Readiness:
    """The levels, lowest first."""

    levels: tuple[Level, ...]

    @property
    def level(self) -> str:
        """The highest level that is reached together with all below it; ``none`` before the first."""
        name = NONE
        for level in self.levels:
            if not level.reached:
                break
            name = level.name
        return name

    @property
    def next_level(self) -> str | None:
        """The next level; None at the top."""
        return next((level.name for level in self.levels if not level.reached), None)

    @property
    def missing(self) -> tuple[str, ...]:
        """What the next level still asks for."""
        following = next((level for level in self.levels if not level.reached), None)
        return tuple(c.missing for c in following.criteria if c.missing) if following else ()


def judge_readiness(  # noqa: PLR0913, PLR0917 - the six facts it rests on
    runs: Mapping[str, Sequence[Run]],
    scenarios: Mapping[str, str],
    playbooks: Sequence[str],
    scheduled: Sequence[str],
    regressed: Sequence[str],
    now: datetime,
) -> Readiness:
    """Return the readiness; *runs* are oldest first, *scenarios* maps each shipped one to its playbook."""
    last = {name: own[-1] for name, own in runs.items() if own}
    recent = {name: run for name, run in last.items() if now - run.at <= _RECENT}
    return Readiness(
        (
            Level("basic", _ask_basic(recent)),
            Level("standardised", _ask_standardised(last, scenarios, playbooks, now)),
            Level("optimised", _ask_optimised(runs, scenarios, scheduled, regressed)),
        )
    )


def _ask_basic(recent: Mapping[str, Run]) -> tuple[Criterion, ...]:
    short = _FEW_SCENARIOS - len(recent)
    uncontained = [name for name, run in recent.items() if NOT_CONTAINED in run.document["problems"]]
    unsealed = [
        n for n, run in recent.items() if run.document["time_to_sealed_case_s"] is None or not run.document["verified"]
    ]
    return (
        Criterion(
            "three scenarios were rehearsed in the last 90 days",
            f"rehearse {short} more: ir drill run NAME" if short > 0 else "",
        ),
        Criterion("each of them was contained in its last run", _name("not contained", uncontained)),
        Criterion("each of them left a sealed case that verifies", _name("no sealed case that verifies", unsealed)),
    )


def _ask_standardised(
    last: Mapping[str, Run], scenarios: Mapping[str, str], playbooks: Sequence[str], now: datetime
) -> tuple[Criterion, ...]:
    stale = [name for name in scenarios if name not in last or now - last[name].at > _FRESH]
    failing = [name for name in scenarios if name in last and not last[name].passed]
    leaking = [name for name in scenarios if name in last and last[name].document["packets_escaped"]]
    rehearsed = {str(run.document.get("playbook")) for run in last.values() if run.passed}
    untested = [book for book in playbooks if book not in rehearsed]
    return (
        Criterion("every shipped scenario was rehearsed in the last 30 days", _name("not rehearsed", stale)),
        Criterion("every one of them passed in its last run", _name("failing", failing)),
        Criterion("no packet escaped in any of them", _name("packets escaped", leaking)),
        Criterion("every shipped playbook was part of a drill that passed", _name("playbooks without one", untested)),
    )


def _ask_optimised(
    runs: Mapping[str, Sequence[Run]],
    scenarios: Mapping[str, str],
    scheduled: Sequence[str],
    regressed: Sequence[str],
) -> tuple[Criterion, ...]:
    own = {name: list(runs.get(name, ()))[-_STREAK:] for name in scenarios}
    unsteady = [name for name, last in own.items() if len(last) < _STREAK or not all(run.passed for run in last)]
    short = [name for name in scenarios if not runs.get(name) or runs[name][-1].at - runs[name][0].at < _SPAN]
    unplanned = [name for name in scenarios if name not in scheduled and "all" not in scheduled]
    times = [
        float(run.document["time_to_contain_s"])
        for last in own.values()
        for run in last
        if run.document["time_to_contain_s"]
    ]
    median = statistics.median(times) if times else None
    slow = (
        f"the median is {median:.1f} s"
        if median and median > _MOST_TO_CONTAIN_S
        else "nothing was contained"
        if median is None
        else ""
    )
    return (
        Criterion("each scenario passed in its last four runs", _name("fewer than four in a row", unsteady)),
        Criterion("the runs of each reach over three weeks or more", _name("too short a time", short)),
        Criterion(
            "the drills are scheduled", _name("not scheduled (ir drill schedule all --cron '0 3 * * 1')", unplanned)
        ),
        Criterion(f"the median time to containment is {_MOST_TO_CONTAIN_S:g} s or less", slow),
        Criterion("nothing is worse than in the run before", _name("worse", list(regressed))),
    )


def _name(what: str, names: Sequence[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{what}: {', '.join(names[:_NAMED])}{more}"
