"""The tar reader against tarfile and GNU tar on honest input."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from forensics.archive.tar import Anomaly, ChunkReader, TarMember, is_tar, read_tar
from forensics.model import EntryType


def read_all(raw: bytes) -> tuple[list[tuple[TarMember, bytes]], list[Anomaly]]:
    anomalies: list[Anomaly] = []
    return [
        (member, b"".join(content)) for member, content in read_tar(io.BytesIO(raw), report=anomalies.append)
    ], anomalies


def populate(root: Path) -> None:
    (root / "plain").write_bytes(b"hello\n" * 300)
    (root / "empty").write_bytes(b"")
    deep = root / ("d" * 120) / ("e" * 120)
    deep.mkdir(parents=True)
    (deep / ("f" * 130)).write_bytes(b"long")
    (root / "link").symlink_to("../" * 60 + "x" * 80)
    os.link(root / "plain", root / "hard")
    os.mkfifo(root / "fifo")
    (root / os.fsdecode(b"\xff\xfe not utf-8 \n")).write_bytes(b"n")
    (root / "secret").write_bytes(b"s")
    (root / "secret").chmod(0o4711)
    with (root / "sparse").open("wb") as file:
        for offset in range(0, 40 << 20, 1 << 20):
            file.seek(offset)
            file.write(b"data")
        file.truncate(50 << 20)
    os.utime(root / "plain", ns=(1, 1_700_000_000_123_456_789))


@pytest.mark.parametrize(
    "options",
    [
        ["--format=gnu"],
        ["--format=pax"],
        ["--format=gnu", "--sparse"],
        ["--format=pax", "--sparse", "--sparse-version=0.0"],
        ["--format=pax", "--sparse", "--sparse-version=0.1"],
        ["--format=pax", "--sparse", "--sparse-version=1.0"],
    ],
    ids=" ".join,
)
def test_gnu_tar_agrees(tmp_path: Path, options: list[str]) -> None:
    root = tmp_path / "root"
    root.mkdir()
    populate(root)
    raw = subprocess.run(["tar", "-C", root, *options, "-cf", "-", "."], check=True, capture_output=True).stdout
    members, anomalies = read_all(raw)
    assert anomalies == []
    assert {member.name.rstrip(b"/") for member, _ in members} == {
        os.fsencode(f"./{path.relative_to(root)}".removesuffix("/.")) for path in [root, *root.rglob("*")]
    } - {b"./."} | {b"."}
    for member, content in members:
        path = root / os.fsdecode(member.name)
        status = path.lstat()
        assert member.mode == status.st_mode & 0o7777 or member.type is EntryType.SYMLINK
        assert (member.uid, member.gid) == (status.st_uid, status.st_gid)
        if member.type is EntryType.FILE and not member.hard_link:
            assert member.size_bytes == status.st_size
            assert content == path.read_bytes()
        if "--format=pax" in options:
            assert member.mtime_ns == status.st_mtime_ns


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tarfile_agrees(form: int) -> None:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=form) as archive:
        for number in range(50):
            info = tarfile.TarInfo(f"dir/file{number}")
            info.size, info.mode, info.uid, info.mtime = number * 37, 0o640, number, 1_600_000_000 + number
            archive.addfile(info, io.BytesIO(bytes([number]) * info.size))
        device = tarfile.TarInfo("dev/null")
        device.type, device.devmajor, device.devminor = tarfile.CHRTYPE, 1, 3
        archive.addfile(device)
    members, anomalies = read_all(raw.getvalue())
    assert anomalies == []
    with tarfile.open(fileobj=io.BytesIO(raw.getvalue())) as archive:
        expected = archive.getmembers()
    assert [(os.fsdecode(m.name), m.size_bytes, m.mode, m.uid, m.data_offset) for m, _ in members] == [
        (info.name, info.size, info.mode, info.uid, info.offset_data) for info in expected
    ]
    assert members[-1][0].device == (1, 3)


def test_chunk_reader_feeds_any_chunk_size() -> None:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        info = tarfile.TarInfo("x")
        info.size = 5000
        archive.addfile(info, io.BytesIO(b"y" * 5000))
    pieces = [raw.getvalue()[start : start + 7] for start in range(0, len(raw.getvalue()), 7)]
    [(member, content)] = [(m, b"".join(c)) for m, c in read_tar(ChunkReader(iter(pieces)))]
    assert (member.name, content) == (b"x", b"y" * 5000)
    assert is_tar(raw.getvalue())
    assert not is_tar(b"PK" + bytes(600))


def test_unread_content_is_skipped() -> None:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name in ("a", "b"):
            info = tarfile.TarInfo(name)
            info.size = 3 << 20
            archive.addfile(info, io.BytesIO(bytes(info.size)))
    assert [member.name for member, _ in read_tar(io.BytesIO(raw.getvalue()))] == [b"a", b"b"]
