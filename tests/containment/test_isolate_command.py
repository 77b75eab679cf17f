"""The commands: what they import, what they print, their exit codes, and the dry run that changes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from containment_rig import Box

pytestmark = pytest.mark.usefixtures("own_folders")

HEAVY = {
    "click",
    "dataclasses",
    "inspect",
    "datetime",
    "docker",
    "requests",
    "urllib3",
    "yaml",
    "pydantic",
    "jinja2",
    "yara",
    "magic",
    "zstandard",
    "asyncio",
}
MAIN = "import sys; from forensics.cli import main; sys.argv[0] = 'ir'; main()"


def ir(*arguments: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *options, "-c", MAIN, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def imported(done: subprocess.CompletedProcess[str]) -> set[str]:
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}


@pytest.mark.docker
def test_the_way_to_the_cut_imports_nothing_heavy(box: Box) -> None:
    suspect = box.run("suspect")
    assert ir("isolate", suspect, "--dry-run").returncode == 0
    done = ir("isolate", suspect, options=("-X", "importtime"))
    assert done.returncode == 0, done.stderr
    modules = imported(done)
    assert "forensics.containment.cutting" in modules
    assert {name.partition(".")[0] for name in modules} & HEAVY == set()


def test_help_imports_nothing_of_containment() -> None:
    modules = imported(ir("isolate", "--help", options=("-X", "importtime")))
    assert not {name for name in modules if name.startswith(("forensics.containment", "forensics.engine"))}


@pytest.mark.docker
def test_isolate_and_release_by_name_and_by_case(box: Box) -> None:
    suspect = box.run("suspect")
    address = box.find(suspect).networks[0].ipv4
    done = ir("isolate", suspect, "--reason", "looks odd", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["schema"] == "ir.containment/1"
    assert document["proved"] is True
    assert [action["kind"] for action in document["actions"]] == ["freeze", "disconnect"]
    assert all(action["result"] == "ok" and action["inverse"] for action in document["actions"])
    again = ir("isolate", suspect)
    assert again.returncode == 0
    assert f"case    {document['case']}" in again.stdout
    released = ir("release", suspect)
    assert released.returncode == 0, released.stdout
    assert "RESTORED" in released.stdout
    assert f"reached {address} from the engine's side\n" in released.stdout
    twice = ir("release", document["case"], "--json")
    assert twice.returncode == 0
    assert json.loads(twice.stdout)["actions"] == []
    assert "nothing to undo" in ir("release", suspect).stdout
    assert box.find(suspect).status == "running"


@pytest.mark.docker
def test_a_dry_run_shows_every_inverse_and_changes_nothing(box: Box) -> None:
    suspect = box.run("suspect", "--restart", "always", "--label", "com.docker.compose.project=shop")
    before = box.inspect(suspect)
    done = ir("isolate", suspect, "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert [action["kind"] for action in plan["actions"]] == ["freeze", "restart-policy", "disconnect"]
    assert all(action["effect"] and action["inverse"] and action["precondition"] for action in plan["actions"])
    assert "docker compose -p shop stop" in plan["warnings"][0]
    assert box.inspect(suspect) == before
    assert not Path(os.environ["IR_CASES"]).exists()
    assert not Path(os.environ["IR_STATE_DIR"]).exists()


@pytest.mark.docker
def test_not_proved_is_exit_code_1_with_the_reason(box: Box) -> None:
    suspect = box.run("suspect", "--network", "host")
    done = ir("isolate", suspect, "--no-freeze")
    assert done.returncode == 1
    assert "NOT PROVED  its processes may open packet sockets (NET_RAW)" in done.stdout
    assert ir("release", suspect).returncode == 0


@pytest.mark.docker
def test_unknown_and_ambiguous_containers_and_wrong_cases_are_usage_errors(box: Box, own_folders: Path) -> None:
    suspect, other = box.run("suspect"), box.run("other")
    done = ir("isolate", suspect[:-1])
    assert done.returncode == 2
    assert f"no container is called '{suspect[:-1]}'. Did you mean {suspect}" in done.stderr
    case = str(own_folders / "case")
    assert ir("isolate", suspect, "--case", case).returncode == 0
    done = ir("isolate", other, "--case", case)
    assert done.returncode == 2
    assert "is about" in done.stderr
    done = ir("isolate", suspect, "--case", str(own_folders / "second"))
    assert done.returncode == 2
    assert "is contained already, in the case" in done.stderr
    assert not (own_folders / "second").exists()
    done = ir("release", other)
    assert done.returncode == 2
    assert "is not contained" in done.stderr


def test_an_engine_that_is_down_is_exit_code_4(own_folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{own_folders}/none.sock")
    for command in (("isolate", "web"), ("isolate", "web", "--dry-run"), ("release", "web")):
        done = ir(*command)
        assert done.returncode == 4, done.stderr
        assert "no engine socket at" in done.stderr
        assert "Traceback" not in done.stderr
    assert not Path(os.environ["IR_CASES"]).exists()


@pytest.mark.docker
def test_many_are_chosen_by_network_or_label_and_only_one_way_at_once(box: Box) -> None:
    network = box.network("n")
    names = [box.run(f"s{number}", "--network", network, "--label", f"ir-t={network}") for number in range(2)]
    outside = box.run("outside")
    dry = json.loads(ir("isolate", "--all-of-network", network, "--dry-run", "--json").stdout)
    assert sorted(plan["name"] for plan in dry["plans"]) == names
    kinds = [[action["kind"] for action in plan["actions"]] for plan in dry["plans"]]
    assert kinds == [["freeze", "lower-far-ends", "disconnect"]] * 2
    assert [box.find(name).status for name in (*names, outside)] == ["running"] * 3
    assert ir("isolate", "--label", "ir-t=nobody").returncode == 2
    assert ir("isolate").returncode == 2
    assert ir("isolate", outside, "--label", "x").returncode == 2


PLAIN = (
    ["web"],
    ["web", "--json"],
    ["--no-freeze", "web", "--reason", "looks odd"],
    ["web", "--case", "cases/1", "--cut-sharing", "--freeze"],
    ["--dry-run", "web", "--json"],
)
NOT_PLAIN = (
    *([], ["--help"], ["web", "-h"], ["web", "db"], ["--label", "a=b"], ["web", "--reason=x"], ["web", "--js"]),
    *(["--", "web"], ["web", "--case"], ["web", "--reason", "--json"], ["-x", "web"], [""]),
)


@pytest.mark.parametrize("arguments", PLAIN)
def test_the_way_without_click_reads_plain_arguments_as_click_does(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from forensics.cli import express, isolate

    seen: list[object] = []
    monkeypatch.setattr(express, "run_isolation", lambda wanted: seen.append(wanted) or 0)
    assert isolate.command.main(arguments, standalone_mode=False) == 0
    assert express.parse_plain(arguments) == seen[0]


@pytest.mark.parametrize("arguments", NOT_PLAIN)
def test_what_is_not_plain_is_left_to_click(arguments: list[str]) -> None:
    from forensics.cli.express import parse_plain

    assert parse_plain(arguments) is None


@pytest.mark.docker
def test_a_state_folder_that_cannot_be_written_does_not_keep_it_from_the_cut(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    suspect = box.run("suspect")
    monkeypatch.setenv("IR_STATE_DIR", "/dev/null")
    done = ir("isolate", suspect)
    assert (done.returncode, done.stderr) == (0, "")
    assert "the state folder cannot be written (Not a directory): release by the case" in done.stdout
    case = next(line.split()[1] for line in done.stdout.splitlines() if line.startswith("case"))
    assert ir("release", case).returncode == 0


@pytest.mark.docker
@pytest.mark.usefixtures("docker_host")
def test_a_folder_that_is_no_case_is_said_to_be_neither_case_nor_container(own_folders: Path) -> None:
    (own_folders / "emptydir").mkdir()
    done = ir("release", str(own_folders / "emptydir"))
    assert done.returncode == 2
    assert "neither a case nor a container" in done.stderr
