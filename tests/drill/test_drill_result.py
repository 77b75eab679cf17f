"""Whether a drill has passed: every threshold can fail it, and doing nothing never passes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from forensics.drill.peer import Reading, count_escaped, parse_stamp
from forensics.drill.result import DrillResult, Times, find_problems, make_broken_document
from forensics.drill.schema import ScenarioModel
from forensics.drill.score import Score

HEAD = {"apiVersion": "ir/v1", "kind": "Drill", "id": "s", "name": "S", "description": "d"}
CONTROL = ScenarioModel.model_validate({**HEAD, "expect_verdict": ["no-evidence"]})
GOOD = DrillResult(
    scenario="s", playbook="default", engine="docker 1", score=Score(("a",), (), (), 1.0, 1.0),
    times=Times(0.1, 0.2, 0.3, 0.4), packets_escaped=0, source_unchanged=True, verdict="no-evidence", verified=True,
    flip_caught=True, restored=True, case=Path("c"), report=None,
)  # fmt: skip
AT = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)

WRONG = {
    "recall 0.50 < 1": replace(GOOD, score=Score(("a",), ("b",), (), 0.5, 1.0)),
    "precision 0.50 < 0.9": replace(GOOD, score=Score(("a",), (), ("x",), 1.0, 0.5)),
    "3 packets escaped after containment": replace(GOOD, packets_escaped=3),
    "it was not contained": replace(GOOD, times=Times(None, 0.2, 0.3, 0.4)),
    "containment took 10.1 s": replace(GOOD, times=Times(10.1, 0.2, 0.3, 0.4)),
    "the case was not sealed": replace(GOOD, times=Times(0.1, 0.2, 0.3, None)),
    "nothing was analysed": replace(GOOD, verdict=None),
    "the verdict is 'suspicious', not 'no-evidence'": replace(GOOD, verdict="suspicious"),
    "the source was changed": replace(GOOD, source_unchanged=False),
    "the case does not verify": replace(GOOD, verified=False),
    "a flipped byte was not noticed": replace(GOOD, flip_caught=False),
    "containment could not be undone": replace(GOOD, restored=False),
    "collect failed: no space": replace(GOOD, failures=("collect failed: no space",)),
}


def test_a_good_run_passes() -> None:
    assert find_problems(CONTROL, GOOD) == ()


@pytest.mark.parametrize(("problem", "result"), WRONG.items(), ids=WRONG.keys())
def test_each_threshold_can_fail_a_run(problem: str, result: DrillResult) -> None:
    assert find_problems(CONTROL, result) == (problem,)


def test_a_control_does_not_pass_because_nothing_was_done() -> None:
    nothing = replace(GOOD, times=Times(), verdict=None, score=Score((), (), (), 1.0, 1.0))
    assert find_problems(CONTROL, nothing) == (
        "it was not contained", "the case was not sealed", "nothing was analysed",
    )  # fmt: skip


def test_a_scenario_may_ask_for_no_containment() -> None:
    model = ScenarioModel.model_validate({**HEAD, "thresholds": {"contained": False}})
    assert find_problems(model, replace(GOOD, times=Times(None, 0.2, 0.3, 0.4))) == ()


def test_a_run_that_broke_off_has_every_key_of_one_that_did_not() -> None:
    broken = make_broken_document("s", "no engine")
    assert set(broken) == set(GOOD.to_document())
    assert (broken["passed"], broken["recall"], broken["problems"]) == (False, 0.0, ["no engine"])


@pytest.mark.parametrize(
    ("readings", "contained_at", "escaped"),
    [
        ((), AT, 0),
        (((-1.0, 40),), AT, 0),
        (((-1.0, 40), (0.09, 41)), AT, 0),
        (((-1.0, 40), (0.09, 41), (0.2, 43), (5.0, 50)), AT, 9),
        (((0.2, 3),), AT, 3),
        (((-1.0, 40), (1.0, 44)), None, 44),
    ],
    ids=["silence", "all before", "noticed late", "goes on", "begins after", "never contained"],
)
def test_escaped_packets_are_those_after_containment_and_its_grace(
    readings: tuple[tuple[float, int], ...], contained_at: datetime | None, escaped: int
) -> None:
    read = tuple(Reading(AT + timedelta(seconds=seconds), total) for seconds, total in readings)
    assert count_escaped(read, contained_at) == escaped


@pytest.mark.parametrize(
    "stamp", ["2026-01-01T12:00:00.000000001Z", "2026-01-01T12:00:00Z", "2026-01-01T13:00:00+01:00"]
)
def test_times_of_engines_are_read(stamp: str) -> None:
    assert parse_stamp(stamp) == AT
