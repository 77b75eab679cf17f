"""A responder's own actions: a program outside the container, and a Python entry point of an installed package."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from run_rig import HEAD, context, parse

from forensics.errors import EngineError, PlaybookError, RefusedError
from forensics.playbook.command import check_command, make_environment, run_program
from forensics.playbook.context import RunContext
from forensics.playbook.run import run_playbook

__all__ = ["context"]


def make_program(folder: Path, script: str, name: str = "program") -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    return path


def run(context: RunContext, argv: list[str], **more: object) -> tuple[str, str, dict[str, object]]:
    arguments = json.dumps({"argv": argv, **more})
    text = f"steps:\n  - {{id: own, uses: command.run, effects: read, with: {arguments}}}\n"
    (result,) = run_playbook(parse(text), context)
    return result.outcome.value, result.reason, result.value


def test_its_output_is_evidence_and_its_answer_a_value(context: RunContext, tmp_path: Path) -> None:
    program = make_program(tmp_path, 'echo "{\\"ticket\\": 4711}"')
    outcome, reason, value = run(context, [str(program)])
    assert (outcome, reason, value["json"], value["status"]) == ("done", "", {"ticket": 4711}, 0)
    (item,) = context.case.find("command-output")
    assert context.case.read(item) == b'{"ticket": 4711}\n'
    entries = [entry for entry in context.case.custody() if entry.action == "command"]
    assert [(entry.result, entry.authority.step) for entry in entries] == [("begin", "own"), ("ok", "own")]
    assert (entries[0].details or {})["argv"] == [str(program)]
    assert (entries[1].details or {})["item"] == item.id


def test_a_later_condition_sees_its_answer(context: RunContext, tmp_path: Path) -> None:
    program = make_program(tmp_path, 'echo "{\\"blocked\\": true}"')
    text = (
        f"steps:\n  - {{id: own, uses: command.run, effects: read, with: {{argv: [{program}]}}}}\n"
        "  - {id: yes, uses: case.note, with: {text: x}, when: steps.own.value.json.blocked}\n"
        "  - {id: no, uses: case.note, with: {text: x}, when: '!steps.own.value.json.blocked'}\n"
    )
    assert [r.outcome.value for r in run_playbook(parse(text), context)] == ["done", "done", "skipped"]


def test_it_is_given_facts_and_names_and_nothing_else(
    context: RunContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_RESPONDER", "hunter2")
    program = make_program(tmp_path, "cat; echo; env | sort; pwd; id -u")
    run(context, [str(program)], environment=["TEAM=blue $(id)"])
    (item,) = context.case.find("command-output")
    facts, *environment = context.case.read(item).decode().split("\n")
    assert json.loads(facts)["schema"] == "ir.facts/1"
    assert json.loads(facts)["container"]["name"] == "web"
    names = {line.partition("=")[0] for line in environment if "=" in line}
    assert names - {"SHLVL", "_", "OLDPWD"} == {
        *("PATH", "LANG", "PWD", "TEAM", "IR_CASE", "IR_CASE_ID", "IR_CONTAINER_ID", "IR_CONTAINER_NAME"),
        *("IR_IMAGE_ID", "IR_PLAYBOOK", "IR_STEP", "IR_RUN_ID"),
    }
    assert "TEAM=blue $(id)" in environment
    assert "PWD=/" in environment


def test_no_shell_reads_its_arguments(context: RunContext, tmp_path: Path) -> None:
    program = make_program(tmp_path, 'printf "%s|" "$@"')
    run(context, [str(program), "$(touch x); a b", "*", "`id`", "--", ""])
    (item,) = context.case.find("command-output")
    assert context.case.read(item) == b"$(touch x); a b|*|`id`|--||"


@pytest.mark.parametrize(
    ("script", "limit", "reason"),
    [
        ("exit 3", 5, "ended with status 3"),
        ("kill -9 $$", 5, "ended with status -9"),
        ("sleep 60 & sleep 60", 0.3, "took longer than 0.3 s and was ended"),
        ("trap '' TERM INT; while :; do :; done", 0.3, "took longer than 0.3 s and was ended"),
    ],
)
def test_a_failure_is_named_and_ends_in_time(
    context: RunContext, tmp_path: Path, script: str, limit: float, reason: str
) -> None:
    started = time.monotonic()
    outcome, said, _ = run(context, [str(make_program(tmp_path, script))], timeout_s=limit)
    assert (outcome, reason in said) == ("failed", True)
    assert time.monotonic() - started < 5
    assert [entry.result for entry in context.case.custody() if entry.action == "command"] == ["begin", "failed"]


def test_everything_it_started_ends_with_it(tmp_path: Path) -> None:
    program = make_program(tmp_path, f"sleep 98 & echo $! > {tmp_path}/pid; echo done")
    started = time.monotonic()
    ended = run_program((str(program),), {"PATH": "/bin:/usr/bin"}, b"", 30)
    assert (ended.output, ended.status) == (b"done\n", 0)
    assert time.monotonic() - started < 10
    pid = (tmp_path / "pid").read_text().strip()
    deadline = time.monotonic() + 5
    while Path(f"/proc/{pid}/cmdline").is_file() and time.monotonic() < deadline:
        if not Path(f"/proc/{pid}/cmdline").read_bytes():
            break  # a zombie that its new parent has not buried yet
        time.sleep(0.05)
    else:
        assert not Path(f"/proc/{pid}").is_dir()


def test_a_flood_is_counted_and_only_its_beginning_kept(tmp_path: Path) -> None:
    program = make_program(tmp_path, "head -c 5000000 /dev/zero | tr '\\0' x")
    ended = run_program((str(program),), {"PATH": "/bin:/usr/bin"}, b"", 30)
    assert (len(ended.output), ended.size_bytes, ended.is_late) == (1 << 20, 5_000_000, False)


def test_only_a_program_that_nobody_else_can_change_is_run(tmp_path: Path) -> None:
    good = make_program(tmp_path, "true")
    link = tmp_path / "link"
    link.symlink_to(good)
    assert check_command([str(link), "a"]) == (str(good.resolve()), "a")
    loose = make_program(tmp_path, "true", "loose")
    loose.chmod(0o777)
    open_folder = tmp_path / "open"
    open_folder.mkdir()
    swappable = make_program(open_folder, "true")
    open_folder.chmod(0o777)
    link_to_swappable = tmp_path / "link2"
    link_to_swappable.symlink_to(swappable)
    for argv, why in (
        ([str(loose)], "others may change"),
        ([str(swappable)], "others may change"),
        ([str(link_to_swappable)], "others may change"),
        (["program"], "no absolute path"),
        ([f"{good}\0x"], "no absolute path"),
        ([], "no absolute path"),
        (["/nonexistent/x"], "is no program"),
        ([str(tmp_path)], "is no program"),
    ):
        with pytest.raises(RefusedError, match=why):
            check_command(list(argv))


@pytest.mark.parametrize("pair", ["PATH=/x", "IR_CASE=/x", "LD_PRELOAD=/x", "novalue", "=x", "a b=c", "A=\0"])
def test_what_the_environment_rests_on_cannot_be_replaced(context: RunContext, pair: str) -> None:
    with pytest.raises(RefusedError, match="cannot be set"):
        make_environment(context, [pair])


def test_a_sealed_case_keeps_its_output_in_the_log(context: RunContext, tmp_path: Path) -> None:
    program = make_program(tmp_path, "echo after the seal")
    text = (
        "steps:\n  - {id: seal, uses: case.seal}\n"
        f"  - {{id: own, uses: command.run, effects: read, with: {{argv: [{program}]}}}}\n"
    )
    assert [r.outcome.value for r in run_playbook(parse(text), context)] == ["done", "done"]
    (entry,) = [e for e in context.case.custody() if e.action == "command" and e.result == "ok"]
    assert str((entry.details or {})["output"]).startswith("after the seal")


PACKAGE = """
from forensics.errors import EngineError
from forensics.playbook.action import Action, Parameter
from forensics.playbook.context import Done

