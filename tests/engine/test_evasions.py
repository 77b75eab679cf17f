"""What an attacker with capabilities does so that the host's view does not show it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from forensics.engine.base import Container, ContainerSpec
from forensics.engine.docker import DockerEngine, connect
from forensics.engine.footprint import read_footprint
from forensics.engine.held import find_held
from forensics.engine.namespace_search import list_descriptor_tables
from forensics.engine.net_facts import Interface
from forensics.engine.netns import Namespace
from forensics.engine.process_table import Shared, read_process_table
from forensics.engine.procfs import namespace_inode

PROGRAMS = Path(__file__).parent.parent / "containment" / "programs"
ROOT = Path("/sys/fs/cgroup")


@pytest.fixture
def running(docker_host: str, base_image: str) -> Iterator[Container]:
    with connect(docker_host) as engine:
        yield from _run(engine, base_image)


def _run(engine: DockerEngine, image: str) -> Iterator[Container]:
    name = f"engine-evasion-{time.monotonic_ns()}"
    container = engine.run(ContainerSpec(image=image, name=name, command=("sleep", "1000")))
    yield container
    engine.remove_container(container, force=True)


@pytest.mark.docker
def test_a_process_in_a_pid_namespace_of_its_own_that_left_the_control_group_is_an_outsider(running: Container) -> None:
    enter = ["nsenter", "-t", str(running.pid), "-p", "unshare", "--pid", "--fork", "sleep", "100"]
    with subprocess.Popen(enter) as outer:
        try:
            time.sleep(0.5)
            outsiders = read_footprint(running).outsiders
        finally:
            outer.terminate()
            subprocess.run(["kill", "-9", *map(str, outsiders)], check=False)
    assert len(outsiders) >= 2  # unshare, in the container's own namespace, and its child, in one below


def _move_to_root_group(pid: int) -> None:
    """What a process does that has the host's control groups mounted: it leaves its own in every hierarchy."""
    for folder in (ROOT, *ROOT.iterdir()):
        with contextlib.suppress(OSError):
            (folder / "cgroup.procs").write_text(str(pid))


@pytest.mark.docker
def test_a_process_that_left_the_control_group_is_found_where_there_is_no_pid_namespace(
    docker_host: str, base_image: str
) -> None:
    with connect(docker_host) as engine:
        name = f"engine-evasion-{time.monotonic_ns()}"
        command = ("sh", "-c", "sleep 1000 & sleep 2000")
        container = engine.run(ContainerSpec(image=base_image, name=name, command=command, pid_mode="host"))
        try:
            members = _wait_for(lambda: read_footprint(container).members, 2)
            stray = next(pid for pid in members if pid != container.pid)
            assert read_footprint(container).outsiders == ()
            _move_to_root_group(stray)
            assert read_footprint(container).outsiders == (stray,)
            os.kill(stray, signal.SIGKILL)
        finally:
            engine.remove_container(container, force=True)


def _wait_for(look: Callable[[], tuple[int, ...]], count: int) -> tuple[int, ...]:
    end = time.monotonic() + 10
    while len(found := look()) < count:
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


def test_a_process_whose_first_thread_has_ended_still_stands_in_a_namespace(tmp_path: Path) -> None:
    program = tmp_path / "leaderless"
    subprocess.run(["gcc", "-static", "-pthread", "-w", "-o", program, PROGRAMS / "leaderless.c"], check=True)
    with subprocess.Popen(["unshare", "-n", program], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == b"ready\n"
            _wait_for(lambda: (1, 1) if namespace_inode(process.pid, "net") == 0 else (), 2)
            table = read_process_table()
            inode = table.network[process.pid]
            assert inode not in {0, table.network[os.getpid()]}
            assert table.users[inode] == {process.pid}
            with Namespace(table.path(process.pid)) as namespace:
                assert namespace.inode == inode
            assert list_descriptor_tables(process.pid) != []
        finally:
            process.kill()


def test_a_socket_to_the_hypervisor_is_a_problem_of_its_own() -> None:
    try:
        channel = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    except OSError:
        pytest.skip("this kernel has no vsock")
    with channel:
        path = f"/proc/{os.getpid()}/fd/{channel.fileno()}"
        uses, problems = find_held({os.fstat(channel.fileno()).st_ino: (os.getpid(), path)})
    assert uses == []
    assert problems == [f"process {os.getpid()} holds a vsock socket, which no network cut closes"]


def test_threads_that_ask_at_once_share_an_answer_and_nobody_gets_an_old_one() -> None:
    began: list[float] = []

    def ask() -> float:
        began.append(time.monotonic())
        time.sleep(0.05)
        return began[-1]

    shared = Shared(ask)

    def use(_: int) -> tuple[float, float]:
        called = time.monotonic()
        return called, shared.get()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(use, range(8)))
    assert all(called <= answer for called, answer in answers)
    assert len(began) < len(answers), "shared"


def _interface(name: str, kind: str, *, is_up: bool = False) -> Interface:
    return Interface(7, name, kind, "02:00:00:00:00:01", is_up, False, 0, (), 0, 0, 0, 0)


def test_a_fallback_device_is_known_by_its_kind_and_not_by_its_name_alone() -> None:
    assert _interface("tunl0", "ipip").is_harmless
    assert not _interface("tunl0", "veth").is_harmless
    assert not _interface("tunl0", "ipip", is_up=True).is_harmless
    assert not _interface("tunl0", "").is_harmless
