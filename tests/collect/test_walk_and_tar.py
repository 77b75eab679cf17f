"""The walk and the tar of trees that an attacker owns."""

from __future__ import annotations

import io
import os
import tarfile
import time
from pathlib import Path

import pytest

from forensics.collect.treetar import Budget, Tally, pack_tree
from forensics.collect.walk import MAX_DEPTH, hash_content, open_directory, walk

ENOUGH = 1 << 30


def pack(root: Path, budget: int = ENOUGH) -> tuple[bytes, Tally]:
    tally = Tally()
    descriptor = open_directory(root)
    try:
        return b"".join(pack_tree(descriptor, Budget(budget), tally)), tally
    finally:
        os.close(descriptor)


def unpack(packed: bytes) -> dict[bytes, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(packed), errors="surrogateescape") as archive:
        return {os.fsencode(member.name): member for member in archive}


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    (root / "file").write_bytes(b"x" * 1000)
    (root / "sub").mkdir()
    (root / "sub" / "deep").write_bytes(b"deep")
    Path(os.fsdecode(os.fsencode(root) + b"/\xff\nname")).write_bytes(b"odd")
    (root / "link").symlink_to("/etc/passwd")
    (root / "loop").symlink_to(".")
    os.mkfifo(root / "fifo")
    os.mknod(root / "zero", 0o20666, os.makedev(1, 5))
    return root


def test_everything_is_in_the_tar_and_nothing_is_followed(hostile: Path) -> None:
    packed, tally = pack(hostile)
    members = unpack(packed)
    assert set(members) == {b"file", b"sub", b"sub/deep", b"\xff\nname", b"link", b"loop", b"fifo", b"zero"}
    assert members[b"link"].linkname == "/etc/passwd"
    assert members[b"fifo"].isfifo()
    assert (members[b"zero"].devmajor, members[b"zero"].devminor) == (1, 5)
    assert members[b"file"].size == 1000
    assert tally.entries == 8
    assert tally.content_bytes == 1007
    assert tally.omissions == []


def test_system_tar_reads_it(hostile: Path, tmp_path: Path) -> None:
    import subprocess

    packed, _ = pack(hostile)
    (tmp_path / "t.tar").write_bytes(packed)
    listed = subprocess.run(["tar", "-tf", tmp_path / "t.tar"], check=True, capture_output=True)
    assert b"sub/deep" in listed.stdout
    assert b"rror" not in listed.stderr


def test_times_and_extended_attributes_survive(hostile: Path) -> None:
    os.utime(hostile / "file", ns=(1, 1_600_000_000_123_456_789))
    os.setxattr(hostile / "file", "user.mark", b"\x00\xff")
    member = unpack(pack(hostile)[0])[b"file"]
    assert member.pax_headers["mtime"] == "1600000000.123456789"
    assert os.fsencode(member.pax_headers["SCHILY.xattr.user.mark"]) == b"\x00\xff"


def test_access_times_stay(hostile: Path) -> None:
    for name in ("file", "sub", "sub/deep"):
        os.utime(hostile / name, ns=(5, 10**18))
    pack(hostile)
    assert [(hostile / name).stat().st_atime_ns for name in ("file", "sub", "sub/deep")] == [5, 5, 5]


def test_a_file_over_the_budget_is_named_and_the_next_one_still_taken(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(500))
    (tmp_path / "small").write_bytes(bytes(50))
    packed, tally = pack(tmp_path, budget=100)
    assert set(unpack(packed)) == {b"small"}
    assert [(item.path, item.reason, item.size_bytes) for item in tally.omissions] == [(b"big", "over the budget", 500)]


def test_an_empty_tree_gives_no_bytes(tmp_path: Path) -> None:
    assert pack(tmp_path) == (b"", Tally())


def test_depth_is_bounded_and_reported(tmp_path: Path) -> None:
    os.chdir(tmp_path)
    for _ in range(MAX_DEPTH + 50):
        os.mkdir("d")  # noqa: PTH102 - deeper than a path may be long
        os.chdir("d")
    os.chdir(Path(__file__).parent)
    _, tally = pack(tmp_path)
    assert tally.entries == MAX_DEPTH + 1
    assert [item.reason for item in tally.omissions] == [f"nested deeper than {MAX_DEPTH} directories"]


def test_a_fifo_swapped_in_for_a_file_never_blocks(tmp_path: Path) -> None:
    (tmp_path / "name").write_bytes(b"")
    root = open_directory(tmp_path)
    started = time.monotonic()
    for node in walk(root, lambda *_: None):
        if node.path == b"name":
            (tmp_path / "name").unlink()
            os.mkfifo(tmp_path / "name")
            assert hash_content(node.handle, 10).startswith("e3b0c442")
    os.close(root)
    assert time.monotonic() - started < 1


def test_a_shrinking_file_is_filled_and_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(3 << 20))
    tally = Tally()
    root = open_directory(tmp_path)
    stream = pack_tree(root, Budget(ENOUGH), tally)
    packed = next(stream) + next(stream)
    (tmp_path / "a").write_bytes(b"")
    packed += b"".join(stream)
    os.close(root)
    assert unpack(packed)[b"a"].size == 3 << 20
    assert [item.reason for item in tally.omissions] == [f"shrank to {1 << 20} bytes while it was read"]


