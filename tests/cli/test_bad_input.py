"""Mistaken input: one sentence that says what to do, the right exit code, and never the word bug."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

HOSTILE = "nic\x1b[2J\\ht"
ON_A_CONTAINER = (["ps"], ["isolate"], ["release"], ["collect"], ["run", "default"])


def ir(*arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "forensics", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **(environment or {})},
    )


@pytest.mark.docker
@pytest.mark.usefixtures("docker_host", "own_folders")
@pytest.mark.parametrize("command", ON_A_CONTAINER, ids=" ".join)
@pytest.mark.parametrize("name", [HOSTILE, "/dev/null", "..", "no-such-container-of-ours", "é"])
def test_a_container_that_cannot_be(command: list[str], name: str) -> None:
    done = ir(*command, name, "--json")
    shown = name.replace("\\", "\\\\").replace("\x1b", "\\x1b").removeprefix("/")

    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("ir: ")
    assert done.stderr.count("\n") == 1
    assert f"{shown}'" in done.stderr
    assert "'ir ps --all'" in done.stderr or "id you mean" in done.stderr
    assert json.loads(done.stdout)["exit_code"] == 2


@pytest.mark.parametrize("address", ["http://[", "tcp://127.0.0.1:99999999", "ssh://[", "nonsense"])
@pytest.mark.parametrize("command", ["ps", "isolate x", "collect x", "release x"])
def test_an_engine_address_that_cannot_be_read(command: str, address: str) -> None:
    done = ir(*command.split(), environment={"DOCKER_HOST": address})

    assert done.returncode == 4, done.stderr
    assert done.stderr.startswith(f"ir: the engine address '{address}' from DOCKER_HOST ")
    assert done.stderr.endswith("Use unix:///path, tcp://host:port or ssh://user@host.\n")
