"""What ends a container: on record first, nothing of the suspect runs again, and nothing without approval."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from containment_rig import Box, Lab, wait_until

from forensics.containment import remediate
from forensics.engine.docker import DockerEngine, connect
from forensics.errors import EngineError, RefusedError
from forensics.evidence.case import Case
from forensics.evidence.custody import Actor
from forensics.playbook.compiled import read_playbook
from forensics.playbook.context import Answer, RunContext
from forensics.playbook.run import run_playbook

pytestmark = pytest.mark.docker

TRAP = "trap 'echo farewell > /tmp/gone; exit' TERM; while :; do sleep 0.1; done"


@pytest.fixture
def whole(docker_host: str) -> Iterator[DockerEngine]:
    with connect(docker_host) as engine:
        yield engine


@pytest.fixture
def case(box: Box, lab: Lab) -> Iterator[Case]:
    with lab.open_case(box.find(box.run("suspect", command=TRAP))) as made:
        yield made


def acts(case: Case) -> list[tuple[str, str]]:
    return [(entry.result, entry.purpose) for entry in case.custody() if entry.action == "remediate"]


def test_a_frozen_container_is_stopped_without_a_farewell(box: Box, whole: DockerEngine, case: Case) -> None:
    box.docker("pause", case.subject.name)
    remediate.stop(whole, whole.find_container(case.subject.id), case)
    wait_until(lambda: whole.find_container(case.subject.id).status == "exited")
    assert (
        "farewell"
        not in subprocess.run(
            ["docker", "cp", f"{case.subject.id}:/tmp/gone", "-"], capture_output=True, text=True, check=False
        ).stdout
    )
    assert acts(case) == [("begin", "kill the container"), ("ok", "kill the container")]
    remediate.kill(whole, whole.find_container(case.subject.id), case)
    assert (case.custody()[-1].details or {})["note"] == "it does not run"
    remediate.remove(whole, whole.find_container(case.subject.id), case)
    assert case.subject.id not in {found.id for found in whole.list_containers(all=True)}


def test_an_image_keeps_only_its_name_in_quarantine(box: Box, whole: DockerEngine, lab: Lab) -> None:
    name = f"{box.name('image')}:1"
    box.docker("tag", box._image, name)
    own = subprocess.run(
        ["docker", "commit", box.run("maker"), name], capture_output=True, text=True, check=True
    ).stdout.strip()
    suspect = Box(name, box.engine)
    try:
        container = whole.find_container(suspect.run("x"))
        with lab.open_case(container) as case:
            done = remediate.block_image(whole, container, case)
        assert done["names"] == [name]
        assert whole.inspect_image(own)["RepoTags"] == [done["kept"]]
        refused = subprocess.run(["docker", "run", "--pull", "never", name], capture_output=True, check=False)
        assert refused.returncode != 0
    finally:
        suspect.clean()
        subprocess.run(["docker", "rmi", "-f", own], capture_output=True, check=False)


def test_a_volume_is_set_aside_unchanged_and_back_again(box: Box, whole: DockerEngine, lab: Lab) -> None:
    volume = box.name("volume")
    suspect = box.run("suspect", "-v", f"{volume}:/data", command="echo kept > /data/file; sleep 1000")
    try:
        with lab.open_case(box.find(suspect)) as case:
            with pytest.raises(RefusedError, match="is in use by"):
                remediate.quarantine_volume(whole, whole.find_container(suspect), case, volume)
            box.docker("kill", suspect)
            done = remediate.quarantine_volume(whole, whole.find_container(suspect), case, volume)
            again = remediate.quarantine_volume(whole, whole.find_container(suspect), case, volume)
            with pytest.raises(RefusedError, match="has no local volume"):
                remediate.quarantine_volume(whole, whole.find_container(suspect), case, "another")
        assert again["note"] == "it is set aside already"
        assert subprocess.run(["docker", "start", suspect], capture_output=True, check=False).returncode != 0
        _, aside, folder = str(done["inverse"]).split()
        assert (Path(aside) / "file").read_text() == "kept\n"
        Path(aside).rename(folder)
        box.docker("start", suspect)
    finally:
        subprocess.run(["docker", "rm", "-f", suspect], capture_output=True, check=False)
        subprocess.run(["docker", "volume", "rm", volume], capture_output=True, check=False)


def make_hook(folder: Path, script: str, mode: int = 0o700) -> str:
    path = folder / "revoke"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(mode)
    return str(path)


def test_a_hook_is_told_the_container_and_nothing_else(box: Box, case: Case, tmp_path: Path) -> None:
    hook = make_hook(tmp_path, 'echo "$1 for $IR_CONTAINER_NAME, home [$HOME]"')
    remediate.revoke(box.find(case.subject.name), case, f"{hook} 'all keys'")
    (item,) = case.find("hook-output")
    assert case.read(item) == f"all keys for {case.subject.name}, home []\n".encode()
    assert [result for result, _ in acts(case)] == ["begin", "ok"]


def test_a_hook_that_hangs_is_ended_with_all_it_started(box: Box, case: Case, tmp_path: Path) -> None:
    hook = make_hook(tmp_path, f"echo $$ > {tmp_path}/pid; sleep 98765 & sleep 98765")
    started = time.monotonic()
    with pytest.raises(EngineError, match="took longer than 1 s"):
        remediate.revoke(box.find(case.subject.name), case, hook, 1)
    assert time.monotonic() - started < 10
    group = int((tmp_path / "pid").read_text())
    wait_until(lambda: subprocess.run(["pgrep", "-g", str(group)], capture_output=True, check=False).returncode == 1)
    assert [result for result, _ in acts(case)] == ["begin", "failed"]


@pytest.mark.parametrize("command", ["", "revoke", "/nonexistent", "'unfinished"])
def test_a_hook_that_is_no_program_is_refused(box: Box, case: Case, command: str) -> None:
    with pytest.raises(RefusedError, match="hook"):
        remediate.revoke(box.find(case.subject.name), case, command)
    assert acts(case) == []


def test_a_hook_that_others_may_change_is_refused(box: Box, case: Case, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="others may change"):
        remediate.revoke(box.find(case.subject.name), case, make_hook(tmp_path, "true", 0o777))


PLAYBOOK = """apiVersion: ir/v1
kind: Playbook
id: end-it
name: End it
description: Kill it once its description is safe.
severity: high
inputs: {{container: {{type: container, required: true}}}}
steps:
  - id: keep
    uses: collect.inspect
    evidence: [{{kind: inspect, required: true}}]
  - id: kill
    uses: remediate.kill
    effects: destroy
    needs: [keep]
{approval}"""


@pytest.mark.parametrize("approved", ["with", "without", "denied"])
def test_a_playbook_ends_a_container_only_with_approval(
    box: Box, whole: DockerEngine, lab: Lab, own_folders: Path, approved: str
) -> None:
    approval = "" if approved == "without" else "    approval: {approvers: [ir-lead], expires: 1h}\n"
    path = own_folders / "end-it.yaml"
    path.write_text(PLAYBOOK.format(approval=approval))
    suspect = box.run("suspect")
    with lab.open_case(box.find(suspect)) as made:
        root = made.root
    with Case.open(root, actor=Actor(name="tester")) as case:
        context = RunContext(
            case,
            suspect,
            open_engine=lambda: whole,
            inputs={"container": suspect},
            approve=lambda _: Answer("ir-lead") if approved == "with" else None,
        )
        results = {result.step: result for result in run_playbook(read_playbook(str(path)), context)}
    assert results["kill"].outcome == {"with": "done", "without": "failed", "denied": "denied"}[approved]
    if approved == "without":
        assert "nobody approved it" in results["kill"].reason
    wait_until(lambda: box.find(suspect).status == ("exited" if approved == "with" else "running"))
