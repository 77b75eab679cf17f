"""`ir ps` on the real engine: the signals of containers as they really are."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from forensics.cli.frame import run
from forensics.cli.ps import command
from forensics.engine.base import ContainerSpec, Mount
from forensics.engine.docker import DockerEngine, connect

pytestmark = pytest.mark.docker
PREFIX = f"ps-{os.getpid()}"
HOSTILE_VALUE = "x\x1b[2Jhunter2"


@pytest.fixture(scope="module")
def engine(docker_host: str) -> Iterator[DockerEngine]:
    with connect(docker_host) as connected:
        yield connected


@pytest.fixture(scope="module")
def containers(engine: DockerEngine, base_image: str) -> Iterator[None]:
    """A dangerous container that never ran, a hardened one that runs, and a plain one that has exited."""
    specs = {
        "danger": ContainerSpec(
            base_image,
            f"{PREFIX}-danger",
            ("sleep", "300"),
            environment=(("DB_PASSWORD", HOSTILE_VALUE),),
            mounts=(Mount("bind", "/etc", "/host-etc"), Mount("bind", "/", "/host", rw=False)),
            cap_add=("SYS_ADMIN", "NET_ADMIN"),
            network="host",
            pid_mode="host",
            security_opt=("seccomp=unconfined",),
        ),
        "safe": ContainerSpec(
            base_image,
            f"{PREFIX}-safe",
            ("sleep", "300"),
            user="1000:1000",
            security_opt=("no-new-privileges",),
            read_only=True,
            memory_bytes=64 << 20,
            pids_limit=16,
            host_config={"NanoCpus": 10**8},
        ),
    }
    made = [engine.create_container(spec) for spec in specs.values()]
    try:
        engine.start(made[1])
        yield
    finally:
        for container in made:
            engine.remove_container(container, force=True)


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert run(command, [*arguments, "--json"]) == 0
    captured = capsys.readouterr()
    document: dict[str, Any] = json.loads(captured.out)
    assert captured.err == ""
    assert document["schema"] == "ir.ps/1"
    return document


@pytest.mark.usefixtures("containers")
def test_the_dangerous_container_ranks_before_the_hardened_one(capsys: pytest.CaptureFixture[str]) -> None:
    entries = {entry["name"]: entry for entry in run_json(capsys, "--all")["containers"]}
    danger, safe = entries[f"{PREFIX}-danger"], entries[f"{PREFIX}-safe"]

    assert {signal["rule"] for signal in danger["signals"]} >= {
        "risk.host-root",
        "risk.host-mount",
        "risk.capability",
        "risk.host-network",
        "risk.host-pid",
        "risk.no-seccomp",
        "risk.secret-environment",
        "risk.root-user",
        "risk.writable-root",
    }
    assert {signal["rule"] for signal in safe["signals"]} <= {"risk.no-lsm"}
    assert danger["score"] > 200 > safe["score"]
    names = list(entries)
    assert names.index(danger["name"]) < names.index(safe["name"])


@pytest.mark.usefixtures("containers")
def test_without_all_only_running_containers_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    names = {entry["name"] for entry in run_json(capsys)["containers"]}

    assert f"{PREFIX}-safe" in names
    assert f"{PREFIX}-danger" not in names


@pytest.mark.usefixtures("containers")
def test_secrets_never_leave_the_engine(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command, [f"{PREFIX}-danger"]) == 0
    assert run(command, [f"{PREFIX}-danger", "--json"]) == 0
    shown = capsys.readouterr().out

    assert "DB_PASSWORD=**** (12 characters)" in shown
    assert "hunter2" not in shown
    assert "\x1b[2J" not in shown


@pytest.mark.usefixtures("containers")
def test_details_say_why_each_signal_matters(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command, [f"{PREFIX}-danger"]) == 0
    shown = capsys.readouterr().out

    assert "the host's root inside  [CIS 5.6]" in shown
    assert "seen: / → /host (read-only)" in shown
    assert shown.count("why:") == shown.count("seen:") >= 12


@pytest.mark.usefixtures("containers")
def test_the_table_has_one_line_for_each_container(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command, ["--all"]) == 0
    lines = capsys.readouterr().out.splitlines()

    assert lines[0].split() == ["SCORE", "WORST", "CONTAINER", "NAME", "STATE", "SIGNALS"]
    assert len([line for line in lines if f"{PREFIX}-" in line]) == 2


@pytest.mark.usefixtures("docker_host")
def test_an_unknown_container(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command, ["no-such-container-of-ours"]) == 2
    assert capsys.readouterr().err == ("ir: there is no container 'no-such-container-of-ours'. See 'ir ps --all'.\n")


def test_no_engine(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/engine.sock")
    assert run(command, ["--json"]) == 4
    assert json.loads(capsys.readouterr().out)["exit_code"] == 4
