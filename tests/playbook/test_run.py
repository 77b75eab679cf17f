"""The runner, on a real case, with actions that succeed, fail, wait or need a second attempt."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from forensics.errors import PlaybookError, StorageError
from forensics.evidence.case import Case
from forensics.evidence.custody import Actor
from forensics.model import JsonObject, StepOutcome, Subject
from forensics.playbook import actions
from forensics.playbook.actions import Action, Parameter
from forensics.playbook.context import Answer, Done, RunContext
from forensics.playbook.plan import Playbook, parse_playbook
from forensics.playbook.run import find_failures, plan_run, run_playbook
from forensics.playbook.validate import validate_playbook

HEAD = "apiVersion: ir/v1\nkind: Playbook\nid: t\nname: T\ndescription: d\n"
CALLS: list[str] = []


def note(_context: RunContext, arguments: JsonObject) -> Done:
    CALLS.append(str(arguments["say"]))
    return Done({"said": arguments["say"]})


def fail(_context: RunContext, _arguments: JsonObject) -> Done:
    CALLS.append("fail")
    raise StorageError("the disk is full", hint="free space")


def lack(_context: RunContext, _arguments: JsonObject) -> Done:
    return Done(failures=("one artefact is missing",))


def wait(_context: RunContext, _arguments: JsonObject) -> Done:
    time.sleep(5)
    return Done()


def recover(_context: RunContext, _arguments: JsonObject) -> Done:
    CALLS.append("try")
    if CALLS.count("try") < 3:
        raise OSError(5, "Input/output error")
    return Done()


def interrupt(_context: RunContext, _arguments: JsonObject) -> Done:
    raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def test_actions(monkeypatch: pytest.MonkeyPatch) -> None:
    CALLS.clear()
    say = (Parameter("say", "string", "text", default="nothing"),)
    for function in (note, fail, lack, wait, recover, interrupt):
        name = f"test.{function.__name__}"
        action = Action(name, f"{__name__}:{function.__name__}", "read", "for tests", say, ("image",))
        monkeypatch.setitem(actions.ACTIONS, name, action)


@pytest.fixture
def context(tmp_path: Path) -> Iterator[RunContext]:
    case = Case.create(tmp_path / "case", subject=Subject("container", "web", "abc"), actor=Actor(name="tester"))
    with case:
        yield RunContext(case, "abc", open_engine=lambda: pytest.fail("no step needs the engine"))


def parse(text: str) -> Playbook:
    return parse_playbook(validate_playbook((HEAD + text).encode(), "t.yaml"), digest="d" * 64, source="t.yaml")


def outcomes(context: RunContext, text: str) -> dict[str, str]:
    return {result.step: result.outcome.value for result in run_playbook(parse(text), context)}


def test_runs_in_order_and_journals_each_step_before_and_after(context: RunContext) -> None:
    text = "steps:\n  - {id: a, uses: test.note, with: {say: one}}\n  - {id: b, uses: test.note, needs: [a]}\n"
    assert outcomes(context, text) == {"a": "done", "b": "done"}
    assert CALLS == ["one", "nothing"]
    entries = [entry for entry in context.case.custody() if entry.action in {"playbook", "step"}]
    assert [(entry.action, entry.authority.step, entry.result) for entry in entries] == [
        ("playbook", None, "begin"),
        ("step", "a", "begin"), ("step", "a", "ok"),
        ("step", "b", "begin"), ("step", "b", "ok"),
        ("playbook", None, "ok"),
    ]  # fmt: skip
    assert entries[0].details is not None
    assert entries[0].details["playbook_sha256"] == "d" * 64
    assert entries[1].authority.playbook == f"t sha256:{'d' * 64}"


def test_a_failure_aborts_and_what_must_happen_last_still_happens(context: RunContext) -> None:
    text = (
        "steps:\n  - {id: a, uses: test.fail}\n  - {id: b, uses: test.note}\n"
        "finally:\n  - {id: z, uses: test.note, with: {say: last}}\n"
    )
    results = run_playbook(parse(text), context)
    assert [(result.step, result.outcome, result.reason) for result in results] == [
        ("a", StepOutcome.FAILED, "the disk is full (free space)"),
        ("b", StepOutcome.SKIPPED, "'a' ended the run"),
        ("z", StepOutcome.DONE, ""),
    ]
    assert CALLS == ["fail", "last"]
    assert find_failures(results) == ("a failed: the disk is full (free space)",)


def test_on_failure_continue_goes_on_but_not_where_it_is_needed(context: RunContext) -> None:
    text = (
        "steps:\n  - {id: a, uses: test.fail, on_failure: continue}\n  - {id: b, uses: test.note, needs: [a]}\n"
        "  - {id: c, uses: test.note}\n"
    )
    assert outcomes(context, text) == {"a": "failed", "b": "skipped", "c": "done"}
    assert context.results["b"].reason == "it needs 'a', which is failed"


def test_rollback_undoes_newest_first_and_includes_the_failed_step(context: RunContext) -> None:
    text = (
        "steps:\n"
        "  - {id: a, uses: test.note, with: {say: do a}, rollback: {uses: test.note, with: {say: undo a}}}\n"
        "  - {id: b, uses: test.fail, on_failure: rollback, rollback: {uses: test.note, with: {say: undo b}}}\n"
        "  - {id: c, uses: test.note}\n"
    )
    assert outcomes(context, text) == {"a": "done", "b": "failed", "c": "skipped"}
    assert CALLS == ["do a", "fail", "undo b", "undo a"]


def test_a_rollback_that_fails_stops_nothing(context: RunContext) -> None:
    text = (
        "steps:\n  - {id: a, uses: test.note, rollback: {uses: test.note, with: {say: undo a}}}\n"
        "  - {id: b, uses: test.fail, on_failure: rollback, rollback: {uses: test.fail}}\n"
    )
    outcomes(context, text)
    assert CALLS == ["nothing", "fail", "fail", "undo a"]


def test_a_step_that_takes_too_long_fails(context: RunContext) -> None:
    started = time.monotonic()
    assert outcomes(context, "steps:\n  - {id: a, uses: test.wait, timeout: 200ms}\n") == {"a": "failed"}
    assert time.monotonic() - started < 2
    assert context.results["a"].reason == "it took longer than 0.2 seconds"


def test_retries_with_growing_pauses(context: RunContext) -> None:
    text = "steps:\n  - {id: a, uses: test.recover, retry: {attempts: 3, delay: 10ms}}\n"
    assert outcomes(context, text) == {"a": "done"}
    assert CALLS == ["try"] * 3


def test_what_could_not_be_done_is_partial_and_named(context: RunContext) -> None:
    assert outcomes(context, "steps:\n  - {id: a, uses: test.lack}\n") == {"a": "partial"}
    assert context.results["a"].reason == "one artefact is missing"


def test_required_evidence_that_is_missing_fails_the_step(context: RunContext) -> None:
    text = "steps:\n  - {id: a, uses: test.note, evidence: [{kind: image}]}\n"
    assert outcomes(context, text) == {"a": "failed"}
    assert context.results["a"].reason == "the required evidence 'image' was not collected"


def test_required_evidence_that_is_there_is_enough(context: RunContext) -> None:
    context.case.add("image", [b"x"], source="test", method="test")
    assert outcomes(context, "steps:\n  - {id: a, uses: test.note, evidence: [{kind: image}]}\n") == {"a": "done"}


def test_conditions_see_earlier_steps(context: RunContext) -> None:
    text = (
        "steps:\n  - {id: a, uses: test.note, with: {say: hello}}\n"
        "  - {id: b, uses: test.note, when: 'steps.a.value.said == \"hello\"'}\n"
        "  - {id: c, uses: test.note, when: 'steps.a.outcome == \"failed\"'}\n"
        "  - {id: d, uses: test.note, when: 'steps.none.outcome == \"failed\"', on_failure: continue}\n"
    )
    assert outcomes(context, text) == {"a": "done", "b": "done", "c": "skipped", "d": "failed"}


def test_approval_that_nobody_gives_is_a_denial_on_record(context: RunContext) -> None:
    text = "steps:\n  - {id: a, uses: test.note, approval: {approvers: [lead]}}\n  - {id: b, uses: test.note}\n"
    assert outcomes(context, text) == {"a": "denied", "b": "skipped"}
    assert CALLS == []
    assert [entry.action for entry in context.case.custody() if entry.action in {"deny", "approve"}] == ["deny"]


def test_an_approval_is_on_record_with_its_name(context: RunContext) -> None:
    context.approve = lambda _request: Answer("Lea Lead")
    assert outcomes(context, "steps:\n  - {id: a, uses: test.note, approval: {approvers: [lead]}}\n") == {"a": "done"}
    (entry,) = [entry for entry in context.case.custody() if entry.action == "approve"]
    assert entry.details is not None
    assert entry.details["approver"] == "Lea Lead"


def test_an_interrupted_step_is_on_record(context: RunContext) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_playbook(parse("steps:\n  - {id: a, uses: test.interrupt}\n"), context)
    last = context.case.custody()[-1]
    assert (last.action, last.result, last.error) == ("step", "failed", "interrupted: KeyboardInterrupt")


@pytest.mark.usefixtures("context")
def test_inputs_are_filled_in_whole_and_within_text() -> None:
    playbook = parse(
        "inputs: {who: {type: string, default: me}, deep: {type: boolean, default: true}}\n"
        "steps:\n  - {id: a, uses: test.note, with: {say: 'by ${inputs.who}'}}\n"
    )
    assert plan_run(playbook, {})[0].arguments == {"say": "by me"}
    assert plan_run(playbook, {"who": "you"})[0].arguments == {"say": "by you"}


@pytest.mark.parametrize(
    ("inputs", "message"),
    [({"nope": 1}, "'t' has no input 'nope'"), ({}, "'t' needs the input 'who'")],
)
def test_inputs_that_do_not_fit_stop_before_anything_runs(
    context: RunContext, inputs: JsonObject, message: str
) -> None:
    playbook = parse("inputs: {who: {type: string, required: true}}\nsteps:\n  - {id: a, uses: test.note}\n")
    context.inputs = inputs
    with pytest.raises(PlaybookError, match=message):
        run_playbook(playbook, context)
    assert CALLS == []
    assert [entry.action for entry in context.case.custody()] == ["store"]
