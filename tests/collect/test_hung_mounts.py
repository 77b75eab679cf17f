"""Mounts whose server is silent: a line in the ledger, never a collection or a command that hangs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from forensics.collect import apart
from forensics.collect.apart import ask_apart, stream_apart
from forensics.engine.base import Container, Mount
from forensics.engine.docker import DockerEngine
from forensics.model import JsonObject, Outcome

if TYPE_CHECKING:
    from conftest import Collected

HERE = Path(__file__).parent
Make = Callable[..., Container]
Run = Callable[..., "Collected"]
CONTENT = b"far away\n" * 200_000


@pytest.fixture
def far(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A FUSE mount, and the pid of its server."""
    if not Path("/dev/fuse").exists() or os.geteuid() != 0:
        pytest.skip("this kernel has no FUSE, or mounting needs root")
    point = tmp_path / "far"
    point.mkdir()
    with subprocess.Popen([sys.executable, HERE / "hung_fuse.py", point], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"mounted\n"
        yield point, server.pid
        server.kill()
        subprocess.run(["umount", "-l", point], check=True)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "SILENCE_SECONDS", 1.0)


@pytest.mark.docker
def test_a_network_volume_that_answers_is_kept(
    make_container: Make, run_collection: Run, far: tuple[Path, int]
) -> None:
    container = make_container("sleep", "1000", mounts=(Mount("bind", str(far[0]), "/far"),))
    found = run_collection(container, only={"volumes"})
    assert found.line("bind /far").outcome is Outcome.COLLECTED, found.lines
    assert found.tar("volume", "/far")["file"].size == len(CONTENT)


@pytest.mark.docker
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("silence", [signal.SIGSTOP, signal.SIGUSR1])
@pytest.mark.parametrize("running", [True, False])
def test_a_volume_whose_server_is_silent_is_one_line(
    make_container: Make,
    run_collection: Run,
    engine: DockerEngine,
    far: tuple[Path, int],
    tmp_path: Path,
    silence: int,
    *,
    running: bool,
) -> None:
    (tmp_path / "near").mkdir()
    (tmp_path / "near" / "kept").write_text("near")
    mounts = (Mount("bind", str(far[0]), "/far"), Mount("bind", str(tmp_path / "near"), "/near"))
    container = make_container("sleep", "1000", mounts=mounts)
    if not running:
        engine.kill(container)
        engine.wait(container)
    os.kill(far[1], silence)
    found = run_collection(container, only={"volumes"})
    assert found.line("bind /far").outcome is Outcome.FAILED
    assert "no answer for 1 s" in found.line("bind /far").reason
    assert set(found.tar("volume", "/near")) == {"kept"}


@pytest.mark.docker
@pytest.mark.usefixtures("impatient")
def test_a_program_that_runs_from_a_silent_mount_is_one_line(
    make_container: Make, run_collection: Run, far: tuple[Path, int]
) -> None:
    container = make_container("sleep", "1000", mounts=(Mount("bind", str(far[0]), "/far"),))
    holding = ["nsenter", "-t", str(container.pid), "-m", "-p", "/bin/busybox", "sh", "-c"]
    with subprocess.Popen([*holding, "exec 3</far/file; echo up; exec sleep 1000"], stdout=subprocess.PIPE) as inside:
        assert inside.stdout is not None
        inside.stdout.readline()
        os.kill(far[1], signal.SIGUSR1)
        found = run_collection(container, only={"processes", "executables", "deleted-files", "tmpfs", "mounts"})
        inside.kill()
    assert {line.artefact.split()[0] for line in found.lines if line.outcome is Outcome.FAILED} <= {"processes"}


@pytest.mark.docker
def test_a_silent_mount_does_not_keep_the_command_from_ending(
    make_container: Make, far: tuple[Path, int], own_folders: Path
) -> None:
    container = make_container("sleep", "1000", mounts=(Mount("bind", str(far[0]), "/far"),))
    os.kill(far[1], signal.SIGUSR1)
    script = "from forensics.collect import apart; apart.SILENCE_SECONDS = 1.0\nfrom forensics.cli import main; main()"
    case = own_folders / "case"
    done = subprocess.run(
        [sys.executable, "-c", script, "collect", container.name, "--case", case, "--only", "volumes"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert "ir: not collected: bind /far: no answer for 1 s" in done.stderr
    again = subprocess.run(
        [sys.executable, "-c", script, "collect", container.name, "--case", case, "--only", "clock"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr  # the child that hangs does not hold the case


def test_what_is_yielded_and_returned_apart_comes_across() -> None:
    def work() -> Iterator[bytes]:
        yield b"one"
        yield bytes(3 << 20)
        return {"pid": os.getpid()}

    stream = stream_apart(work)  # type: ignore[arg-type]  # the return type of a generator expression of a test
    assert next(stream) == b"one"
    assert next(stream) == bytes(3 << 20)
    with pytest.raises(StopIteration) as end:
        next(stream)
    assert end.value.value["pid"] != os.getpid()


def test_what_is_raised_apart_has_lost_the_number_that_a_server_chose() -> None:
    def claim() -> JsonObject:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left") as raised:
        ask_apart(claim)
    assert raised.value.errno is None


def test_a_child_that_dies_is_an_error() -> None:
    with pytest.raises(OSError, match="the process that read it died"):
        ask_apart(lambda: os.kill(os.getpid(), signal.SIGKILL))


def test_the_child_holds_nothing_of_ours_open(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as file:
        assert ask_apart(lambda: _is_open(file.fileno()), file.fileno())
        assert not ask_apart(lambda: _is_open(file.fileno()))
        assert ask_apart(lambda: [os.readlink(f"/proc/self/fd/{number}") for number in (0, 1, 2)]) == ["/dev/null"] * 3  # noqa: PTH115


def _is_open(descriptor: int) -> bool:
    return Path(f"/proc/self/fd/{descriptor}").exists()


def test_an_interruption_is_not_the_childs_business() -> None:
    assert ask_apart(lambda: os.kill(os.getpid(), signal.SIGINT) or "alive") == "alive"
