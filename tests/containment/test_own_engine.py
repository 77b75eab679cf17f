"""On engines of the tests' own: a daemon that restarts in between, and a resolver that asks outside by itself."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from containment_rig import Lab
from own_engine_rig import OwnBox, OwnEngine, make_engine

from forensics.containment.scene import find_engine_namespace
from forensics.engine.netlink import entered
from forensics.engine.wire import WireEngine

pytestmark = pytest.mark.docker


@pytest.fixture
def restarted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OwnEngine]:
    engine = make_engine(tmp_path, monkeypatch)
    yield engine
    engine.stop()


def test_release_restores_everything_after_the_daemon_was_restarted(restarted: OwnEngine, own_folders: Path) -> None:
    box, lab = OwnBox("own:1", restarted.wire), Lab(restarted.wire, own_folders)
    network = box.network("n", "--subnet", "10.184.1.0/24")
    suspect = box.run(
        "suspect", "--network", network, "--ip", "10.184.1.7", "--network-alias", "w", "--restart", "always"
    )
    before = box.find(suspect)
    result = lab.isolate(suspect)
    assert result.proved, result.proof.reasons
    restarted.restart()
    assert box.find(suspect).pid == before.pid
    again = lab.isolate(suspect, root=result.case)
    assert again.proved, again.proof.reasons
    released = lab.release(result)
    assert released.restored, released.reasons
    after = box.find(suspect)
    assert (after.pid, after.status, after.networks) == (before.pid, "running", before.networks)
    assert box.inspect(suspect)["HostConfig"]["RestartPolicy"]["Name"] == "always"


class NameServer:
    """Answers every question with an address, in the engine's namespace, and keeps the questions."""

    def __init__(self, engine: WireEngine) -> None:
        self.asked: list[bytes] = []
        with Path(find_engine_namespace(engine.url)).open("rb") as namespace, entered(namespace.fileno()):
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._socket.bind(("127.0.0.53", 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            question, asker = self._socket.recvfrom(2048)
            self.asked.append(question)
            end = question.index(b"\0", 12) + 5
            answer = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1"
            head = question[:2] + b"\x81\x80\0\1\0\1\0\0\0\0"
            self._socket.sendto(head + question[12:end] + answer, asker)

    def heard(self, word: str) -> bool:
        return any(word.encode() in question for question in self.asked)


@pytest.fixture
def resolving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OwnEngine]:
    """An engine whose host has a resolver of its own on loopback, as systemd-resolved is: Docker asks it itself."""
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.53\n")
    mount = f'mount --bind {tmp_path}/resolv.conf /etc/resolv.conf && exec "$@"'
    engine = make_engine(tmp_path, monkeypatch, "unshare", "-m", "sh", "-c", mount, "--")
    yield engine
    engine.stop()


def test_no_name_is_asked_outside_by_the_engine_for_a_container_that_is_cut(
    resolving: OwnEngine, own_folders: Path
) -> None:
    box, lab = OwnBox("own:1", resolving.wire), Lab(resolving.wire, own_folders)
    server = NameServer(resolving.wire)
    suspect = box.run("suspect", "--network", box.network("n"))

    def ask(name: str) -> None:
        words = ["docker", "exec", suspect, "/bin/busybox", "timeout", "3", "/bin/busybox", "nslookup", "-type=a", name]
        subprocess.run(words, capture_output=True, check=False)

    ask("before.example.com")
    assert server.heard("before"), "the engine's resolver must ask outside before the cut"
    result = lab.isolate(suspect, freeze=False)
    assert result.proved, result.proof.reasons
    assert "block-address" in {str(done.action.kind) for done in result.performed}
    ask("secret.example.com")
    time.sleep(0.5)
    assert not server.heard("secret")
    box.enter(suspect, "ip", "route", "del", "unreachable", "127.0.0.11", "table", "local")
    again = lab.isolate(suspect, freeze=False, root=result.case)
    assert again.proved, again.proof.reasons
    ask("secret.example.com")
    assert not server.heard("secret")
    released = lab.release(result)
    assert released.restored, released.reasons
    ask("after.example.com")
    assert server.heard("after")
    assert "127.0.0.11" not in box.enter(suspect, "ip", "route", "show", "table", "local", "type", "unreachable")
