"""Whole drills on a real engine: what is planted is found, nothing escapes, nothing is left behind."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from forensics.drill.base import read_busybox_of
from forensics.drill.clean import clean, clear
from forensics.drill.history import read_runs
from forensics.drill.image import RecipeFile, build_archive
from forensics.drill.own import LABEL, RUNNER, describe_runner, is_over
from forensics.drill.run import run_drill
from forensics.drill.scenario import list_scenarios, read_scenario
from forensics.drill.stage import DrillError, _plant, read_packets, set_stage
from forensics.engine.base import ContainerSpec
from forensics.engine.docker import DockerEngine, connect
from forensics.errors import CaseExistsError, RefusedError, UsageError
from forensics.evidence.custody import Actor
from forensics.model import JsonObject
from forensics.playbook.actions import ACTIONS
from forensics.playbook.context import Done, RunContext

pytestmark = pytest.mark.docker

KEYS = {
    "scenario", "passed", "recall", "precision", "missed", "false_positives", "packets_escaped", "time_to_contain_s",
    "time_to_first_finding_s", "time_to_sealed_case_s", "source_unchanged", "case",
}  # fmt: skip
HEAD = "apiVersion: ir/v1\nkind: Drill\nid: own\nname: O\ndescription: d\n"
NAMES = [path.stem for path in list_scenarios()]


@pytest.fixture
def engine(docker_host: str) -> DockerEngine:
    return connect(docker_host)


def drill(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "forensics", "drill", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def leftovers(engine: DockerEngine) -> list[str]:
    """Return what is left of drills whose process is gone, or is this one; others may use the engine meanwhile."""
    kinds: tuple[list[dict[str, Any]], ...] = (engine.list_networks(), engine.list_volumes(), engine.list_images())
    found = [(str(raw), raw.get("Labels") or {}) for kind in kinds for raw in kind]
    found += [(container.name, dict(container.labels)) for container in engine.list_containers(all=True)]
    here = describe_runner(os.getpid())
    return [what for what, labels in found if LABEL in labels and (labels.get(RUNNER) == here or is_over(labels))]


@pytest.fixture(scope="module")
def rehearsed(docker_host: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, JsonObject]:
    """Return exit code and document of one run of every shipped scenario."""
    assert docker_host
    folder = tmp_path_factory.mktemp("all")
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("IR_CASES", "IR_STATE_DIR", "IR_CACHE_DIR", "IR_CONFIG"):
            patch.setenv(variable, str(folder / variable.lower()))
        done = drill("run", "--all", "--json")
        assert len(read_runs()) == len(NAMES)
    return done.returncode, json.loads(done.stdout)


@pytest.mark.timeout(900)  # the first one runs them all
@pytest.mark.parametrize("name", NAMES)
def test_a_drill_passes(rehearsed: tuple[int, JsonObject], name: str) -> None:
    assert rehearsed[1]["schema"] == "ir.drills/1"
    (result,) = (drill for drill in rehearsed[1]["drills"] if drill["scenario"] == name)
    assert set(result) >= KEYS
    assert (result["problems"], result["missed"], result["false_positives"]) == ([], [], [])
    assert (result["passed"], result["recall"], result["precision"], result["packets_escaped"]) == (True, 1.0, 1.0, 0)
    assert result["source_unchanged"]
    assert result["restored"]
    assert result["flipped_byte_caught"]
    assert {step["outcome"] for step in result["steps"]} <= {"done", "partial", "skipped"}
    contains = read_scenario(name).model.thresholds.contained
    assert (result["time_to_contain_s"] is not None) is contains
    assert (result["time_to_first_finding_s"] is not None) is bool(read_scenario(name).model.truth)
    assert Path(result["report"]).stat().st_size > 10_000


def test_all_drills_together_pass_and_leave_nothing(rehearsed: tuple[int, JsonObject], engine: DockerEngine) -> None:
    assert rehearsed[0] == 0
    assert [result["scenario"] for result in rehearsed[1]["drills"]] == NAMES
    assert leftovers(engine) == []


def test_what_a_person_reads_is_under_fifteen_lines_and_verifies(engine: DockerEngine, own_folders: Path) -> None:
    done = drill("run", "memory-only")
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert len(lines) < 15
    assert lines[0].startswith("PASSED")
    command = lines[-1].removeprefix("verify").split()
    assert command[0] == "sh"
    assert command[1].endswith("/verify.sh")
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert leftovers(engine) == []
    assert list((own_folders / "ir_state_dir").rglob("containments/*.json")) == []
    assert [(run.scenario, run.passed) for run in read_runs()] == [("memory-only", True)]


@pytest.mark.usefixtures("own_folders", "docker_host")
def test_a_missed_artefact_and_a_false_alarm_end_with_1(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(
        HEAD + "noise:\n  files:\n    - {path: /var/www/html/x.php, content: \"<?php system($_GET['c']); ?>\"}\n"
        "truth:\n  - {id: a, what: something that is not there, match: {path: /nowhere}, attack: [T1496]}\n"
    )
    done = drill("run", str(path), "--json")
    (result,) = json.loads(done.stdout)["drills"]
    assert (done.returncode, result["passed"], result["recall"], result["precision"]) == (1, False, 0.0, 0.0)
    assert result["missed"] == ["something that is not there"]
    assert result["false_positives"]
    assert result["time_to_first_finding_s"] is None
    assert result["problems"][:2] == ["recall 0.00 < 1", "precision 0.00 < 0.9"]
    assert not read_runs()[0].passed


@pytest.mark.usefixtures("own_folders", "docker_host")
def test_a_new_scenario_runs_as_it_stands(tmp_path: Path) -> None:
    assert drill("new", "fresh", "--output", str(tmp_path)).returncode == 0
    done = drill("run", str(tmp_path / "fresh.yaml"))
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "PASSED   fresh: verdict compromised")


def test_a_plant_that_fails_leaves_nothing_behind(
    engine: DockerEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forensics.drill.stage._WAIT_S", 1.0)
    path = tmp_path / "own.yaml"
    path.write_text(HEAD + "noise: {run: sleep 60}\nexpect_verdict: [no-evidence]\n")
    with (
        pytest.raises(DrillError, match="the plant was not worked off within 1 s"),
        set_stage(engine, read_scenario(str(path)), lambda _text: None),
    ):
        pass
    assert leftovers(engine) == []


SENDERS = {
    "TCP on IPv4": "while :; do echo x; usleep 100000; done | nc @PEER@ 4444 >/dev/null 2>&1 &",
    "TCP on IPv6": "while :; do echo x; usleep 100000; done | nc @PEER6@ 4444 >/dev/null 2>&1 &",
    "TCP to a closed port": "nc @PEER@ 81 >/dev/null 2>&1 || true",
    "UDP on IPv4": "nslookup a.invalid @PEER@ >/dev/null 2>&1 &",
    "UDP on IPv6": "nslookup a.invalid @PEER6@ >/dev/null 2>&1 &",
    "ICMP on IPv6": "ping -c 3 -i 0.2 @PEER6@ >/dev/null 2>&1 &",
}


@pytest.mark.parametrize("line", SENDERS.values(), ids=SENDERS.keys())
def test_the_peer_counts_packets_of_every_kind(engine: DockerEngine, tmp_path: Path, line: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(HEAD + f"peer_ports: [4444]\nnoise:\n  run: |\n    {line}\nexpect_verdict: [no-evidence]\n")
    with set_stage(engine, read_scenario(str(path)), lambda _text: None) as stage:
        assert stage.peers.ipv6.startswith("2001:db8:")
        assert read_packets(engine, stage)[-1].total > 0


def test_a_silent_suspect_is_not_counted(engine: DockerEngine, tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(HEAD + "noise: {run: ip neigh flush dev eth0 || true}\nexpect_verdict: [no-evidence]\n")
    with set_stage(engine, read_scenario(str(path)), lambda _text: None) as stage:
        time.sleep(1.0)
        assert read_packets(engine, stage) == ()


def leave_a_file_instead(context: RunContext, _arguments: JsonObject) -> Done:
    suspect = context.engine.find_container(context.container)
    context.engine.put_archive(suspect, "/", [build_archive((RecipeFile("etc/passwd", b"changed"),))])
    return Done()


@pytest.mark.usefixtures("own_folders")
def test_packets_that_escape_and_a_changed_source_fail_a_drill(
    engine: DockerEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    isolate = replace(ACTIONS["contain.isolate"], target=f"{__name__}:leave_a_file_instead")
    monkeypatch.setitem(ACTIONS, "contain.isolate", isolate)
    result = run_drill(engine, read_scenario("dns-beacon"), tmp_path / "case", Actor(name="tester"))
    assert result.packets_escaped > 20
    assert f"{result.packets_escaped} packets escaped after containment" in result.problems
    assert "the source was changed" in result.problems
    assert not result.passed


def test_a_folder_that_is_taken_is_refused_before_anything_is_set_up(engine: DockerEngine, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    with pytest.raises(CaseExistsError, match=r"something is at .* already"):
        run_drill(engine, read_scenario("intrusion"), tmp_path, Actor(name="tester"))
    assert leftovers(engine) == []


@pytest.mark.usefixtures("own_folders")
def test_busybox_may_come_from_an_image_of_the_engine(engine: DockerEngine, base_image: str) -> None:
    content = read_busybox_of(engine, base_image, ((LABEL, "test"),))
    assert content == Path("/bin/busybox").read_bytes()
    assert leftovers(engine) == []


def test_an_image_without_busybox_is_said(engine: DockerEngine) -> None:
    with pytest.raises(UsageError, match="the engine has no usable image no-such-image:1"):
        read_busybox_of(engine, "no-such-image:1", ((LABEL, "test"),))


@pytest.fixture
def bystander(engine: DockerEngine, base_image: str) -> Any:
    container = engine.run(
        ContainerSpec(image=base_image, name="drill-test-bystander", command=("sleep", "600"), labels=(("other", "x"),))
    )
    network = engine.create_network("drill-test-bystander", labels=(("other", "x"),))
    volume = engine.create_volume("drill-test-bystander", (("other", "x"),))
    yield container
    engine.remove_container(container, force=True)
    engine.remove_network(network)
    engine.remove_volume(volume.name)


def is_untouched(engine: DockerEngine, container: Any) -> bool:
    return (
        engine.find_container(container.id).raw["State"] == container.raw["State"]
        and any(raw["Name"] == "drill-test-bystander" for raw in engine.list_networks())
        and any(raw["Name"] == "drill-test-bystander" for raw in engine.list_volumes())
    )


def test_a_drill_that_is_asked_to_end_clears_its_stage(engine: DockerEngine, own_folders: Path) -> None:
    command = [sys.executable, "-m", "forensics", "drill", "run", "benign-control", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while not any(
            RUNNER in dict(c.labels) and f"/{process.pid}/" in dict(c.labels)[RUNNER] for c in engine.list_containers()
        ):
            assert process.poll() is None
        process.terminate()
        process.communicate()
    assert process.returncode == 130
    assert leftovers(engine) == []
    assert list((own_folders / "ir_state_dir").rglob("containments/*.json")) == []


def list_children(pid: int) -> list[str]:
    return [child for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()]


def test_lanes_end_and_clear_their_stages_when_who_runs_them_is_killed(engine: DockerEngine, own_folders: Path) -> None:
    assert own_folders
    command = [sys.executable, "-m", "forensics", "drill", "run", "--all", "--json"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while len(lanes := list_children(process.pid)) < 2:
            assert process.poll() is None
        time.sleep(2)
        process.kill()
    while any(Path(f"/proc/{pid}").exists() for pid in lanes):
        time.sleep(0.1)
    assert leftovers(engine) == []


@pytest.mark.parametrize("seconds", [0.9, 1.8, 3.2])
def test_clean_removes_what_a_killed_drill_left_and_nothing_else(
    engine: DockerEngine, own_folders: Path, bystander: Any, seconds: float
) -> None:
    command = [sys.executable, "-m", "forensics", "drill", "run", "ransomware-volume", "--json"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        time.sleep(seconds)
        process.kill()
    before = leftovers(engine)
    done = drill("clean", "--json")
    assert done.returncode == 0, done.stdout
    assert len(json.loads(done.stdout)["removed"]) >= len(before)
    assert leftovers(engine) == []
    assert list((own_folders / "ir_state_dir").rglob("containments/*.json")) == []
    assert is_untouched(engine, bystander)


def test_clean_leaves_a_drill_alone_that_is_or_may_be_going_on(engine: DockerEngine) -> None:
    here = describe_runner(os.getpid())
    with subprocess.Popen(["sleep", "60"]) as other:
        runners = {
            "a11fe000": describe_runner(other.pid),
            "dead0000": here.rpartition("/")[0] + "/1",
            "far00000": "another-boot" + here[12:],
        }
        for run_id, runner in runners.items():
            engine.create_network(f"drill-test-{run_id}", labels=((LABEL, run_id), (RUNNER, runner)))
        try:
            cleaned = clean(engine)
            assert "a11fe000" in cleaned.alive
            assert "far00000" in cleaned.unknown
            assert "network drill-test-dead0000" in cleaned.removed
            left = {str(raw["Name"]) for raw in engine.list_networks()}
            assert {"drill-test-a11fe000", "drill-test-far00000"} <= left
            assert "drill-test-dead0000" not in left
        finally:
            other.kill()
            for run_id in runners:
                clear(engine, run_id)


def test_clean_refuses_a_container_that_carries_no_label(engine: DockerEngine, bystander: Any) -> None:
    done = drill("clean", bystander.name)
    assert done.returncode == 5
    assert "does not carry the label of a drill, so it is not touched" in done.stderr
    assert is_untouched(engine, bystander)


@pytest.mark.usefixtures("own_folders")
def test_nothing_is_planted_in_a_container_of_somebody_else(engine: DockerEngine, bystander: Any) -> None:
    with set_stage(engine, read_scenario("benign-control"), lambda _text: None) as stage:
        for suspect in (bystander, stage.suspect):
            foreign = replace(stage, suspect=suspect, run_id=stage.run_id if suspect is bystander else "0badc0de")
            with pytest.raises(RefusedError, match="does not carry the label of"):
                _plant(engine, read_scenario("benign-control"), foreign, b"")
    assert is_untouched(engine, bystander)
