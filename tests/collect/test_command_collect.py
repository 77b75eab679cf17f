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
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert document["schema"] == "ir.collection/1"
    assert document["case"] == str(own_folders / "case")
    assert {"artefact", "outcome", "reason", "bytes", "seconds", "disturbed", "items"} == set(document["ledger"][0])
    outcomes = {line["artefact"]: line["outcome"] for line in document["ledger"]}
    assert outcomes["snapshot"] == "collected"
    assert outcomes["volumes"] == "empty"
    assert outcomes["memory"] == "not applicable"


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
