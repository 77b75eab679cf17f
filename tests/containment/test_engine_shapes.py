"""Engines of other shapes: pure cgroup v2 with a swarm and an overlay network, and Podman's compatible socket."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from containment_rig import Lab, wait_until
from own_engine_rig import OwnBox, OwnEngine, make_engine

from forensics.engine.base import Container
from forensics.engine.wire import WireEngine

pytestmark = pytest.mark.docker
MAIN = "import sys; from forensics.cli import main; sys.argv[0] = 'ir'; main()"
PURE = 'mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec "$@"'


@pytest.fixture
def pure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OwnEngine]:
    """An engine that sees no hierarchy but cgroup2, as on every current distribution."""
    engine = make_engine(tmp_path, monkeypatch, "unshare", "-m", "sh", "-c", PURE, "--", live_restore=False)
    yield engine
    engine.stop()


def ir(engine: OwnEngine, *arguments: str) -> dict[str, object]:
    """Run the command where only cgroup2 is mounted; it must succeed."""
    pid = engine.lab.PID_FILE.read_text()
    command = ["nsenter", "-t", pid, "-m", sys.executable, "-c", MAIN, *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    document: dict[str, object] = json.loads(done.stdout)
    return document


class Recreating(WireEngine):
    """An engine beside which a swarm answers the freeze with a new task."""

    box: OwnBox

    def pause(self, container: Container) -> None:
        super().pause(container)
        self.box.docker("service", "update", "--force", "--detach", "--update-order", "start-first", "web")
        wait_until(lambda: len(self.box.docker("ps", "-q").split()) > 1)


def test_pure_cgroup_v2_with_a_swarm_whose_task_is_started_anew(pure: OwnEngine, own_folders: Path) -> None:
    box = OwnBox("own:1", pure.wire)
    assert box.docker("info", "--format", "{{.CgroupVersion}}") == "2"
    cut_on_pure_v2(pure, box)
    see_a_swarm_task_replaced(pure, box, own_folders)


def cut_on_pure_v2(pure: OwnEngine, box: OwnBox) -> None:
    hosted, plain = box.run("hosted", "--network", "host"), box.run("plain")
    for name, kinds in ((hosted, ["freeze", "filter"]), (plain, ["freeze", "disconnect"])):
        document = ir(pure, "isolate", name)
        assert [action["kind"] for action in document["actions"]] == kinds
        assert document["proof"]["frozen"] is True
        assert ir(pure, "release", name)["proved"] is True
        assert box.find(name).status == "running"
    box.docker("rm", "-f", hosted, plain)


def see_a_swarm_task_replaced(pure: OwnEngine, box: OwnBox, own_folders: Path) -> None:
    box.docker("swarm", "init", "--advertise-addr", "127.0.0.1")
    box.docker("network", "create", "-d", "overlay", "--subnet", "10.188.1.0/24", "ov")
    words = ("--name", "web", "--network", "ov", "--detach", "own:1", "/bin/busybox", "sleep", "1000")
    box.docker("service", "create", *words)
    wait_until(lambda: box.docker("ps", "-q"))
    suspect = box.find(box.docker("ps", "-q"))
    engine = Recreating(pure.wire.url.removeprefix("unix://"))
    engine.box = box
    lab = Lab(engine, own_folders)
    result = lab.isolate(suspect.name)
    assert result.proved, result.proof.reasons
    assert "docker service scale web=0" in result.warnings[0]
    assert [found.command for found in result.replacements] == ["docker service scale web=0"]


CONTAINERS_CONF = """[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
"""
"""Where the machine lacks CAP_SYS_RESOURCE, Podman's own limits cannot be set."""


@pytest.fixture
def podman(monkeypatch: pytest.MonkeyPatch) -> Iterator[WireEngine]:
    """Podman's compatible socket, in a network namespace of its own."""
    with tempfile.TemporaryDirectory(prefix="ir-pod-") as folder, contextlib.ExitStack() as undo:
        name = Path(folder).name
        (Path(folder) / "containers.conf").write_text(CONTAINERS_CONF)
        subprocess.run(["ip", "netns", "add", name], check=True)
        undo.callback(subprocess.run, ["ip", "netns", "del", name], check=False)
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        socket = f"{folder}/s"
        options = ("--root", f"{folder}/root", "--runroot", f"{folder}/run", "--storage-driver", "vfs")
        plain = ("--cgroup-manager", "cgroupfs", "--events-backend", "file", "--runtime", "runc")
        command = ["nsenter", f"--net=/run/netns/{name}", "podman", *options, *plain]
        environment = os.environ | {"CONTAINERS_CONF": f"{folder}/containers.conf"}
        service = subprocess.Popen(
            [*command, "system", "service", "-t", "0", f"unix://{socket}"],
            env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        undo.callback(service.wait)
        undo.callback(service.terminate)
        undo.callback(
            subprocess.run, [*command, "rm", "-f", "-a", "-t", "0"], env=environment, check=False, capture_output=True
        )
        monkeypatch.setenv("DOCKER_HOST", f"unix://{socket}")
        wait_until(lambda: Path(socket).exists())
        packed = subprocess.run(["tar", "-C", "/", "-c", "bin/busybox"], capture_output=True, check=True)
        import_image = ["docker", "import", "-c", "ENV PATH=/bin", "-", "own:1"]
        subprocess.run(import_image, input=packed.stdout, capture_output=True, check=True)
        yield WireEngine(socket)


def test_podman_leaves_a_frozen_containers_interface_and_makes_none_yet_all_is_cut_and_comes_back(
    podman: WireEngine, own_folders: Path
) -> None:
    box, lab = OwnBox("own:1", podman), Lab(podman, own_folders)
    suspect = box.run("suspect", "--network", box.network("n"), "--network-alias", "web")
    before = box.find(suspect).networks
    result = lab.isolate(suspect)
    assert result.is_done, result.to_document()
    assert [str(done.action.kind) for done in result.performed] == ["freeze", "disconnect", "remove-interface"]
    assert result.proof.document["probe"]["answered_before"] == [before[0].ipv4]
    released = lab.release(result)
    assert released.restored, released.reasons
    assert any("connected twice" in difference for difference in released.differences)
    after = box.find(suspect).networks[0]
    assert (after.ipv4, after.aliases) == (before[0].ipv4, before[0].aliases)
    assert before[0].mac in box.enter(suspect, "ip", "link")
    assert before[0].ipv4 in released.proof["reached"]["inward"][0]["answered"]


def test_podman_cannot_change_a_restart_policy_so_the_container_is_held_frozen(
    podman: WireEngine, own_folders: Path
) -> None:
    box, lab = OwnBox("own:1", podman), Lab(podman, own_folders)
    suspect = box.run("suspect", "--network", box.network("n"), "--restart", "always")
    result = lab.isolate(suspect, freeze=False)
    assert result.is_done, result.to_document()
    policy = next(done for done in result.performed if done.action.kind == "restart-policy")
    assert policy.to_document()["result"] == "not applicable"
    assert "cannot change a restart policy" in policy.note
    assert result.proof.document["frozen"] is True, "although nobody asked for that"
    assert box.find(suspect).status == "paused"
    released = lab.release(result)
    assert released.restored, released.reasons
    assert box.find(suspect).status == "running"
