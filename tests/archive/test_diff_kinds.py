"""Every kind of difference between two file systems, from every kind of input that can hold it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from assets.hostile import END, folder, header, member, pax, record
from assets.images import OciLayout, docker_parts, pack, write_parts

from forensics.archive.compare import iterate_changes
from forensics.archive.differences import find_moves, name_kind
from forensics.archive.image import open_image
from forensics.archive.tree import read_tree
from forensics.cli import diff_view


def xattr(name: bytes, value: bytes) -> bytes:
    return pax(record(b"SCHILY.xattr." + name, value))


OLD, NEW = member(b"x", b"same\n"), member(b"x", b"same\n")
KINDS: dict[str, tuple[bytes, bytes, str, list[str], str | None]] = {
    "content": (OLD, member(b"x", b"other\n"), "modified", ["content"], None),
    "content-of-the-same-size": (OLD, member(b"x", b"sane\n"), "modified", ["content"], None),
    "mode": (OLD, member(b"x", b"same\n", mode=b"0004755\0"), "modified", ["mode"], None),
    "user": (OLD, member(b"x", b"same\n", uid=b"0000007\0"), "modified", ["owner"], None),
    "group": (OLD, member(b"x", b"same\n", gid=b"0000007\0"), "modified", ["owner"], None),
    "xattr-new": (OLD, xattr(b"security.capability", b"\1\0\0\2") + NEW, "modified", ["xattrs"], None),
    "xattr-value": (xattr(b"user.a", b"1") + OLD, xattr(b"user.a", b"2") + NEW, "modified", ["xattrs"], None),
    "time": (OLD, member(b"x", b"same\n", mtime=b"14000000001\0"), "modified", ["mtime"], None),
    "nanoseconds": (
        pax(record(b"mtime", b"9.1")) + OLD,
        pax(record(b"mtime", b"9.2")) + NEW,
        "modified",
        ["mtime"],
        None,
    ),
    "everything": (
        OLD,
        xattr(b"user.a", b"1") + member(b"x", b"1", mode=b"0000777\0", uid=b"0000001\0", mtime=b"00000000001\0"),
        "modified",
        ["content", "mode", "owner", "xattrs", "mtime"],
        None,
    ),
    "file-to-link": (OLD, header(b"x", kind=b"2", link=b"/etc"), "modified", ["type", "target"], None),
    "file-to-folder": (OLD, folder(b"x"), "modified", ["type"], None),
    "folder-to-file": (folder(b"x"), NEW, "modified", ["type"], None),
    "file-to-fifo": (OLD, header(b"x", kind=b"6"), "modified", ["type"], None),
    "link-target": (
        header(b"x", kind=b"2", link=b"/a"),
        header(b"x", kind=b"2", link=b"/b"),
        "modified",
        ["target"],
        None,
    ),
    "device-number": (
        header(b"x", kind=b"3", major=b"0000001\0", minor=b"0000003\0"),
        header(b"x", kind=b"3", major=b"0000001\0", minor=b"0000005\0"),
        "modified",
        ["device"],
        None,
    ),
    "device-kind": (
        header(b"x", kind=b"3", major=b"0000001\0"),
        header(b"x", kind=b"4", major=b"0000001\0"),
        "modified",
        ["type"],
        None,
    ),
    "renamed": (OLD, member(b"y", b"same\n"), "moved", [], "/x"),
    "moved-and-made-setuid": (OLD, member(b"a/x", b"same\n", mode=b"0004755\0"), "moved", ["mode"], "/x"),
    "hard-link-renamed": (
        member(b"k", b"kept\n") + header(b"x", kind=b"1", link=b"k"),
        member(b"k", b"kept\n") + header(b"y", kind=b"1", link=b"k"),
        "moved",
        [],
        "/x",
    ),
    "hard-link-to-copy": (
        member(b"k", b"kept\n") + header(b"x", kind=b"1", link=b"k"),
        member(b"k", b"kept\n") + member(b"x", b"kept\n", mtime=b"00000000001\0"),
        "modified",
        ["mtime"],
        None,
    ),
    "added": (b"", NEW, "added", [], None),
    "deleted": (OLD, b"", "deleted", [], None),
    "empty-file-renamed": (member(b"x"), b"", "deleted", [], None),
}
KEEP = member(b"other", b"untouched\n")


def flat(path: Path, tar: bytes) -> Path:
    path.with_suffix(".tar").write_bytes(tar)
    return path.with_suffix(".tar")


def docker(path: Path, tar: bytes) -> Path:
    return flat(path, pack(docker_parts([tar])))


def oci_folder(path: Path, tar: bytes) -> Path:
    layout = OciLayout()
    layout.add_image([tar])
    return write_parts(path, layout.finish())


def diff(*arguments: str | Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "forensics", "diff", *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_every_kind(tmp_path: Path) -> None:
    for kind, (old, new, expected, fields, source) in KINDS.items():
        trees = []
        for side, tar in (("a", old), ("b", new)):
            with open_image(docker(tmp_path / side, tar + KEEP + END)) as opened:
                trees.append(read_tree(opened))
        found = [item for item in find_moves(iterate_changes(*trees)) if item.path not in {b"a", b"k"}]
        assert [(name_kind(item), list(item.change.fields)) for item in found] == [(expected, fields)], kind
        moved = found[0].moved_from
        assert (moved and "/" + moved.path.decode()) == source, kind


@pytest.mark.parametrize("make_a", [flat, docker, oci_folder])
@pytest.mark.parametrize("make_b", [flat, docker, oci_folder])
def test_every_pair_of_inputs(
    tmp_path: Path, make_a: Callable[[Path, bytes], Path], make_b: Callable[[Path, bytes], Path]
) -> None:
    old, new = KINDS["everything"][0] + KEEP, KINDS["everything"][1] + KEEP + member(b"etc/n", b"new\n")
    a, b = make_a(tmp_path / "a", old + END), make_b(tmp_path / "b", new + END)
    document = diff(a, b, "--only", "mode", "--text")
    [change] = document["changes"]
    assert change["fields"] == ["content", "mode", "owner", "xattrs", "mtime"]
    assert change["text"].splitlines()[-3:] == ["-same", "-", "+1"]
    assert document["summary"]["kinds"] == {"modified": 1}
    assert [item["path"] for item in diff(a, b, "--path", "etc")["changes"]] == ["/etc", "/etc/n"]


def test_text_differences_are_read_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diff_view, "_MAX_BATCH_BYTES", 5000)
    sides = [
        docker(tmp_path / side, b"".join(member(b"f%d" % n, b"%s %d\n" % (side.encode(), n)) for n in range(9)) + END)
        for side in ("a", "b")
    ]
    with ExitStack() as stack:
        a, b = (diff_view.open_side(stack, str(side), None, None) for side in sides)
        texts = list(diff_view.read_texts(a, b, find_moves(iterate_changes(a.tree, b.tree))))
    assert [(item.path, text.splitlines()[3:5]) for item, text in texts] == [
        (b"f%d" % n, [f"-a {n}", f"+b {n}"]) for n in range(9)
    ]
