"""The lab engine starts on a bare machine, starts over a killed one, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Path]:
    """Return the script of a lab of its own: its name comes from the path of its checkout."""
    if os.geteuid():
        pytest.skip("a private engine needs root")
    shutil.copytree(CHECKOUT / "lab", tmp_path / "lab")
    yield tmp_path / "lab" / "engine.py"
    run(tmp_path / "lab" / "engine.py", "stop")


def run(script: Path, verb: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(script), verb], capture_output=True, text=True, check=False)


def find_processes(name: str) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if name.encode() in path.read_bytes() and int(path.parent.name) != os.getpid():
                found.append(int(path.parent.name))
    return found


@pytest.mark.docker
def test_it_starts_over_a_killed_engine_and_stops_without_a_trace(lab: Path, base_image: str) -> None:
    import docker

    url = run(lab, "start").stdout.strip()
    name = Path(url.removeprefix("unix://")).parent.name
    client = docker.DockerClient(base_url=url)
    client.api.import_image_from_data(b"\0" * 10240, repository=base_image.split(":", maxsplit=1)[0], tag="empty")
    daemon = int((Path("/run") / name / "engine.pid").read_text())
    os.kill(daemon, signal.SIGKILL)

    again = run(lab, "start")
    assert again.returncode == 0, again.stderr
    assert again.stdout.strip() == url
    assert docker.DockerClient(base_url=url).ping()

    assert run(lab, "stop").returncode == 0
    assert find_processes(name) == []
    assert not (Path("/run") / name).exists()
    assert not (Path("/var/lib") / name).exists()
    assert not (Path("/run/netns") / name).exists()
    assert name not in Path("/proc/self/mountinfo").read_text()


@pytest.mark.docker
def test_a_stale_pid_file_of_another_process_is_ignored(lab: Path, docker_host: str) -> None:
    assert docker_host
    url = run(lab, "start").stdout.strip()
    home = Path(url.removeprefix("unix://")).parent
    os.kill(int((home / "engine.pid").read_text()), signal.SIGKILL)
    (home / "engine.pid").write_text(str(os.getpid()))
    assert run(lab, "start").returncode == 0
