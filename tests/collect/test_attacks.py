"""What an attacker inside makes to keep an investigator busy, or blind: bounded effort, and a line for what is left."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from forensics.engine.base import Container, Mount
from forensics.engine.docker import DockerEngine
from forensics.engine.docker_read import _decode_array
from forensics.errors import EngineError
from forensics.model import Outcome

if TYPE_CHECKING:
    from conftest import Collected

Make = Callable[..., Container]
Run = Callable[..., "Collected"]
WITH_PEAK = """
import sys
from forensics.cli import main
try:
    main()
finally:
    sys.stderr.write(open("/proc/self/status").read())
"""
"""The command, and its own peak: what wait4 tells begins with the peak of whoever started it."""
EXBIBYTES_8 = 0x7FFFFFFFFFFFF000


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("evil") / "evil"
    subprocess.run(["gcc", "-O1", "-static", "-w", "-o", program, Path(__file__).parent / "evil.c"], check=True)
    return program


@pytest.fixture
def attack(make_container: Make, engine: DockerEngine, evil: Path) -> Callable[..., Container]:
    def start(what: str, count: int, **fields: Any) -> Container:
        mounts = (Mount("bind", str(evil), "/evil", rw=False),)
        container = make_container("/evil", what, str(count), mounts=mounts, cap_add=("SYS_ADMIN",), **fields)
        for _ in range(200):
            if b"READY" in b"".join(engine.logs(container)):
                return container
            time.sleep(0.05)
        pytest.fail(f"{what} never stood: {b''.join(engine.logs(container))!r}")

    return start


@pytest.mark.docker
def test_many_processes_with_hostile_names(attack: Make, run_collection: Run) -> None:
    found = run_collection(attack("procs", 300), only={"processes", "executables", "maps", "sockets"})
    assert len(found.document("processes")["processes"]) == 301
    assert {line.outcome for line in found.lines} <= {Outcome.COLLECTED, Outcome.EMPTY}
    assert all((line.artefact + line.reason).isprintable() for line in found.lines)
    assert len(found.document("maps")["processes"]) == 301


@pytest.mark.docker
def test_many_memory_file_systems_cost_one_look_and_hide_nothing(attack: Make, run_collection: Run) -> None:
    container = attack("mounts", 60)
    inside = ["nsenter", "-t", str(container.pid), "-m", "/bin/busybox", "sh", "-c", "echo hidden > /m/41/here"]
    subprocess.run(inside, check=True)
    found = run_collection(container, only={"tmpfs", "mounts"})
    assert set(found.tar("tmpfs", "/m/41")) == {"here"}
    assert found.line("tmpfs, many").outcome is Outcome.EMPTY
    assert len([line for line in found.lines if line.artefact.startswith("tmpfs")]) < 10


@pytest.mark.docker
def test_files_of_eight_exbibytes_of_nothing(attack: Make, run_collection: Run) -> None:
    found = run_collection(attack("sparse", 1), only={"tmpfs", "changes", "deleted-files"})
    assert found.tar("tmpfs", "/dev/shm")["sparse"].size == EXBIBYTES_8
    assert found.line("changed-files /sparse").reason == "no digest: over the budget"
    assert found.line("deleted-file /dev/shm/del").outcome in {Outcome.COLLECTED, Outcome.EMPTY}
    assert sum(line.size_bytes for line in found.lines) < 1 << 20


@pytest.mark.docker
def test_a_very_deep_directory_is_named(attack: Make, run_collection: Run) -> None:
    found = run_collection(attack("deep", 3000), only={"changes"})
    named = next(line for line in found.lines if line.artefact.startswith("changed-files /deep/"))
    assert named.reason == "nested deeper than 200 directories"
    assert found.line("changed-files").outcome is Outcome.COLLECTED


@pytest.mark.docker
def test_environments_of_many_megabytes_are_cut_and_named(attack: Make, run_collection: Run) -> None:
    found = run_collection(attack("env", 131_000), only={"processes"})
    assert found.line("processes").size_bytes < 40 << 20
    cut = [line for line in found.lines if "environ: cut at 4096 bytes" in line.reason]
    assert len(cut) > 20


@pytest.mark.docker
def test_a_deleted_folder_and_a_file_that_nobody_may_read(attack: Make, run_collection: Run) -> None:
    found = run_collection(attack("gone", 1), only={"processes", "changes"})
    assert found.document("processes")["processes"][0]["cwd"] == "/gone (deleted)"
    entry = next(entry for entry in found.document("changed-files")["entries"] if entry["path"] == "secret")
    assert (entry["mode"], len(entry["sha256"])) == (0, 64)


@pytest.mark.docker
def test_memory_of_our_own_does_not_grow_with_theirs(attack: Make, own_folders: Path) -> None:
    container = attack("memory", 300, host_config={"ShmSize": 400 << 20})
    command = [sys.executable, "-c", WITH_PEAK, "collect", container.name, "--memory", "--case", own_folders / "case"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stderr.rpartition("VmHWM:")[2].split()[0]) < 200_000
    assert sum(path.stat().st_size for path in own_folders.rglob("content.*")) > 590 << 20


def test_a_list_of_changes_comes_in_any_pieces_and_must_end() -> None:
    changes = [{"Path": f"/a\u00e9[{number}", "Kind": 1} for number in range(50)]
    raw = json.dumps(changes, ensure_ascii=False).encode()
    for size in (1, 7, len(raw)):
        pieces = [raw[start : start + size] for start in range(0, len(raw), size)]
        assert list(_decode_array(iter(pieces))) == changes
    assert list(_decode_array(iter([b"null\n"]))) == []
    with pytest.raises(EngineError, match="ends early"):
        list(_decode_array(iter([b'[{"Path": "/a", "Kind": 1}, {"Pa'])))
