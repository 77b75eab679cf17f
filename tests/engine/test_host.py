"""The host's view of real containers: processes, sockets, files, without anything being run in them."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from forensics.engine import host, openat2
from forensics.engine.base import Container, ContainerSpec
from forensics.engine.docker import DockerEngine
from forensics.engine.host_net import parse_inet_row
from forensics.engine.host_proc import HostProcess
from forensics.engine.procfs import with_deadline

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
    wait_for(lambda: len(host.list_container_processes(container)) == 2)
    (child,) = [p for p in host.list_container_processes(container) if b"301" in p.argv]
    for directory in map(Path, host.find_cgroup_dirs(container.id, child.pid)):
        (directory.parent / "cgroup.procs").write_text(str(child.pid))
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


def test_a_vanished_process_is_an_error_of_its_own() -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    with pytest.raises(FileNotFoundError):
        host.read_process(child.pid)
    with pytest.raises(FileNotFoundError):
        host.read_net_namespace(child.pid)


def test_hostile_names_of_a_process_survive() -> None:
    code = "import ctypes,time; ctypes.CDLL(None).prctl(15, b'a) R 1 (\\n\\xff'); print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, "arg\udcff\nx"], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        process = host.read_process(child.pid)
        child.kill()

    assert process.comm == b"a) R 1 (\n\xff"
    assert process.ppid == os.getpid()
    assert process.state in {"R", "S"}
    assert process.argv[-1] == b"arg\xff\nx"
    assert process.to_document()["argv"][-1] == "arg\udcff\nx"


def test_unix_socket_paths_cannot_forge_rows(tmp_path: Any) -> None:
    path = os.fsencode(tmp_path) + b"/a\n0000000000000000: 00000002 00000000 00010000 0001 01 99 /forged"
    path = path[:107]
    abstract = b"\0ir-test-\xff"
    Path(os.fsdecode(path)).parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as named, socket.socket(socket.AF_UNIX) as unnamed:
        named.bind(path)
        named.listen()
        unnamed.bind(abstract)
        sockets = host.read_net_namespace(os.getpid()).sockets

    by_path = {found.path: found for found in sockets if found.family == "unix"}
    assert by_path[path].state == "LISTEN"
    assert abstract in by_path
    assert not any(found.path.startswith(b"/forged") for found in sockets)


STRAY = """
import ctypes, socket, threading, time
def work():
    if ctypes.CDLL(None).unshare(0x40000000): raise SystemExit(1)
    with socket.socket() as hidden:
        hidden.bind(("0.0.0.0", 6666)); hidden.listen(); print("ready", flush=True); time.sleep(60)
threading.Thread(target=work, daemon=True).start()
time.sleep(60)
"""


def test_a_thread_in_a_namespace_of_its_own_cannot_hide_its_sockets() -> None:
    with subprocess.Popen([sys.executable, "-c", STRAY], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        process = host.read_process(child.pid)
        views = host.read_container_network([process])
        unlisted = host.find_unlisted_sockets([process], views[:1])
        child.kill()

    assert len(views) == 2
    (hidden,) = [found for found in views[1].sockets if found.local_port == 6666]
    assert [pid for pid, _ in hidden.owners] == [child.pid]
    assert [(pid, inode) for pid, _, inode in unlisted] == [(child.pid, hidden.inode)]


def test_a_read_that_blocks_is_given_up(tmp_path: Path) -> None:
    """As a page does that the attacker's FUSE server or userfaultfd has to deliver."""
    os.mkfifo(tmp_path / "fifo")
    started = time.monotonic()
    with pytest.raises(TimeoutError, match=r"still blocked after 0\.2 s"):
        with_deadline((tmp_path / "fifo").read_bytes, 0.2)
    assert time.monotonic() - started < 2
    with pytest.raises(FileNotFoundError):
        with_deadline((tmp_path / "none").read_bytes)


def test_rows_of_the_kernel_are_parsed() -> None:
    row = (
        b"   1: 0100007F:1F90 0200A8C0:D431 01 00000000:00000000 00:00000000 00000000  1000        0 4242 1 "
        b"0000000000000000 20 4 30 10 -1"
    )
    found = parse_inet_row(row, "tcp")
    assert (found.local_addr, found.local_port) == ("127.0.0.1", 8080)
    assert (found.remote_addr, found.remote_port) == ("192.168.0.2", 54321)
    assert (found.state, found.uid, found.inode) == ("ESTABLISHED", 1000, 4242)
    row = row.replace(b"0100007F", b"0000000000000000FFFF00000100007F").replace(b"0200A8C0", b"0" * 32)
    assert parse_inet_row(row, "tcp6").local_addr == "::ffff:127.0.0.1"


def test_importing_the_hosts_view_pulls_in_nothing_heavy() -> None:
    code = "import sys, forensics.engine.host; print([m for m in sys.modules if m.split('.')[0] in %r])"
    heavy = ("docker", "requests", "urllib3", "pydantic", "yaml", "jinja2", "yara", "magic", "click", "subprocess")
    done = subprocess.run([sys.executable, "-c", code % (heavy,)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
