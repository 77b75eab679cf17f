"""Every fact that the known-truth program made is found; nothing of the container runs or changes."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from forensics.collect.walk import hash_content, open_directory, walk
from forensics.engine.base import Container
from forensics.engine.docker import DockerEngine
from forensics.evidence.verify import verify_case
from forensics.model import JsonObject, Outcome

if TYPE_CHECKING:
    from conftest import Collected

pytestmark = pytest.mark.docker
MARKER = b"TRUTH-MEMORY" + b"-MARKER"


def list_upper(container: Container) -> list[tuple[Any, ...]]:
    """Everything of the writable layer but access times."""
    root = open_directory(Path(container.raw["GraphDriver"]["Data"]["UpperDir"]))
    rows = []
    for node in walk(root, lambda *gap: pytest.fail(str(gap))):
        s = node.status
        digest = hash_content(node.handle, 1 << 30) if node.is_file else node.link_target
        rows.append((node.path, s.st_mode, s.st_uid, s.st_size, s.st_mtime_ns, s.st_ctime_ns, digest))
    os.close(root)
    return sorted(rows)


def state(engine: DockerEngine, container: Container) -> JsonObject:
    raw = engine.find_container(container.id).raw
    return {"state": raw["State"], "restarts": raw["RestartCount"], "networks": raw["NetworkSettings"]["Networks"]}


@pytest.fixture(scope="module")
def before(engine: DockerEngine, truth: Container) -> tuple[Any, ...]:
    return list_upper(truth), sorted(engine.diff(truth)), state(engine, truth)


@pytest.fixture(scope="module")
def found(
    collect_case: Any,
    engine: DockerEngine,
    truth: Container,
    before: Any,  # noqa: ARG001 - taken before the collection
    tmp_path_factory: pytest.TempPathFactory,
) -> Collected:
    return collect_case(engine, truth, tmp_path_factory.mktemp("truth-case") / "case", memory=True)


def processes(found: Collected) -> dict[str, JsonObject]:
    by_comm = {entry["comm"]: entry for entry in found.document("processes")["processes"]}
    assert len(by_comm) == len(found.document("processes")["processes"])
    return by_comm


def sockets(found: Collected) -> set[tuple[Any, ...]]:
    wanted = ("proto", "family", "local_addr", "local_port", "state", "path")
    return {tuple(entry[key] for key in wanted) for entry in found.document("sockets")["sockets"]}


def test_nothing_failed(found: Collected) -> None:
    assert {line.artefact: line.reason for line in found.lines if line.outcome is Outcome.FAILED} == {}


def test_the_case_verifies(found: Collected) -> None:
    verify_case(found.case.root)


def test_every_collector_left_a_line(found: Collected) -> None:
    artefacts = " ".join(line.artefact for line in found.lines)
    for name in ("clock", "sockets", "processes", "executable", "deleted-file", "memory", "mounts", "tmpfs", "snapshot",
                 "engine-diff", "changed-files", "volume", "logs", "inspect", "image-inspect", "image-history",
                 "network-inspect", "volume-inspect", "events", "blast-radius", "engine-version", "engine-info", "host",
                 "engine-top"):  # fmt: skip
        assert name in artefacts
    assert found.case.ledger() == found.lines


def test_the_order_is_that_of_volatility(found: Collected) -> None:
    kinds = [item.kind for item in found.case.items()]
    order = ["clock", "sockets", "processes", "executable", "deleted-file", "memory", "tmpfs", "changed-files", "image",
             "volume", "logs", "inspect", "host"]  # fmt: skip
    assert sorted(order, key=kinds.index) == order


@pytest.mark.parametrize(
    "expected",
    [
        ("tcp", "ipv4", "0.0.0.0", 7001, "LISTEN", None),  # noqa: S104 - what the program did
        ("udp", "ipv4", "127.0.0.1", 7003, "UNCONNECTED", None),
        ("stream", "unix", "", 0, "LISTEN", "/tmp/truth.sock"),
        ("stream", "unix", "", 0, "LISTEN", "\0truth-abstract"),
        ("tcp", "ipv4", "127.0.0.1", 7001, "ESTABLISHED", None),
    ],
)
def test_each_kind_of_socket_is_found(found: Collected, expected: tuple[Any, ...]) -> None:
    assert expected in sockets(found)


def test_raw_and_packet_sockets_have_their_owner(found: Collected) -> None:
    owned = {entry["proto"]: entry["pid"] for entry in found.document("sockets")["sockets"]}
    pid = processes(found)["truth"]["pid"]
    assert (owned["raw"], owned["packet"]) == (pid, pid)


def test_a_socket_of_a_namespace_without_processes_is_named(found: Collected) -> None:
    truth = processes(found)["truth"]
    document = found.document("sockets")
    assert 7009 not in {entry["local_port"] for entry in document["sockets"]}
    unlisted = [entry for entry in document["unlisted"] if entry["pid"] == truth["pid"]]
    assert unlisted
    targets = {file["fd"]: file["target"] for file in truth["fds"]}
    assert all(targets[entry["fd"]] == f"socket:[{entry['inode']}]" for entry in unlisted)
    assert "in no table of the kernel" in found.line("sockets").reason


def test_interfaces_and_routes(found: Collected) -> None:
    document = found.document("sockets")
    assert {entry["name"] for entry in document["interfaces"]} >= {"lo", "eth0"}
    assert all(entry["ifindex"] and entry["namespace"] for entry in document["interfaces"])
    assert any(route.startswith("default via ") for route in document["routes"])


def test_processes_of_all_three_views(found: Collected) -> None:
    document = found.document("processes")
    pids = sorted(entry["pid"] for entry in document["processes"])
    assert len(pids) == 4
    assert document["views"]["cgroup"] == pids
    assert document["views"]["pid_namespace"] == pids
    assert sorted(int(row[0]) for row in found.document("engine-top")["Processes"]) == pids


def test_the_spoofed_argv_stands_beside_its_deleted_executable(found: Collected) -> None:
    hidden = processes(found)[".hidden"]
    assert hidden["argv"] == ["[kworker/u8:3]", "sleep"]
    assert hidden["exe"] == "/tmp/.hidden (deleted)"
    assert hidden["exe_deleted"] is True


def test_memfd_process_with_its_environment(found: Collected) -> None:
    entry = next(entry for entry in found.document("processes")["processes"] if entry["exe_memfd"])
    assert entry["argv"] == ["truth-memfd-argv", "sleep"]
    assert entry["environ"] == ["SECRET_TOKEN=hunter2"]


def test_threads_and_a_pid_namespace_of_its_own(found: Collected) -> None:
    found_processes = processes(found)
    assert found_processes["truth"]["threads"] == 4
    own = found_processes["own-pid-ns"]
    assert own["ns_pid"] == 1
    assert own["namespaces"]["pid"] != found_processes["truth"]["namespaces"]["pid"]


def test_all_three_executables_are_kept(found: Collected, truth_binary: Path) -> None:
    original = truth_binary.read_bytes()
    by_exe = {item.attributes["exe"]: item for item in found.case.find("executable")}
    assert set(by_exe) == {"/bin/truth", "/tmp/.hidden (deleted)", "/memfd:truth-memfd (deleted)"}
    assert found.case.read(by_exe["/bin/truth"]) == original
    assert found.case.read(by_exe["/tmp/.hidden (deleted)"]) == original + b"HIDDEN"
    assert found.case.read(by_exe["/memfd:truth-memfd (deleted)"]) == original + b"MEMORY"
    assert by_exe["/bin/truth"].attributes["pids"] == sorted(
        entry["pid"] for entry in found.document("processes")["processes"] if entry["exe"] == "/bin/truth"
    )


def test_what_has_no_name_any_more_but_is_held(found: Collected) -> None:
    kept = {item.attributes["target"]: found.case.read(item).rstrip(b"\0") for item in found.case.find("deleted-file")}
    assert kept == {
        "/tmp/open-deleted (deleted)": b"deleted but open",
        "/memfd:truth-data (deleted)": b"a memory file",
        "/dev/zero (deleted)": b"shared without a name",
    }
    assert found.line("deleted-file /tmp/gone (deleted)").outcome is Outcome.NOT_APPLICABLE


def test_memory_holds_what_no_file_holds(found: Collected, truth_binary: Path) -> None:
    assert MARKER not in truth_binary.read_bytes()
    pid = processes(found)["truth"]["pid"]
    item = next(item for item in found.case.find("memory") if item.attributes["pid"] == pid)
    content = found.case.read(item)
    assert MARKER in content
    index = next(
        document for found_map in found.case.find("memory-map")
        if (document := found.case.read_json(found_map))["pid"] == pid
    )  # fmt: skip
    offset = content.index(MARKER)
    run = next(run for run in index["runs"] if run["offset"] <= offset < run["offset"] + run["end"] - run["start"])
    address = run["start"] + offset - run["offset"]
    heap = next(region for region in index["regions"] if region["start"] <= address < region["end"])
    assert heap["path"] == "[heap]"
    assert sum(run["end"] - run["start"] for run in index["runs"]) == len(content)


def test_shared_memory_and_its_traps(found: Collected) -> None:
    members = found.tar("tmpfs", "/dev/shm")
    assert members["truth-shm"].size == len("in shared memory")
    assert members["link-out"].linkname == "/"
    assert members["fifo"].isfifo()


def test_the_volume(found: Collected) -> None:
    assert found.tar("volume", "/data")["in-volume"].size == len("in the volume")


def test_changed_files_by_name_and_digest(found: Collected) -> None:
    entries = {entry["path"]: entry for entry in found.document("changed-files")["entries"]}
    assert entries["dropped"]["sha256"] == hashlib.sha256(b"a changed file").hexdigest()
    assert entries["tmp/link-out"]["link_target"] == "/etc/shadow"
    assert entries["tmp/fifo"]["type"] == "fifo"
    assert {"path": "/dropped", "kind": "added"} in found.document("engine-diff")["changes"]


def test_logs_and_the_log_file(found: Collected) -> None:
    assert b"READY 19" in found.contents("logs")[0]
    assert b"READY 19" in found.contents("log-file")[0]


def test_events_know_the_start_but_not_our_snapshot(found: Collected) -> None:
    actions = [event["Action"] for event in found.document("events")["events"]]
    assert "start" in actions
    assert "commit" not in actions


def test_the_snapshot_disturbs_and_says_so(found: Collected) -> None:
    line = found.line("snapshot")
    assert line.disturbed.startswith("made and removed the temporary image ir-snapshot:IR-")
    altered = [entry.source_altered for entry in found.case.custody() if entry.source_altered]
    assert len(altered) == 1
    assert found.case.find("image")[0].size_bytes > 0


@pytest.mark.usefixtures("found")
def test_no_booby_trap_ran(truth: Container) -> None:
    assert not [row for row in list_upper(truth) if b"booby" in row[0]]


def test_the_source_is_as_it_was(found: Collected, engine: DockerEngine, truth: Container, before: Any) -> None:
    upper, diff, container_state = before
    assert list_upper(truth) == upper
    assert sorted(engine.diff(truth)) == diff
    assert state(engine, truth) == container_state
    names = [name for image in engine.list_images() for name in image.get("RepoTags") or ()]
    assert f"ir-snapshot:{found.case.id}" not in names
