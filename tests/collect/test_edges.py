"""The edges: a full disk, a sealed case, a driver without an upper directory, impatience, other mount namespaces."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.collect import changes
from forensics.collect.events import to_unix
from forensics.collect.mount_points import is_system_path
from forensics.collect.namespace import parse_maps, parse_mountinfo
from forensics.collect.patience import finish
from forensics.engine.base import Container, Mount
from forensics.engine.host import list_container_processes
from forensics.errors import EngineError
from forensics.model import Outcome

if TYPE_CHECKING:
    from conftest import Collected

IR = "from forensics.cli import main; main()"
Make = Callable[..., Container]
Run = Callable[..., "Collected"]


@pytest.mark.docker
def test_a_full_disk_is_one_sentence_and_the_case_says_what_happened(make_container: Make, tmp_path: Path) -> None:
    container = make_container("sh", "-c", "head -c 3000000 /dev/zero > /dev/shm/x; sleep 1000")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", disk], check=True)
    try:
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                "from forensics.cli import main; main()",
                "collect",
                container.name,
                "--case",
                disk / "c",
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        log = (disk / "c" / "custody.jsonl").read_text()
    finally:
        subprocess.run(["umount", disk], check=True)
    assert done.returncode == 1
    assert done.stderr.startswith("ir: the disk is full while writing ")
    assert done.stderr.count("\n") == 1
    assert '"result":"failed"' in log


@pytest.mark.docker
def test_without_an_upper_directory_the_diff_is_looked_up_in_the_root(
    make_container: Make, run_collection: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "find_upper_directory", lambda _: None)
    container = make_container("sh", "-c", "echo x > /tmp/x; ln -s /etc/passwd /tmp/link; sleep 1000")
    time.sleep(0.3)
    found = run_collection(container, only={"changes"})
    entries = {entry["path"]: entry for entry in found.document("changed-files")["entries"]}
    assert set(entries) == {"tmp", "tmp/x", "tmp/link"}
    assert entries["tmp/link"]["link_target"] == "/etc/passwd"
    assert entries["tmp/x"]["sha256"] == "73cb3858a687a8494ca3323053016282f3dad39d42cf62ca4e79dda2aac7d9ac"


@pytest.mark.docker
def test_a_mount_that_inspect_does_not_tell_is_named(make_container: Make, run_collection: Run, tmp_path: Path) -> None:
    (tmp_path / "known").mkdir()
    container = make_container("sleep", "1000", mounts=(Mount("bind", str(tmp_path / "known"), "/known"),))
    nsenter = ["nsenter", "-t", str(container.pid), "-m"]
    subprocess.run([*nsenter, "/bin/busybox", "mount", "--bind", "/etc", "/var"], check=True)
    found = run_collection(container, only={"volumes"})
    line = found.line("mount /var")
    assert line.outcome is Outcome.FAILED
    assert "that inspect does not name" in line.reason


@pytest.mark.docker
def test_a_tmpfs_covered_by_another_mount_is_not_mistaken_for_it(make_container: Make, run_collection: Run) -> None:
    container = make_container("sh", "-c", "echo first > /scratch/first; sleep 1000", tmpfs=(("/scratch", ""),))
    time.sleep(0.2)
    nsenter = ["nsenter", "-t", str(container.pid), "-m"]
    subprocess.run([*nsenter, "/bin/busybox", "mount", "-t", "tmpfs", "none", "/scratch"], check=True)
    found = run_collection(container, only={"tmpfs"})
    lines = [line for line in found.lines if line.artefact.startswith("tmpfs /scratch")]
    assert {(line.outcome, line.reason) for line in lines} == {
        (Outcome.FAILED, "covered by another mount"),
        (Outcome.EMPTY, "nothing in it"),
    }


@pytest.mark.docker
def test_what_the_host_has_mounted_is_never_copied_through_a_bind_of_its_root(
    make_container: Make, run_collection: Run, tmp_path: Path
) -> None:
    (tmp_path / "hosts-own").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", tmp_path / "hosts-own"], check=True)
    try:
        (tmp_path / "hosts-own" / "secret").write_text("of the host")
        container = make_container("sleep", "1000", mounts=(Mount("bind", "/", "/host", rw=False),))
        found = run_collection(container, only={"tmpfs", "volumes"})
    finally:
        subprocess.run(["umount", "-l", tmp_path / "hosts-own"], check=True)
    assert not [item for item in found.case.find("tmpfs") if item.attributes["mount"].startswith("/host")]
    assert found.line("tmpfs of the host").outcome is Outcome.NOT_APPLICABLE
    assert found.line("bind /host").outcome is Outcome.NOT_APPLICABLE
    assert not [line for line in found.lines if line.outcome is Outcome.FAILED]


def test_impatience_waits_for_what_cannot_be_taken_back() -> None:
    ended: list[str] = []

    def request() -> str:
        time.sleep(0.5)
        ended.append("yes")
        return "image"

    threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        finish(request)
    assert ended == ["yes"]


def test_a_request_gives_its_answer_or_its_error() -> None:
    def refuse() -> Any:
        raise EngineError("no")

    assert finish(lambda: 1) == 1
    with pytest.raises(EngineError, match="no"):
        finish(refuse)


def test_mountinfo_with_escapes_and_rubbish() -> None:
    raw = (
        b"22 1 0:21 / /a\\040b\\012c rw,nosuid shared:1 master:2 - tmpfs none rw,size=1m\n"
        b"nonsense\n\n"
        b"23 1 8:1 /root /x rw - ext4 /dev/sda1 rw\n"
    )
    first, second = parse_mountinfo(raw)
    assert (first.path, first.type, first.super_options) == (b"/a b\nc", "tmpfs", "rw,size=1m")
    assert (second.id, second.root, second.source, second.device) == (23, b"/root", b"/dev/sda1", "8:1")


def test_maps_with_spaces_in_names() -> None:
    raw = (
        b"00400000-00401000 r-xp 00000000 00:2d 5 /a name (deleted)\n7ffe00000000-7ffe00001000 rw-p 00000000 00:00 0\n"
    )
    first, second = parse_maps(raw)
    assert (first.start, first.end, first.permissions, first.path) == (0x400000, 0x401000, "r-xp", b"/a name (deleted)")
    assert second.path == b""


@given(st.binary())
def test_no_bytes_break_the_parsers(raw: bytes) -> None:
    parse_maps(raw)
    parse_mountinfo(raw)


@given(st.lists(st.from_regex(rb"[0-9a-f -]{0,8}", fullmatch=True), min_size=5, max_size=14))
def test_no_fields_break_the_parsers(fields: list[bytes]) -> None:
    parse_maps(b" ".join(fields))
    parse_mountinfo(b" ".join(fields))


@pytest.mark.docker
def test_when_the_time_is_used_up_the_rest_is_named(make_container: Make, run_collection: Run) -> None:
    found = run_collection(make_container("sleep", "1000"), only={"clock", "snapshot", "host"}, budget_seconds=0)
    assert {line.reason for line in found.lines} == {"the time budget of 0 s was used up before it began"}
    assert len(found.lines) == 3


@pytest.mark.parametrize(
    ("path", "is_system"),
    [("/", True), ("/etc/passwd", True), ("/var", True), ("/srv/app", False), ("/var/lib/app", False),
     ("/var/run/docker.sock", True), ("/home/user/site", False), ("/usr/../srv/x", False)],
)  # fmt: skip
def test_what_belongs_to_the_host(path: str, is_system: bool) -> None:
    assert is_system_path(path) is is_system


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-01-01T00:00:00.5Z", "1767225600.500000000"),
        ("1970-01-01T00:00:01Z", "1.000000000"),
        ("", "0"),
        ("x", "0"),
    ],
)
def test_times_for_the_engine(moment: str, expected: str) -> None:
    assert to_unix(moment) == expected


@pytest.mark.docker
@pytest.mark.skipif(not shutil.which("nft"), reason="this host has no nft")
def test_rules_of_nftables_in_its_namespace_are_kept(make_container: Make, run_collection: Run) -> None:
    container = make_container("sleep", "1000")
    inside = ["nsenter", f"--net=/proc/{container.pid}/ns/net", "--", "nft", "-f", "-"]
    planted = (
        "add table inet planted\n"
        "add chain inet planted out { type filter hook output priority 0; }\n"
        "add rule inet planted out tcp dport 4444 counter accept\n"
    )
    subprocess.run(inside, input=planted, text=True, check=True)
    found = run_collection(container, only={"packet-filter"})
    assert found.line("packet-filter").outcome is Outcome.COLLECTED
    rules = [rule for rule in found.document("packet-filter")["rules"] if rule["command"] == "nft list ruleset"]
    assert len(rules) == 1
    assert "table inet planted" in rules[0]["output"]
    assert "tcp dport 4444" in rules[0]["output"]


@pytest.mark.docker
def test_a_packet_filter_that_fails_says_why(
    make_container: Make, run_collection: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "nft"
    broken.write_text("#!/bin/sh\necho the tables are on fire >&2\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    line = run_collection(make_container("sleep", "1000"), only={"packet-filter"}).line(f"packet-filter by {broken}")
    assert (line.outcome, line.reason) == (Outcome.FAILED, "the tables are on fire")


@pytest.mark.docker
def test_what_of_a_process_could_not_be_read_stands_in_the_ledger(
    make_container: Make, run_collection: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from forensics.collect.context import CollectContext

    container = make_container("sleep", "1000")
    real = list_container_processes(container)
    torn = tuple(replace(process, errors=("environ: Permission denied", "maps: cut at 1 bytes")) for process in real)
    monkeypatch.setattr(CollectContext, "processes", torn)
    found = run_collection(container, only={"processes"})
    assert found.line("processes").outcome is Outcome.COLLECTED
    line = found.line(f"processes pid {container.pid}")
    assert (line.outcome, line.reason) == (Outcome.FAILED, "environ: Permission denied; maps: cut at 1 bytes")


@pytest.mark.docker
def test_a_deleted_file_that_is_mostly_hole_is_kept_without_it(make_container: Make, run_collection: Run) -> None:
    script = "exec 3<>/tmp/x; echo held >&3; busybox truncate -s 20G /tmp/x; rm /tmp/x; echo READY; exec sleep 1000"
    container = make_container("sh", "-c", script)
    time.sleep(0.5)
    found = run_collection(container, only={"deleted-files"})
    line = found.line("deleted-file /tmp/x")
    assert line.outcome is Outcome.COLLECTED, line
    assert line.size_bytes < 1 << 20
    item = found.case.find("deleted-file")[0]
    assert (item.attributes["packed"], item.attributes["size"]) == ("tar", 20 << 30)
    with tarfile.open(found.case.path_of(item)) as archive:
        member = archive.next()
        assert member is not None
        content = archive.extractfile(member)
        assert content is not None
        assert (member.size, content.read(5)) == (20 << 30, b"held\n")
