"""What one container does for another: a network socket handed over through a shared volume; and reads that block."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from containment_rig import Box, Lab, Sniffer, wait_until

from forensics.engine import processes

PROGRAMS = Path(__file__).parent / "programs"


def build(name: str, folder: Path) -> Path:
    if not shutil.which("gcc"):
        pytest.skip("no C compiler")
    subprocess.run(["gcc", "-static", "-w", "-o", folder / name, PROGRAMS / f"{name}.c"], check=True)
    return folder / name


@pytest.fixture
def pair(box: Box, tmp_path: Path) -> Callable[[], tuple[str, str]]:
    """Two containers that share a volume: the second sends through the first one's network."""

    def start() -> tuple[str, str]:
        program = build("collude", tmp_path)
        shared = tmp_path / "shared"
        shared.mkdir()
        volume = ("-v", f"{shared}:/shared")
        lender, user = (box.run(label, "--network", box.network(label), *volume) for label in ("lender", "user"))
        gateway = next(iter(box.inspect(lender)["NetworkSettings"]["Networks"].values()))["Gateway"]
        for name, word in ((user, "take"), (lender, "give")):
            box.docker("cp", str(program), f"{name}:/bin/collude")
            box.docker("exec", "-d", name, "/bin/collude", word, "/shared/s", gateway)
        return lender, user

    return start


@pytest.mark.docker
def test_who_sends_through_a_socket_of_another_containers_network_is_found_and_not_called_proved(
    box: Box, lab: Lab, sniff: Callable[[str], Sniffer], pair: Callable[[], tuple[str, str]]
) -> None:
    lender, user = pair()
    sniffer = sniff(box.find(lender).networks[0].mac)
    wait_until(lambda: sniffer.count(0.2))
    result = lab.isolate(user)
    assert not result.proved
    assert any("which others use" in reason for reason in result.proof.reasons), result.proof.reasons
    sniffer.escaped(0.0)
    assert sniffer.escaped(0.5) == 0, "it is frozen"
    assert lab.release(result).restored


@pytest.mark.docker
def test_a_socket_lent_to_another_container_is_dead_once_the_lender_is_cut(
    box: Box, lab: Lab, sniff: Callable[[str], Sniffer], pair: Callable[[], tuple[str, str]]
) -> None:
    lender, user = pair()
    sniffer = sniff(box.find(lender).networks[0].mac)
    wait_until(lambda: sniffer.count(0.2))
    result = lab.isolate(lender)
    sniffer.escaped(0.0)
    assert sniffer.escaped(0.5) == 0
    assert box.find(user).status == "running", "and it sends all the time"
    assert result.proved, result.proof.reasons


def test_a_process_whose_arguments_block_the_reader_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of a FUSE server that is frozen is never delivered; the kernel lets the reader wait for it."""
    released = threading.Event()
    read = processes.read_bytes

    def read_or_wait(path: str) -> bytes:
        if path == f"/proc/{os.getppid()}/cmdline":
            released.wait()
        return read(path)

    monkeypatch.setattr(processes, "read_bytes", read_or_wait)
    started = time.monotonic()
    told = {item["pid"]: item["argv"] for item in processes.read_processes((1, os.getppid(), os.getpid()))}
    seconds = time.monotonic() - started
    released.set()
    assert told[os.getppid()] is None
    assert told[1]
    assert told[os.getpid()]
    assert seconds < 1
