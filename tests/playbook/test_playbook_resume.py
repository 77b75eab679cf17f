"""A run killed at any moment goes on where it was: nothing finished happens twice, nothing is left out."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from forensics.engine.base import Container, ContainerSpec
from forensics.engine.docker import connect
from forensics.evidence.case import Case
from forensics.evidence.custody import Actor
from forensics.model import Subject
from forensics.playbook.journal import read_runs

HEAD = "apiVersion: ir/v1\nkind: Playbook\nid: t\nname: T\ndescription: d\n"
START = """
import sys
from pathlib import Path
from forensics.evidence.case import Case
from forensics.playbook.compiled import read_playbook
from forensics.playbook.context import RunContext
from forensics.playbook.run import run_playbook
with Case.open(Path(sys.argv[1])) as case:
    run_playbook(read_playbook(sys.argv[2]), RunContext(case, "abc", open_engine=sys.exit))
"""


def ir(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "forensics", *arguments], capture_output=True, text=True, check=False, timeout=120
    )


@pytest.fixture
def root(own_folders: Path) -> Path:
    path = own_folders / "case"
    Case.create(path, subject=Subject("container", "web", "abc"), actor=Actor(name="tester")).close()
    return path


def start(root: Path, playbook: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", START, str(root), str(playbook)], stdout=subprocess.DEVNULL)


def kill_at(process: subprocess.Popen[bytes], log: Path, lines: int) -> bool:
    """Kill as soon as the log has so many lines; False when the process ended before."""
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if log.is_file() and log.read_bytes().count(b"\n") >= lines:
            process.send_signal(signal.SIGKILL)
            process.wait(30)
            return True
        time.sleep(0.003)
    process.wait(60)
    return False


def ends(root: Path) -> dict[str, list[tuple[int, str]]]:
    """Return for each step every end on record, with its place in the log."""
    with Case.open(root, read_only=True) as case:
        found: dict[str, list[tuple[int, str]]] = {}
        for entry in case.custody():
            details = entry.details or {}
            if entry.action == "step" and entry.result != "begin" and not details.get("interrupted"):
                found.setdefault(str(entry.authority.step), []).append((entry.seq, str(details["outcome"])))
        return found


def write_playbook(path: Path, counts: Path) -> list[str]:
    """Write steps that each leave a line when they really happen, some beside each other, sealing at the end."""
    path.parent.mkdir(exist_ok=True)
    names = ["one", "two", "three", "four"]
    for name in names:
        script = path.parent / name
        script.write_text(f"#!/bin/sh\necho {name} >> {counts}\n")
        script.chmod(0o700)
    steps = "".join(
        f"  - {{id: {name}, uses: command.run, effects: read, needs: {needs}, "
        f"with: {{argv: [{path.parent}/{name}]}}}}\n"
        for name, needs in zip(names, ("[]", "[]", "[one]", "[two, three]"), strict=True)
    )
    path.write_text(
        f"{HEAD}steps:\n{steps}  - {{id: remember, uses: case.note, with: {{text: all four ran}}}}\n"
        "finally:\n  - {id: seal, uses: case.seal}\n  - {id: verify, uses: case.verify, needs: [seal]}\n"
    )
    return names


def test_a_run_killed_at_any_entry_of_its_log_is_finished_without_repeating_what_ended(
    root: Path, tmp_path: Path
) -> None:
    counts, playbook = tmp_path / "counts", tmp_path / "made" / "mine.yaml"
    names = write_playbook(playbook, counts)
    chance = random.Random(8)  # noqa: S311 - seeded on purpose
    moments = sorted(chance.sample(range(2, 30), 6))
    process = start(root, playbook)
    for moment in moments:
        killed = kill_at(process, root / "custody.jsonl", moment)
        before = ends(root)
        done = {name for name in before if before[name]}
        ran = counts.read_text().split() if counts.is_file() else []
        if not killed:
            break
        process = subprocess.Popen(
            [sys.executable, "-m", "forensics", "playbook", "resume", str(root)], stdout=subprocess.DEVNULL
        )
        if moment == moments[-1]:
            process.wait(60)
        for name in done & set(names):
            assert ran.count(name) >= 1
    last = ir("playbook", "resume", str(root), "--json")
    assert last.returncode == 0, last.stderr
    assert {step["step"]: step["outcome"] for step in json.loads(last.stdout)["steps"]} == dict.fromkeys(
        (*names, "remember", "seal", "verify"), "done"
    )
    assert {name: len(entries) for name, entries in ends(root).items()} == dict.fromkeys(
        (*names, "remember", "seal", "verify"), 1
    )
    begun = count_begins(root)
    assert all(counts.read_text().split().count(name) <= begun[name] for name in names)
    assert notes(root) == ["all four ran"]
    assert ir("verify", str(root)).returncode == 0


def count_begins(root: Path) -> dict[str, int]:
    with Case.open(root, read_only=True) as case:
        names = [str(e.authority.step) for e in case.custody() if e.action == "step" and e.result == "begin"]
    return {name: names.count(name) for name in names}


def notes(root: Path) -> list[str]:
    with Case.open(root, read_only=True) as case:
        return [entry.purpose for entry in case.custody() if entry.action == "note"]


@pytest.mark.parametrize("moment", range(2, 12))
def test_the_note_of_a_step_killed_between_the_note_and_its_end_is_not_written_again(
    root: Path, tmp_path: Path, moment: int
) -> None:
    """The log is cut off after every entry in turn: exactly what a kill there would leave."""
    playbook = tmp_path / "mine.yaml"
    playbook.write_text(
        f"{HEAD}steps:\n  - {{id: a, uses: case.note, with: {{text: first}}}}\n"
        "  - {id: b, uses: case.note, with: {text: second}}\n"
    )
    assert start(root, playbook).wait() == 0
    log = root / "custody.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:moment]))
    done = ir("playbook", "resume", str(root), "--json")
    if moment >= len(lines):
        assert "nothing is left to do" in done.stderr
    assert done.returncode == 0, done.stderr
    assert notes(root) == ["first", "second"]
    assert [step["outcome"] for step in json.loads(done.stdout)["steps"]] == ["done", "done"]


def test_a_step_that_changes_something_and_has_no_end_is_never_taken_again_by_itself(
    root: Path, tmp_path: Path
) -> None:
    script = tmp_path / "change"
    script.write_text(f"#!/bin/sh\necho changed >> {tmp_path}/changed\nsleep 30\n")
    script.chmod(0o700)
    keep = tmp_path / "keep"
    keep.write_text("#!/bin/sh\necho kept\n")
    keep.chmod(0o700)
    playbook = tmp_path / "mine.yaml"
    playbook.write_text(
        f"{HEAD}steps:\n"
        f"  - {{id: keep, uses: command.run, effects: read, with: {{argv: [{keep}]}}, "
        "evidence: [{kind: command-output}]}\n"
        f"  - {{id: change, uses: command.run, effects: mutate, needs: [keep], with: {{argv: [{script}]}}}}\n"
        "finally:\n  - {id: last, uses: case.note, with: {text: end}}\n"
    )
    process = start(root, playbook)
    deadline = time.monotonic() + 30
    while not (tmp_path / "changed").is_file() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    shown = ir("playbook", "resume", str(root), "--dry-run")
    assert shown.stdout.split("\n")[:3] == [
        "keep         done, not repeated",
        "change       again",
        "last         next",
    ]
    done = ir("playbook", "resume", str(root), "--json")
    steps = {step["step"]: step for step in json.loads(done.stdout)["steps"]}
    assert (done.returncode, steps["change"]["outcome"], steps["last"]["outcome"]) == (1, "failed", "done")
    assert "nobody knows whether it happened" in steps["change"]["reason"]
    assert (tmp_path / "changed").read_text() == "changed\n"


def test_a_playbook_that_has_changed_is_not_gone_on_with(root: Path, tmp_path: Path) -> None:
    playbook = tmp_path / "mine.yaml"
    text = f"{HEAD}steps:\n  - {{id: a, uses: case.note, with: {{text: first}}}}\n"
    playbook.write_text(text)
    assert start(root, playbook).wait() == 0
    playbook.write_text(text.replace("first", "forged"))
    done = ir("playbook", "resume", str(root))
    assert (done.returncode, done.stdout) == (2, "")
    assert "the playbook 't' was sha256 " in done.stderr
    assert "give the file as it was with --playbook" in done.stderr.lower()
    playbook.write_text(text)
    moved = playbook.rename(tmp_path / "moved.yaml")
    assert ir("playbook", "resume", str(root), "--playbook", str(moved)).returncode == 0


def test_a_run_of_another_host_or_owner_is_not_gone_on_with(root: Path, tmp_path: Path) -> None:
    playbook = tmp_path / "mine.yaml"
    playbook.write_text(f"{HEAD}steps:\n  - {{id: a, uses: case.note, with: {{text: first}}}}\n")
    assert start(root, playbook).wait() == 0
    if os.geteuid() == 0:
        os.chown(root / "custody.jsonl", 12345, 12345)
        done = ir("playbook", "resume", str(root))
        assert (done.returncode, done.stderr) == (
            5,
            "ir: the case belongs to somebody else. Go on as the user who ran the playbook.\n",
        )
    with Case.open(root, read_only=True) as case:
        assert read_runs(case)[-1].is_over


def test_a_case_without_a_run_says_how_to_start_one(root: Path) -> None:
    done = ir("playbook", "resume", str(root))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("ir: no playbook has run in this case. Start one with 'ir run PLAYBOOK")


@pytest.fixture
def container(docker_host: str, base_image: str) -> Iterator[Container]:
    with connect(docker_host) as engine:
        running = engine.run(ContainerSpec(image=base_image, name="playbook-kill", command=("sleep", "600")))
        yield running
        engine.remove_container(running, force=True)


@pytest.mark.docker
def test_a_real_run_killed_again_and_again_ends_in_one_whole_sealed_case(
    container: Container, own_folders: Path
) -> None:
    playbook = own_folders / "mine.yaml"
    playbook.write_text(
        f"{HEAD}inputs: {{container: {{type: container, required: true}}}}\nsteps:\n"
        "  - {id: cut, uses: contain.isolate, rollback: {uses: contain.release}}\n"
        "  - {id: live, uses: collect.rest, with: {until: executables}, on_failure: continue}\n"
        "  - {id: files, uses: collect.snapshot, evidence: [{kind: image}]}\n"
        "  - {id: settings, uses: collect.inspect, evidence: [{kind: inspect}]}\n"
        "finally:\n  - {id: seal, uses: case.seal}\n  - {id: verify, uses: case.verify, needs: [seal]}\n"
    )
    root = own_folders / "case"
    command = [sys.executable, "-m", "forensics", "run", str(playbook), container.name, "--case", str(root)]
    for moment in sorted(random.Random(88).sample(range(3, 60), 5)):  # noqa: S311 - seeded on purpose
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if not kill_at(process, root / "custody.jsonl", moment):
            break
        command = [sys.executable, "-m", "forensics", "playbook", "resume", str(root)]
    done = ir("playbook", "resume", str(root), "--json")
    outcomes = {step["step"]: step["outcome"] for step in json.loads(done.stdout)["steps"]}
    assert outcomes == dict.fromkeys(("cut", "live", "files", "settings", "seal", "verify"), "done"), done.stdout
    assert all(len(entries) == 1 for entries in ends(root).values())
    assert ir("verify", str(root)).returncode == 0
    with Case.open(root, read_only=True) as case:
        kinds = [item.kind for item in case.items() if item.outcome.value == "collected"]
        begun = [str((e.details or {}).get("activity")) for e in case.custody() if e.result == "begin"]
        for kind, collector in (("image", "snapshot"), ("inspect", "inspect"), ("clock", "clock")):
            tries = sum(name.startswith(f"collect.{collector}#") for name in begun)
            assert 1 <= kinds.count(kind) <= tries, kind  # once more only where a kill came before its end
        assert not case.open_activities()
    assert ir("release", str(root)).returncode == 0