BLOCK = Action("acme.block", "acme_actions:block", "read", "Block an address at the gateway.",
               (Parameter("address", "string", "what to block", required=True),))
BROKEN = object()
LIAR = Action("contain.isolate", "acme_actions:block", "read", "replace ours")

def block(context, arguments):
    if arguments["address"] == "fail":
        raise EngineError("the gateway refused")
    context.case.record("note", purpose=f"blocked {arguments['address']}")
    return Done({"blocked": arguments["address"]})
"""
ENTRY_POINTS = """[ir.actions]
acme.block = acme_actions:BLOCK
acme.broken = acme_actions:BROKEN
acme.missing = acme_nothing:X
contain.isolate = acme_actions:LIAR
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site"
    (folder / "acme-1.0.dist-info").mkdir(parents=True)
    (folder / "acme_actions.py").write_text(PACKAGE)
    (folder / "acme-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (folder / "acme-1.0.dist-info" / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.syspath_prepend(str(folder))
    from forensics.playbook.catalogue import _load_own

    _load_own.cache_clear()
    yield folder
    _load_own.cache_clear()
    sys.modules.pop("acme_actions", None)


@pytest.mark.usefixtures("package")
def test_an_entry_point_is_an_action_like_any_other(context: RunContext) -> None:
    text = (
        "inputs: {who: {type: string, default: 192.0.2.1}}\n"
        "steps:\n  - {id: a, uses: acme.block, with: {address: '${inputs.who}'}, on_failure: continue}\n"
        "  - {id: b, uses: acme.block, with: {address: fail}}\n"
    )
    first, second = run_playbook(parse(text), context)
    assert (first.outcome, first.value) == ("done", {"blocked": "192.0.2.1"})
    assert (second.outcome, second.reason) == ("failed", "the gateway refused")
    assert "blocked 192.0.2.1" in [entry.purpose for entry in context.case.custody()]


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("uses", "message"),
    [
        ("acme.block", "'acme.block' needs the input 'address'"),
        ("acme.blok", "unknown action 'acme.blok'"),
        ("acme.broken", "the action 'acme.broken' of acme is no forensics.playbook.action.Action"),
        ("acme.missing", "the action 'acme.missing' of acme cannot be imported: No module named 'acme_nothing'"),
    ],
)
def test_what_is_wrong_with_it_is_said(uses: str, message: str) -> None:
    with pytest.raises(PlaybookError) as caught:
        parse(f"steps:\n  - {{id: a, uses: {uses}}}\n")
    assert message in caught.value.message
    if uses == "acme.blok":
        assert caught.value.hint == "did you mean 'acme.block'?"


