"""Mistaken input: one sentence that says what to do, the right exit code, and never the word bug."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

from forensics.cli.settings import Settings
from forensics.errors import UsageError

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


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody without a name")
def test_settings_and_address_of_somebody_without_home_or_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HOME", "XDG_CONFIG_HOME", "IR_CONFIG", "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG"):
        monkeypatch.delenv(variable, raising=False)
    code = """if True:
        import os
        from forensics.cli.settings import read_settings
        from forensics.engine.address import find_address
        os.setuid(54321)
        print(read_settings().operator, find_address().origin)"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.stderr == ""
    assert done.stdout.startswith("uid 54321 ")


def test_a_cases_folder_that_is_nobodys_home() -> None:
    done = ir("run", "default", "x", environment={"IR_CASES": "~nobody-of-this-name/cases"})
    assert "internal error" not in done.stderr
    with pytest.raises(UsageError, match="has no home"):
        _ = Settings(cases="~nobody-of-this-name/cases").cases_dir
