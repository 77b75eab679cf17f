"""The host's view of real containers: processes, sockets, files, without anything being run in them."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from forensics.engine import host, openat2
from forensics.engine.base import Container, ContainerSpec
from forensics.engine.docker import DockerEngine
from forensics.engine.host_proc import HostProcess

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(os.getuid() != 0, reason="reads other users' processes"),
]
RunContainer = Callable[..., Container]

TRUTH = """
mkdir /tmp/.hidden
cp /bin/busybox /tmp/.hidden/sleep
/tmp/.hidden/sleep 302 3</tmp/.hidden/sleep &
nc -l -p 4444 >/dev/null &
mkfifo /fifo
ln -s /etc/passwd /inside
ln -s ../../../../../../etc/shadow /out
ln -s /proc/1/root/etc/passwd /magic
echo harmless > /plain
sleep 0.5
rm -r /tmp/.hidden
touch /ready
exec sleep 300
"""


def wait_for(question: Callable[[], Any], seconds: float = 10) -> Any:
    end = time.monotonic() + seconds
    while not (answer := question()) and time.monotonic() < end:
        time.sleep(0.05)
    assert answer
    return answer


@pytest.fixture(scope="module")
def truth(engine: DockerEngine, base_image: str) -> Iterator[Container]:
    """Return a container in which every fact is known; the tests only read it."""
    environment = (("MARK", "a=b"), ("PATH", "/bin"))
    spec = ContainerSpec(base_image, f"eng-truth-{os.getpid()}", ("sh", "-c", TRUTH), environment=environment)
    container = engine.run(spec)
    try:
        wait_for(lambda: Path(f"/proc/{container.pid}/root/ready").exists())
        wait_for(lambda: host.read_process(container.pid).comm == b"sleep")
        yield container
    finally:
        engine.remove_container(container, force=True)


def find(container: Container, part: bytes) -> HostProcess:
    (found,) = [p for p in host.list_container_processes(container) if part in b" ".join(p.argv) or part in p.exe]
    return found


def test_processes_are_seen_in_all_views(truth: Container) -> None:
    processes = host.list_container_processes(truth)

    assert len(processes) == 3
    assert {process.seen_by for process in processes} == {("cgroup", "pid-namespace", "descendant")}
    assert {process.namespace("pid") for process in processes} == {host.namespace_inode(truth.pid, "pid")}
    assert set(host.read_cgroup_pids(truth.id, truth.pid)) == {process.pid for process in processes}


def test_every_field_of_the_first_process(truth: Container) -> None:
    document = host.read_process(truth.pid).to_document()

    assert document["pid"] == truth.pid
    assert document["ns_pid"] == 1
    assert document["argv"] == ["sleep", "300"]
    assert document["comm"] == "sleep"
    assert document["exe"] == "/bin/busybox"
    assert (document["exe_deleted"], document["exe_memfd"]) == (False, False)
    assert "MARK=a=b" in document["environ"]
    assert (document["uid"], document["gid"], len(document["uids"])) == (0, 0, 4)
    assert document["state"] == "S"
    assert document["seccomp"] == 2
    assert int(document["cap_eff"], 16) == int(document["cap_bnd"], 16) == 0xA80425FB
    assert truth.id in document["cgroup"]
    assert set(document["namespaces"]) == {"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"}
    assert document["threads"] == 1
    assert document["tracer_pid"] == 0
    assert document["no_new_privs"] is False
    assert {file["fd"] for file in document["fds"]} >= {0, 1, 2}
    assert document["errors"] == []
    started = truth.started_at[:16]
    assert document["start_time_utc"].startswith(started) or document["start_time_utc"] < truth.started_at


def test_a_deleted_executable_is_recovered(truth: Container) -> None:
    hidden = find(truth, b".hidden")
    with os.fdopen(openat2.open_executable(hidden.pid), "rb") as recovered:
        assert recovered.read() == Path("/bin/busybox").read_bytes()

    assert hidden.exe_deleted
    assert b"/tmp/.hidden/sleep (deleted)" in hidden.maps_deleted
    assert [file.target for file in hidden.fds if file.is_deleted] == [b"/tmp/.hidden/sleep (deleted)"]


def test_a_deleted_open_file_is_recovered(truth: Container) -> None:
    hidden = find(truth, b".hidden")
    with os.fdopen(openat2.open_process_file(hidden.pid, 3), "rb") as recovered:
        assert recovered.read(4) == b"\x7fELF"


def test_pipes_and_devices_of_a_process_are_never_opened(truth: Container) -> None:
    kinds = {file.fd: file.target for file in host.read_process(truth.pid).fds}
    assert kinds[0] == b"/dev/null"
    for descriptor in (0, 1):
        with pytest.raises(openat2.NotRegularError):
            openat2.open_process_file(truth.pid, descriptor)


def test_links_stay_inside_the_root(truth: Container) -> None:
    root = openat2.open_root(truth.pid)
    try:
        for path in (b"inside", b"/inside", b"../../inside", b"etc/../../../etc/passwd"):
            with os.fdopen(openat2.open_regular(root, path, follow=True), "rb") as file:
                assert file.read() == b"root:x:0:0:root:/root:/bin/sh\n"
        with pytest.raises(FileNotFoundError):
            openat2.open_regular(root, b"out", follow=True)
        with pytest.raises(OSError, match="not a regular file"):
            openat2.open_regular(root, b"inside")
        with pytest.raises(OSError, match="symbolic links"):
            openat2.open_regular(root, b"magic", follow=True)
        with pytest.raises(OSError, match="cross-device"):
            openat2.open_regular(root, b"proc/version", one_filesystem=True)
    finally:
        os.close(root)


@pytest.mark.parametrize("path", [b"fifo", b"dev/null", b"dev/console", b"tmp", b""])
def test_what_is_no_file_is_not_opened_and_does_not_block(truth: Container, path: bytes) -> None:
    root = openat2.open_root(truth.pid)
    started = time.monotonic()
    try:
        with pytest.raises(OSError):  # noqa: PT011 - the reasons differ; that none is opened is the point
            openat2.open_regular(root, path)
    finally:
        os.close(root)
    assert time.monotonic() - started < 1


def test_reading_leaves_the_access_time_alone(truth: Container) -> None:
    root = openat2.open_root(truth.pid)
    try:
        handle = openat2.open_path(root, b"plain")
        before = os.fstat(handle).st_atime_ns
        os.close(handle)
        time.sleep(0.05)
        with os.fdopen(openat2.open_regular(root, b"plain"), "rb") as file:
            assert file.read() == b"harmless\n"
            assert os.fstat(file.fileno()).st_atime_ns == before
            assert stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    finally:
        os.close(root)


def test_sockets_have_owners(truth: Container) -> None:
    wait_for(lambda: [s for s in host.read_net_namespace(truth.pid).sockets if s.local_port == 4444])
    processes = host.list_container_processes(truth)
    (view,) = host.read_container_network(processes)
    (listener,) = [found for found in view.sockets if found.local_port == 4444]
    owner = find(truth, b"4444")

    assert (listener.proto, listener.state) == ("tcp", "LISTEN")
    assert [pid for pid, _ in listener.owners] == [owner.pid]
    assert view.errors == ()
    assert view.inode == host.namespace_inode(truth.pid, "net")
    assert {interface.name for interface in view.interfaces} >= {"lo", "eth0"}
    address = truth.networks[0].ipv4
    assert any(entry.startswith(address) for interface in view.interfaces for entry in interface.addresses)
    assert any(route.startswith("default via ") for route in view.routes)
    assert {"ifindex", "name", "addresses", "mac"} <= set(view.to_document()["interfaces"][0])
    document = view.to_document()["sockets"]
    assert {"proto", "family", "local_addr", "local_port", "state", "inode", "uid", "pid", "fd", "path"} <= set(
        document[0]
    )


def test_a_frozen_container_is_read_as_well(engine: DockerEngine, truth: Container) -> None:
    engine.pause(truth)

    try:
        assert len(host.list_container_processes(truth)) == 3
        assert find(truth, b".hidden").argv
    finally:
        engine.unpause(truth)


def test_a_process_that_left_the_cgroup_is_still_seen(run_container: RunContainer) -> None:
    container = run_container("sh", "-c", "sleep 301 & exec sleep 300")
    (child,) = wait_for(lambda: [p for p in host.list_container_processes(container) if b"301" in p.argv])
    for directory in map(Path, host.find_cgroup_dirs(container.id, child.pid)):
        top = next(folder for folder in directory.parents if folder.is_mount())
        (top / "cgroup.procs").write_text(str(child.pid))  # the root takes processes whatever cgroup2 distributes below
    (moved,) = [p for p in host.list_container_processes(container) if b"301" in p.argv]

    assert moved.seen_by == ("pid-namespace", "descendant")
    assert child.pid not in host.read_cgroup_pids(container.id, container.pid)


def test_a_container_with_the_hosts_pid_namespace(run_container: RunContainer) -> None:
    container = run_container(pid_mode="host")
    (process,) = host.list_container_processes(container)

    assert process.pid == container.pid
    assert process.seen_by == ("cgroup", "descendant")


def test_locality_is_a_fact_not_an_address(engine: DockerEngine, truth: Container) -> None:
    assert host.is_local(engine)
    assert host.is_local_container(truth)
    elsewhere = Container("f" * 64, "x", "", "", truth.pid, "running", "")
    assert not host.is_local_container(elsewhere)
    assert not host.is_local_container(Container(truth.id, "x", "", "", 0, "exited", ""))
