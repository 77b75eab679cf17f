"""Independent steps run beside each other; what changes something never does; time-outs hold in every thread."""

from __future__ import annotations

import threading
import time
from itertools import pairwise

import pytest
from run_rig import CALLS, context, own_actions, parse

from forensics.model import StepOutcome
from forensics.playbook import lanes
from forensics.playbook.context import RunContext
from forensics.playbook.run import plan_run, run_playbook

__all__ = ["context", "own_actions"]
pytestmark = pytest.mark.usefixtures("own_actions")


def outcomes(context: RunContext, text: str) -> dict[str, str]:
    return {result.step: result.outcome.value for result in run_playbook(parse(text), context)}


def overlaps() -> bool:
    """Whether a call began before another had ended."""
    return any(a[0] == b[0] == "+" for a, b in pairwise(CALLS))


def test_independent_steps_run_beside_each_other(context: RunContext) -> None:
    """Each ends only while the other is running: one after the other they would never end."""
    text = (
        "steps:\n  - {id: a, uses: read.meet, with: {say: a}}\n  - {id: b, uses: read.meet, with: {say: b}}\n"
        "  - {id: c, uses: read.note, needs: [a, b], with: {say: c}}\n"
    )
    assert outcomes(context, text) == dict.fromkeys("abc", "done")
    assert (set(CALLS[:2]), CALLS[2]) == ({"a", "b"}, "c")


def test_without_needs_the_order_of_the_file_is_the_order_of_the_run(context: RunContext) -> None:
    text = "steps:\n" + "".join(f"  - {{id: s{n}, uses: read.alone, with: {{say: s{n}}}}}\n" for n in range(4))
    outcomes(context, text)
    assert [f"{sign}s{n}" for n in range(4) for sign in "+-"] == CALLS


@pytest.mark.parametrize("effects", ["contain", "mutate", "destroy"])
def test_what_changes_something_runs_beside_nothing(context: RunContext, effects: str) -> None:
    context.case.add("image", [b"x"], source="test", method="test")
    rollback = ", rollback: {uses: read.note, effects: contain}" if effects == "contain" else ""
    approval = ", approval: {approvers: [lead]}" if effects == "destroy" else ""
    from forensics.playbook.context import Answer

    context.approve = lambda _: Answer("lead")
    text = (
        "steps:\n  - {id: keep, uses: read.note, evidence: [{kind: image}]}\n"
        "  - {id: a, uses: read.alone, needs: [keep], with: {say: a}}\n"
        f"  - {{id: b, uses: {effects}.alone, needs: [keep], with: {{say: b}}{rollback}{approval}}}\n"
        f"  - {{id: c, uses: {effects}.alone, needs: [keep], with: {{say: c}}{rollback}{approval}}}\n"
        "  - {id: d, uses: read.alone, needs: [keep], with: {say: d}}\n"
    )
    assert set(outcomes(context, text).values()) == {"done"}
    assert not overlaps()


def test_collections_keep_their_order_and_only_those_of_one_volatility_share_a_place() -> None:
    text = (
        "steps:\n  - {id: note, uses: case.note, with: {text: x}, needs: []}\n"
        "  - {id: first, uses: collect.rest, with: {until: clock}}\n"
        "  - {id: sockets, uses: collect.sockets}\n  - {id: memory, uses: collect.memory}\n"
        "  - {id: files, uses: collect.snapshot}\n  - {id: volumes, uses: collect.volumes}\n"
        "  - {id: found, uses: analyze.findings}\n"
        "  - {id: page, uses: report.render, needs: [found]}\n"
    )
    beside = {planned.step.id: set(planned.beside) - {"note"} for planned in plan_run(parse(text), {})}
    assert beside == {
        "note": {"first", "sockets", "memory", "files", "volumes", "found"},
        "first": set(), "sockets": set(), "memory": set(), "files": {"volumes"}, "volumes": {"files"},
        "found": set(), "page": set(),
    }  # fmt: skip


