"""History, trend, regressions, readiness levels, and the page."""

import json
import re
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from forensics.cli import cli
from forensics.drill.history import Run, history_path, read_runs, record_run
from forensics.drill.result import make_broken_document
from forensics.drill.scorecard import build_scorecard, count_step_failures, find_regressions, to_document
from forensics.drill.scorecard_html import render_scorecard
from forensics.errors import StorageError
from forensics.model import JsonObject

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SCENARIOS = {"a": "default", "b": "cryptominer", "c": "default"}
PLAYBOOKS = ("default", "cryptominer")
HOSTILE = "<script>alert(1)</script>\u202e\x1b[31m"


def good(scenario: str = "a", **changes: Any) -> JsonObject:
    steps = [{"step": name, "outcome": "done", "reason": "", "seconds": 0.1} for name in ("contain", "collect")]
    return make_broken_document(scenario, "") | {
        "playbook": SCENARIOS.get(scenario, "default"), "passed": True, "recall": 1.0, "precision": 1.0, "problems": [],
        "found": ["miner"], "verified": True, "time_to_contain_s": 0.5, "time_to_first_finding_s": 2.0,
        "time_to_sealed_case_s": 3.0, "steps": steps, **changes,
    }  # fmt: skip


def run(document: JsonObject, days_ago: float = 0.0) -> Run:
    return Run(NOW - timedelta(days=days_ago), "0.1.0", document)


def every(*days: float, **changes: Any) -> list[Run]:
    return [run(good(name, **changes), day) for day in sorted(days, reverse=True) for name in SCENARIOS]


@pytest.mark.usefixtures("own_folders")
def test_history_keeps_every_run_in_order() -> None:
    for number in range(3):
        record_run(good("a", recall=number / 2), NOW + timedelta(minutes=number))
    record_run(good("b"))
    assert [r.document["recall"] for r in read_runs()] == [0.0, 0.5, 1.0, 1.0]
    assert [(r.scenario, r.document["recall"]) for r in read_runs(1)] == [("a", 1.0), ("b", 1.0)]
    assert read_runs()[0].at == NOW
    assert history_path().stat().st_mode & 0o077 == 0


@pytest.mark.usefixtures("own_folders")
def test_a_history_that_is_none_is_said() -> None:
    history_path().parent.mkdir(parents=True)
    history_path().write_bytes(b"not a data base, but long enough to be looked at as one" * 40)
    with pytest.raises(StorageError, match=r"the history of drills .* cannot be used: file is not a database"):
        read_runs()


@pytest.mark.usefixtures("own_folders")
def test_a_history_of_a_newer_version_is_left_alone() -> None:
    record_run(good())
    with sqlite3.connect(history_path()) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(StorageError, match="was written by a newer version of ir"):
        record_run(good())


WORSE = {
    "it passed before and fails now: x": {"passed": False, "problems": ["x"]},
    "recall fell from 1.00 to 0.50": {"recall": 0.5},
    "precision fell from 1.00 to 0.90": {"precision": 0.9},
    "found before and missed now: miner": {"found": [], "missed": ["miner"]},
    "1 new false positives, first y": {"false_positives": ["y"]},
    "packets escaped: 2, before 0": {"packets_escaped": 2},
    "sealed case took 4.6 s, before 3.0 s": {"time_to_sealed_case_s": 4.6},
    "contained was reached before (0.5 s) and is not now": {"time_to_contain_s": None},
    "the step collect fails now: no space": {
        "steps": [
            {"step": "contain", "outcome": "done", "reason": "", "seconds": 0.1},
            {"step": "collect", "outcome": "failed", "reason": "no space", "seconds": 0.1},
        ]
    },
}


@pytest.mark.parametrize(("sentence", "changes"), WORSE.items(), ids=WORSE.keys())
def test_a_regression_is_named(sentence: str, changes: JsonObject) -> None:
    assert find_regressions(run(good()), run(good(**changes))) == (sentence,)
    assert find_regressions(run(good(**changes)), run(good(**changes))) == ()


def test_a_little_slower_is_no_regression() -> None:
    assert find_regressions(run(good()), run(good(time_to_sealed_case_s=3.9, time_to_contain_s=1.4))) == ()


def test_failures_are_counted_by_step() -> None:
    half = [{"step": "collect", "outcome": "partial", "reason": "no space", "seconds": 1}]
    bad = good(steps=half, passed=False)
    assert count_step_failures([run(good(steps=half))]) == (), "the scenario expects no more"
    (failure,) = count_step_failures([run(good()), run(bad), run(bad)])
    assert (failure.playbook, failure.step, failure.failures, failure.runs, failure.reason) == (
        "default", "collect", 2, 3, "no space",
    )  # fmt: skip


def level(runs: list[Run], scheduled: tuple[str, ...] = ()) -> str:
    return build_scorecard(runs, SCENARIOS, PLAYBOOKS, scheduled, NOW).readiness.level


WEEKS = (0, 7, 14, 21)


def test_levels_are_reached_one_after_the_other() -> None:
    assert level([]) == "none"
    assert level([run(good(name), 60) for name in SCENARIOS]) == "basic"
    assert level(every(3)) == "standardised"
    assert level(every(*WEEKS)) == "standardised"
    assert level(every(*WEEKS), ("all",)) == "optimised"
    assert level(every(*WEEKS), ("a", "b", "c")) == "optimised"