def test_a_mount_below_is_shown_not_entered(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    import subprocess

    (tmp_path / "m").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", tmp_path / "m"], check=True)
    try:
        (tmp_path / "m" / "inside").write_bytes(b"x")
        packed, tally = pack(tmp_path)
    finally:
        subprocess.run(["umount", tmp_path / "m"], check=True)
    assert set(unpack(packed)) == {b"m"}
    assert tally.omissions == []


def test_a_directory_through_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/")
    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        open_directory(tmp_path / "link")


@pytest.fixture
def holed(tmp_path: Path) -> Path:
    root = tmp_path / "holed"
    root.mkdir()
    for name in ("nothing", os.fsdecode(b"odd\xff"), "ends-in-data", "whole"):
        with (root / name).open("wb") as file:
            if name != "nothing":
                file.write(b"head" * 1024)
            if name != "whole":
                file.truncate(1 << 40)
            if name == "ends-in-data":
                file.seek((1 << 40) - 4)
                file.write(b"tail")
    return root


def test_holes_cost_neither_budget_nor_tar(holed: Path) -> None:
    packed, tally = pack(holed, budget=1 << 20)
    assert tally.omissions == []
    assert len(packed) < 1 << 17
    members = unpack(packed)
    assert {name: member.size for name, member in members.items()} == {
        b"nothing": 1 << 40, b"odd\xff": 1 << 40, b"ends-in-data": 1 << 40, b"whole": 4096
    }  # fmt: skip
    with tarfile.open(fileobj=io.BytesIO(packed), errors="surrogateescape") as archive:
        file = archive.extractfile(members[b"ends-in-data"])
        assert file is not None
        assert file.read(4100) == b"head" * 1024 + bytes(4)
        file.seek(-8, io.SEEK_END)
        assert file.read() == bytes(4) + b"tail"


def test_gnu_tar_restores_holes_as_holes(holed: Path, tmp_path: Path) -> None:
    import subprocess

    (tmp_path / "t.tar").write_bytes(pack(holed)[0])
    (tmp_path / "out").mkdir()
    subprocess.run(["tar", "-xf", tmp_path / "t.tar", "-C", tmp_path / "out"], check=True)
    restored = tmp_path / "out" / "ends-in-data"
    assert restored.stat().st_size == 1 << 40
    assert restored.stat().st_blocks * 512 < 1 << 20
    with restored.open("rb") as file:
        assert file.read(4096) == b"head" * 1024
        file.seek(-4, io.SEEK_END)
        assert file.read() == b"tail"


def test_the_toolkit_reads_its_own_sparse_members(holed: Path) -> None:
    from forensics.archive.limits import Limits
    from forensics.archive.tar import read_tar

    anomalies: list[object] = []
    limits = Limits()
    found = {
        member.name: member.size_bytes for member, _ in read_tar(io.BytesIO(pack(holed)[0]), limits, anomalies.append)
    }
    assert found[b"whole"] == 4096
    assert set(found) == {b"nothing", b"odd\xff", b"ends-in-data", b"whole"}


def test_a_sparse_file_over_the_budget_counts_what_it_holds(holed: Path) -> None:
    _, tally = pack(holed, budget=4096)
    assert {(item.path, item.size_bytes) for item in tally.omissions} <= {
        (b"whole", 4096), (b"odd\xff", 4096), (b"ends-in-data", 8192)
    }  # fmt: skip
    assert tally.omitted == 2


def test_more_pieces_than_a_map_may_have_count_as_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from forensics.collect import sparse

    monkeypatch.setattr(sparse, "MAX_EXTENTS", 3)
    with (tmp_path / "comb").open("wb") as file:
        for piece in range(6):
            file.seek(piece << 17)
            file.write(b"%d" % piece)
    packed, tally = pack(tmp_path)
    assert 3 << 17 < tally.content_bytes < 4 << 17
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        file = archive.extractfile("comb")
        assert file is not None
        assert file.read() == (tmp_path / "comb").read_bytes()


def test_a_large_file_has_its_digest_and_one_over_the_budget_is_named(tmp_path: Path) -> None:
    import hashlib
    import json

    from forensics.collect.file_listing import FileListing

    with (tmp_path / "large").open("wb") as file:
        file.truncate(70 << 20)
    with (tmp_path / "endless").open("wb") as file:
        file.truncate(1 << 42)
    root = open_directory(tmp_path)
    listing = FileListing("x", lambda report: walk(root, report), Budget(1 << 30))
    entries = {entry["path"]: entry for entry in json.loads(b"".join(listing.stream()))["entries"]}
    os.close(root)
    assert entries["large"]["sha256"] == hashlib.sha256(bytes(70 << 20)).hexdigest()
    assert entries["endless"]["sha256"] is None
    assert listing.omissions == [{"path": "endless", "reason": "no digest: over the budget", "size": 1 << 42}]


def test_a_growing_file_has_the_digest_of_what_was_looked_at(tmp_path: Path) -> None:
    import hashlib
    import json

    from forensics.collect.file_listing import FileListing

    (tmp_path / "log").write_bytes(b"before")
    root = open_directory(tmp_path)

    def grow(report: object) -> object:
        for node in walk(root, report):  # type: ignore[arg-type]  # the callback of the listing
            with (tmp_path / "log").open("ab") as file:
                file.write(b" and after")
            yield node

    entries = json.loads(b"".join(FileListing("x", grow, Budget(1 << 20)).stream()))["entries"]  # type: ignore[arg-type]  # as above
    os.close(root)
    assert entries[1]["sha256"] == hashlib.sha256(b"before").hexdigest() or entries[1]["size"] > len(b"before")
