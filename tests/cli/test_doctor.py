"""`ir doctor`: what it says on this host, and that it fails exactly when isolating or collecting could not work."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from forensics.cli import readiness
from forensics.cli.doctor import command
from forensics.cli.frame import run
from forensics.engine.advisories import ADVISORIES, find_advisories, is_affected, parse_version

BY_CVE = {advisory.cve: advisory for advisory in ADVISORIES}


def run_json(capsys: pytest.CaptureFixture[str], code: int) -> dict[str, Any]:
    assert run(command, ["--json"]) == code
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert document["schema"] == "ir.doctor/1"
    for check in document["checks"]:
        assert check["state"] in {"ok", "warn", "fail"}
        assert bool(check["advice"]) == (check["state"] != "ok"), check
    return document


@pytest.mark.docker
@pytest.mark.usefixtures("docker_host", "own_folders")
def test_a_host_with_an_engine_is_ready(capsys: pytest.CaptureFixture[str]) -> None:
    document = run_json(capsys, 0)
    states = {check["name"]: check["state"] for check in document["checks"]}

    assert document["ready"] is True
    assert states["engine"] == states["place"] == states["case disk"] == "ok"
    assert {"rights", "kernel", "cgroups", "clock", "libmagic", "yara", "ssh-keygen", "openssl", "nsenter"} <= set(
        states
    )
    if os.getuid() == 0:
        assert states["rights"] == "ok"


def test_without_an_engine_it_is_not_ready(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/engine.sock")
    document = run_json(capsys, 4)
    (engine,) = [check for check in document["checks"] if check["name"] == "engine"]

    assert document["ready"] is False
    assert (engine["state"], engine["blocks"]) == ("fail", True)
    assert engine["detail"] == "there is no engine socket at /nonexistent/engine.sock"


def test_the_human_page(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/engine.sock")
    assert run(command, []) == 4
    shown = capsys.readouterr().out

    assert "FAIL  engine" in shown
    assert "→ start the engine, or set DOCKER_HOST" in shown
    assert shown.endswith("not ready: what says FAIL has to be mended first\n")


def test_a_missing_tool_is_a_warning(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    checks = list(readiness.check_tools())

    assert {check.state for check in checks} == {"warn"}
    assert not any(check.blocks for check in checks)
    assert [check.advice for check in checks][:2] == ["install openssh-client", "install openssl"]


def test_a_disk_without_room_blocks() -> None:
    check = readiness.check_disk("case disk", Path("/proc/not/yet"), "free space")  # procfs has no free byte

    assert (check.state, check.blocks, check.advice) == ("fail", True, "free space")


@pytest.mark.parametrize(
    ("cve", "version", "affected"),
    [
        ("CVE-2024-21626", "1.1.11", True),
        ("CVE-2024-21626", "1.1.12", False),
        ("CVE-2024-21626", "1.0.0-rc92", False),
        ("CVE-2024-21626", "1.0.0-rc93", True),
        ("CVE-2024-21626", "1.1.5+ds1", True),
        ("CVE-2025-31133", "1.2.7", True),
        ("CVE-2025-31133", "1.2.8", False),
        ("CVE-2025-31133", "1.3.2", True),
        ("CVE-2025-31133", "1.3.3", False),
        ("CVE-2025-31133", "1.4.0", False),
        ("CVE-2025-31133", "1.1.15", True),
        ("CVE-2019-5736", "1.0.0-rc6", True),
        ("CVE-2019-5736", "1.0.0", False),
        ("CVE-2024-41110", "20.10.24+dfsg1", True),
        ("CVE-2024-41110", "24.0.9", True),
        ("CVE-2024-41110", "26.1.4", True),
        ("CVE-2024-41110", "26.1.5", False),
        ("CVE-2024-41110", "27.1.0", True),
        ("CVE-2024-41110", "28.5.2", False),
        ("CVE-2024-29018", "25.0.4", True),
        ("CVE-2024-29018", "26.1.0", False),
        ("CVE-2024-29018", "", False),
        ("CVE-2024-29018", "unknown", False),
    ],
)
def test_the_table_of_vulnerable_versions(cve: str, version: str, affected: bool) -> None:
    assert is_affected(BY_CVE[cve], version) is affected


def test_a_release_sorts_after_its_candidates() -> None:
    candidate, release = parse_version("v1.4.0-rc.3"), parse_version("1.4.0")
    assert candidate is not None
    assert release is not None
    assert candidate < release


def test_components_are_found_whatever_the_runtime_is_called() -> None:
    docker = {
        "Version": "28.5.2",
        "Components": [
            {"Name": "Engine", "Version": "28.5.2", "Details": {"GitCommit": "a"}},
            {"Name": "containerd", "Version": "1.0.0", "Details": {"GitCommit": "b"}},
            {"Name": "lab", "Version": "1.3.2", "Details": {"GitCommit": "c"}},
            {"Name": "docker-init", "Version": "0.19.0", "Details": {"GitCommit": "d"}},
        ],
    }
    assert {(advisory.component, version) for advisory, version in find_advisories(docker)} == {("runc", "1.3.2")}
    podman = {
        "Version": "4.3.1",
        "Components": [
            {"Name": "Podman Engine", "Version": "4.3.1", "Details": {"GitCommit": "a"}},
            {"Name": "OCI Runtime (runc)", "Version": "runc version 1.1.5\ncommit: x"},
        ],
    }
    assert {(advisory.component, version) for advisory, version in find_advisories(podman)} == {("runc", "1.1.5")}
    assert find_advisories({}) == ()