def test_a_condition_that_looks_back_waits_for_everything_above() -> None:
    text = (
        "inputs: {fast: {type: boolean}}\nsteps:\n"
        "  - {id: a, uses: read.note}\n  - {id: b, uses: read.note, needs: [a]}\n"
        "  - {id: c, uses: read.note, when: findings.size() > 0}\n  - {id: d, uses: read.note, when: inputs.fast}\n"
    )
    waits = {planned.step.id: set(planned.waits) for planned in plan_run(parse(text), {})}
    assert waits == {"a": set(), "b": {"a"}, "c": {"a", "b"}, "d": set()}


def test_a_step_beside_others_is_ended_when_its_time_is_up(context: RunContext) -> None:
    text = (
        "steps:\n  - {id: slow, uses: read.wait, timeout: 200ms, on_failure: continue}\n"
        "  - {id: quick, uses: read.note}\n  - {id: next, uses: read.note, needs: [quick]}\n"
    )
    started = time.monotonic()
    assert outcomes(context, text) == {"slow": "failed", "quick": "done", "next": "done"}
    assert time.monotonic() - started < 4
    assert context.results["slow"].reason == "it took longer than 0.2 seconds"


def test_a_time_limit_holds_outside_the_main_thread(context: RunContext) -> None:
    done: list[str] = []

    def run() -> None:
        done.append(outcomes(context, "steps:\n  - {id: slow, uses: read.wait, timeout: 200ms}\n")["slow"])

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(8)
    assert done == ["failed"]


def test_a_step_that_does_not_react_is_left_behind_and_writes_nothing_more(
    context: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "GRACE_SECONDS", 0.3)
    text = (
        "steps:\n  - {id: stuck, uses: read.hang, timeout: 100ms, on_failure: continue, with: {say: stuck}}\n"
        "  - {id: quick, uses: read.note}\n  - {id: next, uses: read.note, needs: [quick]}\n"
        "finally:\n  - {id: last, uses: read.note, with: {say: last}}\n"
    )
    monkeypatch.setattr("forensics.playbook.timeout._Alarm.ring", lambda _self: None)  # the exception never arrives
    assert outcomes(context, text) == {"stuck": "failed", "quick": "done", "next": "done", "last": "done"}
    assert "does not react; it was left behind" in context.results["stuck"].reason
    deadline = time.monotonic() + 10
    while sum(call.startswith("stuck") for call in CALLS) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [call for call in CALLS if call.startswith("stuck")] == ["stuck RefusedError"] * 2
    assert context.case.find("late") == ()
    assert "too late" not in {entry.purpose for entry in context.case.custody()}


def test_an_interruption_stops_every_lane_and_is_on_record(context: RunContext) -> None:
    text = (
        "steps:\n  - {id: slow, uses: read.wait}\n  - {id: quick, uses: read.note}\n"
        "  - {id: next, uses: read.note, needs: [quick]}\n"
    )

    class Breaker:
        def begin(self, _step: object) -> None: ...
        def start(self, _artefact: str) -> None: ...
        def done(self, _line: object) -> None: ...
        def end(self, _result: object) -> None:
            raise KeyboardInterrupt

    context.watcher = Breaker()
    with pytest.raises(KeyboardInterrupt):
        run_playbook(parse(text), context)
    errors = {entry.authority.step: entry.error for entry in context.case.custody() if entry.result == "failed"}
    assert errors == {"slow": "interrupted: StepStopped"}


def test_what_a_step_records_carries_its_authority_in_every_lane(context: RunContext) -> None:
    text = (
        "steps:\n  - {id: a, uses: read.note, with: {say: from a}}\n  - {id: b, uses: read.note, with: {say: from b}}\n"
        "  - {id: c, uses: read.note, needs: [a], with: {say: from c}}\n"
    )
    outcomes(context, text)
    notes = {entry.purpose: entry.authority for entry in context.case.custody() if entry.action == "note"}
    assert {text: authority.step for text, authority in notes.items()} == {f"from {n}": n for n in "abc"}
    assert all(authority.playbook == f"t sha256:{'d' * 64}" for authority in notes.values())


