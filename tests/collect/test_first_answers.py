"""Connections, processes and changed files with digests and YARA: in the case and on the screen before the snapshot."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from test_command_collect import ir

from forensics.collect import first_look
from forensics.collect.yara_look import FirstLook
from forensics.engine.base import Container
from forensics.engine.docker import DockerEngine
from forensics.evidence.case import Case
from forensics.model import Outcome

if TYPE_CHECKING:
    from conftest import Collected

Make = Callable[..., Container]
Run = Callable[..., "Collected"]
SHELL = b"<?php @eval(base64_decode($_POST['x'])); system($_GET['cmd']); ?>\n"
PLANT = "printf '%s' \"$SHELL_CODE\" > /var/shell.php; nc -l -p 4444 & "


def plant(make_container: Make, engine: DockerEngine, script: str = "", **fields: Any) -> Container:
    container = make_container(
        "sh", "-c", f"{PLANT}{script}echo READY; sleep 1000", environment=(("SHELL_CODE", SHELL.decode()),), **fields
    )
    while b"READY" not in b"".join(engine.logs(container)):
        time.sleep(0.1)
    return container


def watch(name: str, case: Path) -> tuple[list[dict[str, Any]], float]:
    """Run the command until the snapshot begins; return what it told until then, and its processor seconds."""
    command = [sys.executable, "-c", "from forensics.cli import main; main()", "collect", name, "--case", str(case)]
    with subprocess.Popen([*command, "--json"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as running:
        assert running.stderr is not None
        seen: list[dict[str, Any]] = []
        for line in running.stderr:
            seen.append(json.loads(line))
            if (seen[-1]["event"], seen[-1].get("artefact")) == ("start", "snapshot"):
                break
        os.kill(running.pid, signal.SIGINT)
        running.stderr.read()
        _, _, used = os.wait4(running.pid, 0)
    return seen, used.ru_utime + used.ru_stime


@pytest.mark.docker
def test_of_two_thousand_changed_files_everything_is_told_before_the_snapshot_begins(
    make_container: Make, engine: DockerEngine, own_folders: Path
) -> None:
    container = plant(make_container, engine, "i=0; while [ $i -lt 2000 ]; do echo $i > /tmp/f$i; i=$((i+1)); done; ")
    seen, processor_seconds = watch(container.name, own_folders / "case")
    answers = next(event for event in seen if event["event"] == "first-answers")
    files = {file["path"]: file for file in answers["changed_files"]}
    diff = next(event for event in seen if (event["event"], event.get("artefact")) == ("done", "engine-diff"))
    assert seen.index(answers) < seen.index(diff)  # the engine takes its time over a large image
    assert len(files) == 2001
    assert files["/tmp/f7"]["sha256"] == hashlib.sha256(b"7\n").hexdigest()
    assert answers["changed_files"][0]["path"] == "/var/shell.php"
    assert answers["changed_files"][0]["yara"]
    assert answers["yara"] == {"searched": 2001, "left": 0}
    assert any(" ".join(process["argv"]) == "sleep 1000" for process in answers["processes"])
    assert {socket["local_port"] for socket in answers["connections"]} == {4444}
    kinds = [item.kind for item in Case.open(own_folders / "case", read_only=True).items()]
    assert {"sockets", "processes", "changed-files", "yara"} <= set(kinds)
    assert processor_seconds < 3  # of one core; how long it takes depends on who else uses the machine


@pytest.mark.docker
def test_a_person_sees_them_too(make_container: Make, engine: DockerEngine, own_folders: Path) -> None:
    container = plant(make_container, engine)
    done = ir("collect", container.name, "--case", str(own_folders / "c"), "--only", "changes", "--only", "sockets")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("first answers, ")
    assert any("0.0.0.0:4444" in line or ":::4444" in line for line in lines), done.stdout
    assert any(
        "/var/shell.php" in line and hashlib.sha256(SHELL).hexdigest() in line and "!!" in line for line in lines
    )


@pytest.mark.docker
def test_matches_are_evidence_with_their_rules(make_container: Make, engine: DockerEngine, run_collection: Run) -> None:
    found = run_collection(plant(make_container, engine), only={"changes"})
    document = found.document("yara")
    assert {match["path"] for match in document["matches"]} == {"var/shell.php"}
    assert {match["sha256"] for match in document["matches"]} == {hashlib.sha256(SHELL).hexdigest()}
    assert document["rules"]["count"] > 0
    assert all(len(digest) == 64 for digest in document["rules"]["files"].values())
    assert found.line("yara").outcome is Outcome.COLLECTED
    assert "/var/shell.php" in found.line("yara").reason


@pytest.mark.docker
def test_access_times_stay_when_files_are_searched(
    make_container: Make, engine: DockerEngine, run_collection: Run
) -> None:
    container = plant(make_container, engine)
    path = Path(container.raw["GraphDriver"]["Data"]["UpperDir"]) / "var" / "shell.php"
    os.utime(path, ns=(5, 10**18))
    run_collection(container, only={"changes"})
    assert path.stat().st_atime_ns == 5


@pytest.mark.docker
def test_what_is_too_large_or_too_late_is_counted(
    make_container: Make, engine: DockerEngine, run_collection: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_look, "MOST_BYTES", 10)
    found = run_collection(plant(make_container, engine, "echo small > /tmp/small; "), only={"changes"})
    assert (found.document("yara")["searched"], found.document("yara")["left"]) == (1, 1)
    assert "1 large or late ones are left to the analysis of the snapshot" in found.line("yara").reason


def test_the_death_of_the_process_that_searches_is_a_failure_of_that_file_only(tmp_path: Path) -> None:
    (tmp_path / "shell.php").write_bytes(SHELL)
    look = FirstLook()
    try:
        assert look.describe()["count"] > 0
        _kill_scanner()
        assert look.look(str(tmp_path / "shell.php"), b"shell.php", 5).failure == (
            "the scanning process died or hung on this content"
        )
        found = look.look(str(tmp_path / "shell.php"), b"shell.php", 5)
        assert (found.failure, bool(found.matches)) == ("", True)
    finally:
        look.close()


def _kill_scanner() -> None:
    children = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    for pid in {int(pid) for file in children for pid in file.read_text().split()}:
        if b"forensics.scanning.worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)
            return
    pytest.fail("no scanning process runs")
