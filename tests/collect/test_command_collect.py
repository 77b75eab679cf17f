"""The command `ir collect`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from forensics.engine.base import Container
from forensics.evidence.case import Case
from forensics.playbook.compiled import read_playbook

pytestmark = pytest.mark.docker
Make = Callable[..., Container]


def ir(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from forensics.cli import main; main()", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ,
    )


def test_json_is_all_that_stands_on_stdout(make_container: Make, own_folders: Path) -> None:
    container = make_container("sh", "-c", "echo said; sleep 1000")
    done = ir("collect", container.name, "--case", str(own_folders / "case"), "--json")
    assert done.returncode == 0
    document = json.loads(done.stdout)
    assert document["schema"] == "ir.collection/1"
    assert document["case"] == str(own_folders / "case")
    assert {"artefact", "outcome", "reason", "bytes", "seconds", "disturbed", "items"} == set(document["ledger"][0])
    outcomes = {line["artefact"]: line["outcome"] for line in document["ledger"]}
    assert outcomes["snapshot"] == "collected"
    assert outcomes["volumes"] == "empty"
    assert outcomes["memory"] == "not applicable"
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert events[0] == {"event": "start", "artefact": "clock"}
    assert [event for event in events if event["event"] == "done"] == [
        {"event": "done", **line} for line in document["ledger"]
    ]
    assert {event["event"] for event in events} == {"start", "done", "first-answers"}


def test_it_is_the_collect_step_of_the_default_playbook(make_container: Make, own_folders: Path) -> None:
    playbook = read_playbook("default")
    case = own_folders / "case"
    done = ir("collect", make_container("sleep", "1000").name, "--case", str(case), "--only", "mounts")
    assert done.returncode == 0
    acquired = [entry for entry in Case.open(case, read_only=True).custody() if entry.action == "acquire"]
    assert {(entry.authority.playbook, entry.authority.step) for entry in acquired} == {
        (f"default sha256:{playbook.digest}", "collect")
    }


@pytest.mark.parametrize(("option", "has_memory"), [((), True), (("--no-memory",), False), (("--memory",), True)])
def test_the_playbook_says_what_to_collect_unless_the_command_line_does(
    option: tuple[str, ...], has_memory: bool, make_container: Make, own_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.testing import CliRunner

    from forensics.cli.collect import command
    from forensics.playbook import compiled

    shipped = own_folders / "playbooks"
    shipped.mkdir()
    text = compiled.find_playbook("default").read_text().replace('memory: "${inputs.memory}"', "memory: true")
    (shipped / "default.yaml").write_text(text)
    monkeypatch.setattr(compiled, "find_resource_dir", lambda _name: shipped)
    done = CliRunner().invoke(command, [make_container("sleep", "1000").name, *option, "--dry-run", "--json"])
    assert ("memory" in {step["artefact"] for step in json.loads(done.stdout)["plan"]}) is has_memory


def test_a_person_reads_the_totals_and_where_the_case_is(make_container: Make, own_folders: Path) -> None:
    done = ir("collect", make_container("sleep", "1000").name, "--only", "clock", "--only", "processes")
    assert done.returncode == 0
    assert done.stdout.startswith("2 collected; ")
    assert f"case: {own_folders}/ir_cases/" in done.stdout
    assert done.stderr == ""


def test_the_dry_run_collects_nothing(make_container: Make, own_folders: Path) -> None:
    done = ir("collect", make_container("sleep", "1000").name, "--memory", "--dry-run", "--json")
    plan = json.loads(done.stdout)
    assert (done.returncode, plan["schema"]) == (0, "ir.collection-plan/1")
    names = [step["artefact"] for step in plan["plan"]]
    assert names.index("sockets") < names.index("memory") < names.index("snapshot") < names.index("volumes")
    assert not (own_folders / "ir_cases").exists()


def test_what_failed_is_named_and_the_exit_code_is_1(make_container: Make, own_folders: Path) -> None:
    container = make_container("sh", "-c", "echo hello > /dev/shm/x; sleep 1000")
    case = str(own_folders / "case")
    done = ir("collect", container.name, "--case", case, "--only", "tmpfs", "--budget-bytes", "3")
    assert done.returncode == 1
    assert "ir: not collected: tmpfs /dev/shm, parts: 1 entries (6 bytes) are not in it" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("collect", "no-such-container"), "ir: there is no container 'no-such-container'."),
        (("collect", "x", "--only", "everything"), "ir: there is no collector 'everything'."),
    ],
)
@pytest.mark.usefixtures("docker_host")
def test_bad_input_is_one_sentence_and_exit_code_2(arguments: tuple[str, ...], sentence: str) -> None:
    done = ir(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(sentence)
    assert done.stdout == ""


def test_a_case_about_something_else_is_refused(make_container: Make, own_folders: Path) -> None:
    first, second = make_container("sleep", "1000"), make_container("sleep", "1000")
    case = str(own_folders / "case")
    assert ir("collect", first.name, "--case", case, "--only", "clock").returncode == 0
    done = ir("collect", second.name, "--case", case, "--only", "clock")
    assert done.returncode == 2
    assert done.stderr.startswith(f"ir: the case in {case} is about '{first.name}', not '{second.name}'.")
