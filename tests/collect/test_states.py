"""Collection of containers that are frozen, stopped, far away, or gone in the middle."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from forensics.engine.base import Container, Mount
from forensics.engine.docker import DockerEngine, connect
from forensics.evidence.case import Case
from forensics.model import LedgerLine, Outcome

if TYPE_CHECKING:
    from conftest import Collected

pytestmark = pytest.mark.docker
Make = Callable[..., Container]
Run = Callable[..., "Collected"]


class Trigger:
    """Progress that acts when a collector begins."""

    def __init__(self, artefact: str, act: Callable[[], None]) -> None:
        self.artefact, self.act, self.started = artefact, act, []

    def start(self, artefact: str) -> None:
        self.started.append(artefact)
        if artefact == self.artefact:
            self.act()

    def done(self, line: LedgerLine) -> None:
        pass


def test_a_frozen_container_is_committed_and_stays_frozen(
    make_container: Make, run_collection: Run, engine: DockerEngine
) -> None:
    container = make_container("sleep", "1000")
    engine.pause(container)
    found = run_collection(container)
    after = engine.find_container(container.id)
    assert (after.status, after.raw["State"]["Paused"], after.pid) == ("paused", True, container.pid)
    assert found.line("snapshot").outcome is Outcome.COLLECTED
    assert found.line("snapshot").reason == ""
    events = [event["Action"] for event in engine.events(*_window(found), container)]
    assert [action for action in events if "pause" in action] == []


def _window(found: Collected) -> tuple[str, str]:
    from datetime import datetime

    stamps = [entry.ts_utc for entry in found.case.custody()]
    seconds = [datetime.fromisoformat(stamp).timestamp() for stamp in (stamps[0], stamps[-1])]
    return f"{seconds[0]:.6f}", f"{seconds[1]:.6f}"


def test_a_frozen_container_gives_memory_and_processes(
    make_container: Make, run_collection: Run, engine: DockerEngine
) -> None:
    container = make_container("sleep", "1000")
    engine.pause(container)
    found = run_collection(container, only={"processes", "memory", "executables"})
    assert [line.outcome for line in found.lines] == [Outcome.COLLECTED] * 3
    assert found.document("processes")["processes"][0]["argv"] == ["sleep", "1000"]


def test_a_stopped_container_gives_the_rest(make_container: Make, run_collection: Run, engine: DockerEngine) -> None:
    container = make_container("sh", "-c", "echo gone > /left; echo said")
    engine.wait(container)
    found = run_collection(container)
    reason = "the container is not running (exited)"
    for name in ("sockets", "processes", "executables", "deleted-files", "tmpfs", "engine-top", "mounts"):
        assert (found.line(name).outcome, found.line(name).reason) == (Outcome.NOT_APPLICABLE, reason)
    assert not [line for line in found.lines if line.outcome is Outcome.FAILED]
    assert found.document("changed-files")["entries"][0]["path"] == "left"
    assert b"said" in found.contents("logs")[0]
    assert found.line("snapshot").outcome is Outcome.COLLECTED


def test_one_that_exits_before_the_first_look(make_container: Make, run_collection: Run, engine: DockerEngine) -> None:
    container = make_container("sleep", "1000")
    found = run_collection(container, progress=Trigger("clock", lambda: engine.kill(container)))
    engine.wait(container)
    assert found.line("sockets").reason == "the container ended before it could be looked at"
    assert found.line("snapshot").outcome is Outcome.COLLECTED


def test_a_container_that_exits_in_the_middle_leaves_lines(
    make_container: Make, run_collection: Run, engine: DockerEngine
) -> None:
    container = make_container("sleep", "1000", tmpfs=(("/scratch", ""),))

    def kill() -> None:
        engine.kill(container)
        engine.wait(container)

    found = run_collection(container, memory=True, progress=Trigger("executables", kill))
    outcomes = found.outcomes()
    assert outcomes["processes"] is Outcome.COLLECTED
    assert found.line("executable of pid").outcome is Outcome.FAILED
    assert found.line("memory of pid").outcome is Outcome.FAILED
    assert found.line("mounts of namespace").outcome is Outcome.FAILED
    assert outcomes["snapshot"] is Outcome.COLLECTED
    assert outcomes["inspect"] is Outcome.COLLECTED


def test_a_container_that_is_removed_in_the_middle_leaves_lines(
    make_container: Make, run_collection: Run, engine: DockerEngine
) -> None:
    container = make_container("sh", "-c", "echo x > /x; sleep 1000")
    trigger = Trigger("changes", lambda: engine.remove_container(container, force=True))
    found = run_collection(container, progress=trigger)
    outcomes = found.outcomes()
    assert outcomes["processes"] is Outcome.COLLECTED
    for name in ("changed-files", "engine-diff", "snapshot", "logs"):
        assert outcomes[name] is Outcome.FAILED, name
    assert outcomes["inspect"] is Outcome.COLLECTED
    assert outcomes["host"] is Outcome.COLLECTED


def test_an_interruption_leaves_a_whole_case_and_says_what_is_missing(
    make_container: Make, run_collection: Run, tmp_path: Any
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    container = make_container("sleep", "1000")
    with pytest.raises(KeyboardInterrupt):
        run_collection(container, root=tmp_path / "case", progress=Trigger("snapshot", interrupt))
    ledger = {line.artefact: line for line in Case.open(tmp_path / "case", read_only=True).ledger()}
    assert ledger["processes"].outcome is Outcome.COLLECTED
    for name in ("snapshot", "volumes", "logs", "inspect", "host"):
        assert ledger[name].reason == "interrupted before it was collected"
    found = run_collection(container, root=tmp_path / "case", resume=True)
    assert found.line("snapshot").items
    assert not [line for line in found.lines if line.artefact in {"clock", "sockets", "processes", "changed-files"}]
    assert [item.kind for item in found.case.items()].count("processes") == 1
    assert found.case.find("host")


def test_after_a_kill_only_what_had_not_ended_is_collected_again(
    make_container: Make, run_collection: Run, tmp_path: Any
) -> None:
    import subprocess
    import sys

    container = make_container("sleep", "1000")
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from forensics.collect import collect, make_options, open_case_for\n"
        "from forensics.engine.docker import connect\n"
        "from forensics.evidence.custody import Actor\n"
        "class Kill:\n"
        "    def start(self, artefact): pass\n"
        "    def done(self, line):\n"
        "        if line.artefact == 'mounts': os.kill(os.getpid(), 9)\n"
        "with connect() as engine:\n"
        "    container = engine.find_container(sys.argv[1])\n"
        "    case = open_case_for(container, Path(sys.argv[2]), engine.info(), engine.url, Actor('t'))\n"
        "    collect(case, engine, container, make_options(), Kill())\n"
    )
    done = subprocess.run([sys.executable, "-c", script, container.id, tmp_path / "case"], check=False)
    assert done.returncode == -9
    found = run_collection(container, root=tmp_path / "case", resume=True)
    kinds = [item.kind for item in found.case.items()]
    assert (kinds.count("processes"), kinds.count("mounts"), kinds.count("image")) == (1, 2, 1)


@pytest.fixture
def remote(docker_host: str) -> Iterator[DockerEngine]:
    """The same engine behind a TCP relay: nothing then proves that its processes are this host's."""
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_serve, args=(listener, docker_host.removeprefix("unix://")), daemon=True).start()
    with connect(f"tcp://127.0.0.1:{listener.getsockname()[1]}") as engine:
        yield engine
    listener.close()


