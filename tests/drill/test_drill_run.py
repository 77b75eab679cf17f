"""Whole drills on a real engine: what is planted is found, nothing escapes, nothing is left behind."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from forensics.drill.base import read_busybox_of
from forensics.drill.run import run_drill
from forensics.drill.scenario import list_scenarios, read_scenario
from forensics.drill.stage import LABEL, DrillError, clear, set_stage
from forensics.engine.docker import DockerEngine, connect
from forensics.errors import CaseExistsError, UsageError
from forensics.evidence.custody import Actor
from forensics.model import JsonObject
from forensics.playbook.actions import ACTIONS
from forensics.playbook.context import Done, RunContext

pytestmark = pytest.mark.docker

KEYS = {
    "scenario", "passed", "recall", "precision", "missed", "false_positives", "packets_escaped", "time_to_contain_s",
    "time_to_first_finding_s", "time_to_sealed_case_s", "source_unchanged", "case",
}  # fmt: skip


@pytest.fixture
def engine(docker_host: str) -> DockerEngine:
    return connect(docker_host)


def drill(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "forensics", "drill", "run", *arguments], capture_output=True, text=True, check=False
    )


def leftovers(engine: DockerEngine) -> list[str]:
    kinds: tuple[list[dict[str, Any]], ...] = (engine.list_networks(), engine.list_volumes(), engine.list_images())
    return [str(raw) for kind in kinds for raw in kind if LABEL in (raw.get("Labels") or {})] + [
        container.name for container in engine.list_containers(all=True) if LABEL in dict(container.labels)
    ]


TOLD_TO_A_PERSON = "preload-rootkit"


@pytest.mark.parametrize("name", [path.stem for path in list_scenarios() if path.stem != TOLD_TO_A_PERSON])
@pytest.mark.usefixtures("own_folders")
def test_a_drill_passes(engine: DockerEngine, name: str) -> None:
    done = drill(name, "--json")
    document = json.loads(done.stdout)
    (result,) = document["drills"]
    assert document["schema"] == "ir.drills/1"
    assert set(result) >= KEYS
    assert (result["problems"], result["missed"], result["false_positives"]) == ([], [], [])
    assert (done.returncode, result["recall"], result["precision"], result["packets_escaped"]) == (0, 1.0, 1.0, 0)
    assert result["source_unchanged"]
    assert result["flipped_byte_caught"]
    assert Path(result["report"]).stat().st_size > 10_000
    assert leftovers(engine) == []


@pytest.mark.usefixtures("own_folders")
def test_what_a_person_reads_is_under_fifteen_lines_and_verifies(engine: DockerEngine) -> None:
    done = drill(TOLD_TO_A_PERSON)
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert len(lines) < 15
    assert lines[0].startswith("PASSED")
    command = lines[-1].removeprefix("verify").split()
    assert command[0] == "sh"
    assert command[1].endswith("/verify.sh")
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert leftovers(engine) == []


@pytest.mark.usefixtures("own_folders")
def test_a_drill_below_its_thresholds_says_so(docker_host: str, tmp_path: Path) -> None:
    assert docker_host
    path = tmp_path / "harmless.yaml"
    path.write_text(
        "apiVersion: ir/v1\nkind: Drill\nid: harmless\nname: H\ndescription: d\n"
        "truth:\n  - {id: a, what: something that is not there, match: {path: /nowhere}, attack: [T1496]}\n"
    )
    done = drill(str(path), "--json")
    (result,) = json.loads(done.stdout)["drills"]
    assert (done.returncode, result["passed"], result["recall"]) == (1, False, 0.0)
    assert result["missed"] == ["something that is not there"]
    assert result["problems"] == ["recall 0.00 < 1"]


def test_a_plant_that_fails_leaves_nothing_behind(
    engine: DockerEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forensics.drill.stage._WAIT_S", 1.0)
    path = tmp_path / "stuck.yaml"
    path.write_text("apiVersion: ir/v1\nkind: Drill\nid: stuck\nname: S\ndescription: d\nplant: {run: sleep 60}\n")
    with (
        pytest.raises(DrillError, match="the plant was not worked off within 1 s"),
        set_stage(engine, read_scenario(str(path)), lambda _text: None),
    ):
        pass
    assert leftovers(engine) == []


def test_clean_removes_only_what_carries_the_label(engine: DockerEngine) -> None:
    ours = engine.create_network("drill-test-ours", labels=((LABEL, "test"),))
    other = engine.create_network("drill-test-other", labels=(("other", "test"),))
    try:
        assert clear(engine, "another run") == 0
        assert clear(engine, "test") == 1
        names = {raw["Id"] for raw in engine.list_networks()}
        assert ours not in names
        assert other in names
    finally:
        engine.remove_network(other)


def do_nothing(_context: RunContext, _arguments: JsonObject) -> Done:
    return Done()


@pytest.mark.usefixtures("own_folders")
def test_packets_that_escape_are_counted(engine: DockerEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    isolate = replace(ACTIONS["contain.isolate"], target=f"{__name__}:do_nothing")
    monkeypatch.setitem(ACTIONS, "contain.isolate", isolate)
    result = run_drill(engine, read_scenario("reverse-shell"), tmp_path / "case", Actor(name="tester"))
    assert result.packets_escaped > 5
    assert f"{result.packets_escaped} packets escaped after containment" in result.problems
    assert not result.passed


def test_a_folder_that_is_taken_is_refused_before_anything_is_set_up(engine: DockerEngine, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    with pytest.raises(CaseExistsError, match=r"something is at .* already"):
        run_drill(engine, read_scenario("intrusion"), tmp_path, Actor(name="tester"))
    assert leftovers(engine) == []


@pytest.mark.usefixtures("own_folders")
def test_busybox_may_come_from_an_image_of_the_engine(engine: DockerEngine, base_image: str) -> None:
    content = read_busybox_of(engine, base_image, (LABEL, "test"))
    assert content == Path("/bin/busybox").read_bytes()
    assert leftovers(engine) == []


def test_an_image_without_busybox_is_said(engine: DockerEngine) -> None:
    with pytest.raises(UsageError, match="the engine has no usable image no-such-image:1"):
        read_busybox_of(engine, "no-such-image:1", (LABEL, "test"))


@pytest.mark.usefixtures("docker_host")
def test_no_pointer_to_the_case_of_a_drill_stays_behind(own_folders: Path) -> None:
    assert drill("memory-only", "--json").returncode == 0
    assert list((own_folders / "ir_state_dir").rglob("containments/*.json")) == []
