"""Engines of other kinds, each a real one of its own: the driver vfs on pure cgroup v2, and Podman."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from forensics.engine.base import Container, ContainerSpec
from forensics.engine.docker import DockerEngine, connect
from forensics.errors import EngineError
from forensics.model import JsonObject, Outcome

if TYPE_CHECKING:
    from conftest import Collected

pytestmark = pytest.mark.docker
Into = Callable[..., "Collected"]
SCRIPT = (
    "rm /bin/ps; printf '#!/bin/sh\\necho > /trapped\\n' > /bin/ps; busybox chmod 755 /bin/ps; "
    "echo said; echo changed > /etc/added; echo held > /dev/shm/held; rm /etc/passwd; exec sleep 1000"
)
CONTAINERS_CONF = '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]\n'
"""Where the machine lacks CAP_SYS_RESOURCE, Podman's own limits cannot be set."""
PURE = 'mount --make-rprivate / && umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup && exec "$@"'


@contextlib.contextmanager
def served(command: list[str], address: Path) -> Iterator[DockerEngine]:
    log = address.with_suffix(".log")
    with log.open("wb") as output:
        server = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
    try:
        for _ in range(300):
            with contextlib.suppress(EngineError):
                engine = connect(f"unix://{address}")
                break
            assert server.poll() is None, log.read_text()[-2000:]
            time.sleep(0.1)
        with engine:
            yield engine
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


def run_in(engine: DockerEngine, image: str) -> Container:
    spec = ContainerSpec(image=image, name="suspect", command=("/bin/sh", "-c", SCRIPT), network="none")
    container = engine.run(spec)
    for _ in range(100):
        if b"said" in b"".join(engine.logs(container)):
            break
        time.sleep(0.1)
    time.sleep(0.2)
    return engine.find_container(container.id)


@pytest.fixture(scope="module")
def root(docker_host: str, base_image: str) -> bytes:
    """A root file system to import elsewhere."""
    with connect(docker_host) as engine:
        container = engine.create_container(ContainerSpec(image=base_image, command=("/bin/sh",)))
        content = b"".join(engine.export(container))
        engine.remove_container(container)
    return content


def check(found: Collected, container: Container) -> None:
    assert {line.artefact: line.reason for line in found.lines if line.outcome is Outcome.FAILED} == {}
    processes: list[JsonObject] = found.document("processes")["processes"]
    assert [process["argv"] for process in processes] == [["sleep", "1000"]]
    assert processes[0]["pid"] == container.pid
    assert found.document("processes")["views"]["cgroup"] == [container.pid]
    entries = {entry["path"]: entry for entry in found.document("changed-files")["entries"]}
    assert entries["etc/added"]["sha256"] == hashlib.sha256(b"changed\n").hexdigest()
    assert "bin/ps" in entries
    assert not Path(f"/proc/{container.pid}/root/trapped").exists()
    top = found.document("engine-top")
    column = top["Titles"].index("HPID" if "HPID" in top["Titles"] else "PID")
    assert [row[column] for row in top["Processes"]] == [str(container.pid)]
    assert {"path": "/etc/passwd", "kind": "deleted"} in found.document("engine-diff")["changes"]
    assert "held" in found.tar("tmpfs", "/dev/shm")
    assert b"said" in b"".join(found.contents("logs"))
    assert found.line("snapshot").outcome is Outcome.COLLECTED


def test_the_driver_vfs_on_pure_cgroup_v2(root: bytes, collect_case: Into, tmp_path: Path) -> None:
    folder = Path("/run") / f"ir-kinds-{os.getpid()}"
    folder.mkdir()
    daemon = [
        "dockerd", "-H", f"unix://{folder}/d.sock", "--data-root", str(tmp_path / "data"),
        "--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/d.pid", "--storage-driver", "vfs",
        "--bridge", "none", "--iptables=false", "--ip6tables=false", "--cgroup-parent", "/ir-kinds",
    ]  # fmt: skip
    with served(["unshare", "-m", "sh", "-c", PURE, "--", *daemon], folder / "d.sock") as engine:
        container = run_in(engine, engine.import_image([root], "kinds:1"))
        info = engine.info(container)
        assert (info.storage_driver, info.cgroup_version, info.is_local) == ("vfs", "2", True)
        check(collect_case(engine, container, tmp_path / "case"), container)
        engine.remove_container(container, force=True)
    subprocess.run(["rm", "-rf", folder], check=True)
    for left in ("/sys/fs/cgroup/unified/ir-kinds", "/sys/fs/cgroup/ir-kinds"):
        with contextlib.suppress(OSError):
            Path(left).rmdir()


def test_podman(root: bytes, collect_case: Into, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path("/run") / f"ir-podman-{os.getpid()}"
    folder.mkdir()
    options = [
        "--root", f"{folder}/root", "--runroot", f"{folder}/runroot", "--tmpdir", f"{folder}/tmp",
        "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend", "file", "--runtime", "runc",
    ]  # fmt: skip
    command = ["podman", *options, "system", "service", "--time", "0", f"unix://{folder}/p.sock"]
    (folder / "containers.conf").write_text(CONTAINERS_CONF)
    monkeypatch.setenv("CONTAINERS_CONF", f"{folder}/containers.conf")
    with served(command, folder / "p.sock") as engine:
        importing = ["podman", *options, "import", "-q", "-", "kinds:1"]
        imported = subprocess.run(importing, input=root, capture_output=True, check=True).stdout
        container = run_in(engine, imported.decode().strip())
        info = engine.info(container)
        assert (info.name, info.is_local) == ("podman", True)
        check(collect_case(engine, container, tmp_path / "case"), container)
        engine.remove_container(container, force=True)
    subprocess.run(["rm", "-rf", folder], check=True)