def without_sealed_case() -> list[Run]:
    return [*every(1)[:2], run(good("c", time_to_sealed_case_s=None))]


LOST = {
    "long ago": ([run(good(name), 100) for name in SCENARIOS], "none", "rehearse 3 more: ir drill run NAME"),
    "not sealed": (without_sealed_case(), "none", "no sealed case that verifies: c"),
    "not contained": (
        [*every(1)[:2], run(good("c", problems=["it was not contained"], passed=False))], "none", "not contained: c",
    ),
    "stale": ([*every(1)[:2], run(good("c"), 31)], "basic", "not rehearsed: c"),
    "failing": ([*every(1), run(good("b", passed=False))], "basic", "failing: b"),
    "leaking": ([*every(1), run(good("b", packets_escaped=1))], "basic", "packets escaped: b"),
    "untested playbook": (
        [run(good(n, playbook="default")) for n in SCENARIOS], "basic", "playbooks without one: cryptominer",
    ),
    "too few": (every(0, 7, 21), "standardised", "fewer than four in a row: a, b, c"),
    "too short": (every(0, 1, 2, 3), "standardised", "too short a time: a, b, c"),
    "slow": (every(*WEEKS, time_to_contain_s=6.0), "standardised", "the median is 6.0 s"),
    "worse": ([*every(*WEEKS), run(good("a", time_to_sealed_case_s=9.0))], "standardised", "worse: a"),
}  # fmt: skip


@pytest.mark.parametrize(("runs", "expected", "missing"), LOST.values(), ids=LOST.keys())
def test_what_is_missing_for_the_next_level_is_said(runs: list[Run], expected: str, missing: str) -> None:
    card = build_scorecard(runs, SCENARIOS, PLAYBOOKS, ("all",), NOW)
    assert card.readiness.level == expected
    assert missing in card.readiness.missing


def hostile_card() -> str:
    first = good("a", false_positives=[HOSTILE])
    second = good("a", passed=False, problems=[HOSTILE], missed=[HOSTILE], false_positives=["x" + HOSTILE], recall=0.5)
    second["steps"][0] |= {"outcome": "failed", "reason": HOSTILE}
    return render_scorecard(build_scorecard([run(first, 1), run(second)], SCENARIOS, PLAYBOOKS, (), NOW))


def test_the_page_loads_nothing_and_shows_hostile_text_as_text() -> None:
    page = hostile_card()
    assert "<script" not in page
    assert "\u202e" not in page
    assert "\x1b" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert not re.search(r"(?:src|href|xlink:href|action)\s*=", page)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    assert policy
    assert policy[1].startswith("default-src &#39;none&#39;; style-src &#39;sha256-")
    assert "script-src" not in policy[1]
    assert 'style="' not in page


def test_charts_hold_a_point_for_every_run_and_a_gap_where_there_is_no_value() -> None:
    times = (0.5, None, 0.7, 0.9)
    runs = [run(good("a", time_to_contain_s=value), 4 - number) for number, value in enumerate(times)]
    page = render_scorecard(build_scorecard(runs, SCENARIOS, PLAYBOOKS, (), NOW))
    assert page.count('class="dot-recall"') == 4
    assert page.count('class="dot-contain"') == 3
    panels = page.partition('class="panels"')[2]
    assert panels.count('<polyline class="contain"') == 2
    coordinates = re.findall(r'c[xy]="([\d.]+)"', panels)
    assert coordinates
    assert all(0 <= float(value) <= 300 for value in coordinates)


@pytest.mark.usefixtures("own_folders")
def test_the_command_shows_a_person_a_machine_and_a_page(tmp_path: Path) -> None:
    record_run(good("intrusion"))
    record_run(good("intrusion", recall=0.5, passed=False, problems=["recall 0.50 < 1"]))
    shown = CliRunner().invoke(
        cli, ["drill", "scorecard", "--html", str(tmp_path / "card.html")], standalone_mode=False
    )
    assert shown.return_value == 0
    assert "readiness  none" in shown.output
    assert "worse    intrusion: recall fell from 1.00 to 0.50" in shown.output
    assert (tmp_path / "card.html").read_text().startswith("<!doctype html>")
    document = json.loads(CliRunner().invoke(cli, ["drill", "scorecard", "--json"], standalone_mode=False).output)
    assert (document["schema"], document["level"], document["next_level"]) == ("ir.scorecard/1", "none", "basic")
    assert [r["recall"] for r in document["scenarios"][0]["runs"]] == [1.0, 0.5]
    assert "intrusion: recall fell from 1.00 to 0.50" in document["regressions"]


def test_the_document_has_every_criterion_of_every_level() -> None:
    document = to_document(build_scorecard(every(1), SCENARIOS, PLAYBOOKS, (), NOW))
    assert [entry["level"] for entry in document["levels"]] == ["basic", "standardised", "optimised"]
    guide = (Path(__file__).parents[2] / "docs" / "drills.md").read_text().replace("\n  ", " ")
    for entry in document["levels"]:
        for criterion in entry["criteria"]:
            assert criterion["criterion"] in guide, "docs/drills.md defines every criterion in the same words"