def _serve(listener: socket.socket, path: str) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        upstream = socket.socket(socket.AF_UNIX)
        upstream.connect(path)
        for pair in ((client, upstream), (upstream, client)):
            threading.Thread(target=_pump, args=pair, daemon=True).start()


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return


def test_a_remote_engine_gives_what_the_api_can_and_says_the_rest(
    make_container: Make, collect_case: Any, remote: DockerEngine, tmp_path: Any
) -> None:
    container = make_container("sh", "-c", "echo x > /x; sleep 1000")
    found = collect_case(remote, container, tmp_path / "case")
    for name in ("sockets", "processes", "executables", "deleted-files", "tmpfs", "mounts", "volumes", "changed-files",
                 "host", "log-files"):  # fmt: skip
        assert (found.line(name).outcome, found.line(name).reason) == (Outcome.NOT_APPLICABLE, "remote engine")
    for name in ("clock", "engine-top", "engine-diff", "snapshot", "inspect", "events", "engine-version"):
        assert found.line(name).outcome is Outcome.COLLECTED, found.line(name)


def test_a_later_run_appends_to_the_same_case(make_container: Make, run_collection: Run, tmp_path: Any) -> None:
    container = make_container("sleep", "1000")
    run_collection(container, root=tmp_path / "case", only={"clock"})
    found = run_collection(container, root=tmp_path / "case", only={"inspect"})
    assert [item.kind for item in found.case.items()][:2] == ["clock", "inspect"]
    assert [line.artefact for line in found.case.ledger()][:2] == ["clock", "inspect"]


def test_volumes_over_the_budget_are_named_and_host_paths_left_alone(
    make_container: Make, run_collection: Run, tmp_path: Any
) -> None:
    host = tmp_path / "bound"
    host.mkdir()
    (host / "big").write_bytes(bytes(5000))
    (host / "small").write_bytes(b"small")
    (tmp_path / "one").write_bytes(b"one file")
    mounts = (
        Mount("bind", str(host), "/bound"),
        Mount("bind", str(tmp_path / "one"), "/one"),
        Mount("bind", "/", "/host", rw=False),
    )
    container = make_container("sleep", "1000", mounts=mounts)
    found = run_collection(container, only={"volumes"}, budget_bytes=100)
    assert set(found.tar("volume", "/bound")) == {"small"}
    assert found.tar("volume", "/one")["file"].size == len("one file")
    assert found.document("volume-omissions")["omissions"] == [
        {"path": "big", "reason": "over the budget", "size_bytes": 5000}
    ]
    assert found.line("bind /bound, parts").outcome is Outcome.FAILED
    assert found.line("bind /host").outcome is Outcome.NOT_APPLICABLE
    assert found.line("bind /host").reason == "the host's own /: recorded in inspect, never copied"


def test_the_blast_radius_names_who_shares_what(make_container: Make, run_collection: Run) -> None:
    subject = make_container("sleep", "1000")
    guest = make_container("sleep", "1000", network=f"container:{subject.id}")
    found = run_collection(subject, only={"blast-radius"})
    neighbours = {entry["id"]: entry for entry in found.document("neighbours-containers")["containers"]}
    shares = [(share["kind"], share["value"]) for share in neighbours[guest.id]["shares"]]
    assert ("namespace", "net") in shares
    assert ("image", subject.image_id) in shares


def test_hostile_names_survive_byte_for_byte(make_container: Make, run_collection: Run) -> None:
    container = make_container("sh", "-c", "cd /tmp; touch \"$(printf '\\377\\n\\033[31m')\"; sleep 1000")
    found = run_collection(container, only={"changes"})
    paths = [entry["path"] for entry in found.document("changed-files")["entries"]]
    assert b"tmp/\xff\n\x1b[31m" in [path.encode("utf-8", "surrogateescape") for path in paths]
    assert all(line.artefact.isprintable() for line in found.lines)
