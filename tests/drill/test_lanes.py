"""Drills beside each other: one that breaks off is a result that has not passed, and the others go on."""

import pytest

from forensics.drill.lanes import Order, _parse, run_lanes
from forensics.drill.result import make_broken_document


@pytest.mark.usefixtures("own_folders")
def test_one_that_breaks_off_does_not_end_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/engine.sock")
    told: list[str] = []
    orders = (Order("one", ("no-such-drill",)), Order("two", ("intrusion",)), Order("three", ("--nonsense",)))
    one, two, three = run_lanes(orders, 2, told.append)
    assert one["problems"] == [
        "no drill is called 'no-such-drill' (there are: " + one["problems"][0].partition("there are: ")[2]
    ]
    assert two["problems"][0].startswith("there is no engine socket at /nowhere/engine.sock")
    assert "No such option" in three["problems"][0]
    assert [document["scenario"] for document in (one, two, three)] == ["one", "two", "three"]
    assert not any(document["passed"] for document in (one, two, three))
    assert sorted(line.split(": ", 1)[1] for line in told) == ["one FAILED", "three FAILED", "two FAILED"]


@pytest.mark.parametrize(
    ("stdout", "stderr", "problem"),
    [
        (b"", b"Killed\n", "it broke off: Killed"),
        (b"", b"", "it broke off: without a word"),
        (b"[]", b"", "it broke off: without a word"),
        (b'{"schema": "ir.drills/1", "drills": []}', b"x\ny", "it broke off: y"),
        (b'{"schema": "ir.error/1", "error": "e", "hint": "h", "exit_code": 4}', b"", "e (h)"),
    ],
)
def test_what_a_drill_says_when_it_gives_no_result(stdout: bytes, stderr: bytes, problem: str) -> None:
    assert _parse(Order("a", ()), stdout, stderr) == make_broken_document("a", problem)
