"""The host's view on processes of this test itself: hostile names, stray threads, reads that block; no engine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from forensics.engine import host
from forensics.engine.host_net import parse_inet_row
from forensics.engine.procfs import with_deadline

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="enters network namespaces")


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


@needs_root
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


@needs_root
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


def test_hidden_arguments_are_reported_and_block_nobody() -> None:
    program = Path(__file__).with_name("hide_arguments.py")
    with subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        if child.stdout.readline() != b"ready\n":
            pytest.skip("this kernel does not let us hide arguments")
        started = time.monotonic()
        process = host.read_process(child.pid)
        seconds = time.monotonic() - started
        child.kill()

    assert seconds < 5
    assert process.argv == ()
    assert [error for error in process.errors if error.startswith("cmdline: ")]
    assert process.exe


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