@pytest.mark.usefixtures("package")
def test_ours_cannot_be_replaced() -> None:
    from forensics.playbook.catalogue import find_action

    found = find_action("contain.isolate")
    assert found is not None
    assert (found.effects, found.target.partition(":")[0]) == ("contain", "forensics.playbook.steps")


@pytest.mark.usefixtures("own_folders")
def test_it_is_listed_and_checked_anew_each_time(package: Path, tmp_path: Path) -> None:
    (package / "acme-1.0.dist-info" / "entry_points.txt").write_text(ENTRY_POINTS.split("acme.broken", maxsplit=1)[0])
    path = tmp_path / "mine.yaml"
    path.write_text(f"{HEAD}steps:\n  - {{id: a, uses: acme.block, with: {{address: x}}}}\n")

    def ir(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "forensics", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)

    assert "Block an address at the gateway." in ir("playbook", "actions").stdout
    assert ir("run", str(path), "web", "--dry-run").returncode == 0
    (package / "acme-1.0.dist-info" / "entry_points.txt").unlink()
    gone = ir("run", str(path), "web", "--dry-run")
    assert (gone.returncode, "unknown action 'acme.block'" in gone.stderr) == (2, True)


def test_a_program_that_fails_is_an_error_for_whoever_calls(context: RunContext, tmp_path: Path) -> None:
    from forensics.playbook.command import run_command

    program = make_program(tmp_path, "exit 1")
    with pytest.raises(EngineError, match="ended with status 1"):
        run_command(context, {"argv": [str(program)], "timeout_s": 5, "environment": []})