def test_a_bug_in_one_action_does_not_keep_the_end_from_happening(context: RunContext) -> None:
    text = "steps:\n  - {id: a, uses: read.bug}\n  - {id: b, uses: read.note}\nfinally:\n  - {id: z, uses: read.note}\n"
    assert outcomes(context, text) == {"a": "failed", "b": "skipped", "z": "done"}
    assert "internal error (KeyError: 'nothing of this name') in read.bug; this is a bug" in context.results["a"].reason


ROLLBACK = (
    "steps:\n"
    "  - {id: a, uses: read.note, with: {say: do a}, rollback: {uses: read.note, with: {say: undo a}}}\n"
    "  - {id: b, uses: read.note, with: {say: do b}, rollback: {uses: %s, with: {say: undo b}}}\n"
    "  - {id: c, uses: read.fail, on_failure: rollback, rollback: {uses: read.note, with: {say: undo c}}}\n"
    "  - {id: d, uses: read.note, with: {say: never}}\n"
    "finally:\n  - {id: y, uses: read.fail}\n  - {id: z, uses: read.note, with: {say: last}}\n"
)


@pytest.mark.parametrize(
    ("undo", "called", "said"),
    [
        ("read.fail", ["fail undo b"], "the rollback of 'b' failed: the disk is full (free space)"),
        ("read.bug", [], "the rollback of 'b' failed: internal error (KeyError"),
        ("read.note", ["undo b"], "'b' was rolled back"),
    ],
)
def test_rollback_goes_on_when_one_fails_and_says_so_and_the_end_still_happens(
    context: RunContext, undo: str, called: list[str], said: str
) -> None:
    assert outcomes(context, ROLLBACK % undo) == {
        "a": "done", "b": "done", "c": "failed", "d": "skipped", "y": "failed", "z": "done",
    }  # fmt: skip
    assert ["do a", "do b", "fail nothing", "undo c", *called, "undo a", "fail nothing", "last"] == CALLS
    assert said in context.results["c"].reason
    assert "'a' was rolled back" in context.results["c"].reason


def test_a_rollback_that_hangs_is_ended_too(context: RunContext) -> None:
    text = (
        "steps:\n  - {id: a, uses: read.note, timeout: 200ms, rollback: {uses: read.wait}}\n"
        "  - {id: b, uses: read.fail, on_failure: rollback, rollback: {uses: read.note}}\n"
    )
    started = time.monotonic()
    run_playbook(parse(text), context)
    assert time.monotonic() - started < 4
    assert "the rollback of 'a' failed: it took longer than 0.2 seconds" in context.results["b"].reason


def test_steps_that_never_began_are_not_rolled_back(context: RunContext) -> None:
    text = (
        "inputs: {no: {type: boolean}}\nsteps:\n"
        "  - {id: a, uses: read.note, when: inputs.no, rollback: {uses: read.note, with: {say: undo a}}}\n"
        "  - {id: b, uses: read.fail, on_failure: rollback, rollback: {uses: read.note, with: {say: undo b}}}\n"
    )
    assert [result.outcome for result in run_playbook(parse(text), context)] == [
        StepOutcome.SKIPPED,
        StepOutcome.FAILED,
    ]
    assert CALLS == ["fail nothing", "undo b"]


def test_what_was_begun_beside_a_step_that_ends_the_run_is_let_end(context: RunContext) -> None:
    text = (
        "steps:\n  - {id: a, uses: read.fail}\n  - {id: b, uses: read.alone, with: {say: b}}\n"
        "  - {id: c, uses: read.note, needs: [b]}\n"
    )
    assert outcomes(context, text) == {"a": "failed", "b": "done", "c": "skipped"}
    assert context.results["c"].reason == "'a' ended the run"
