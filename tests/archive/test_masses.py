"""A little input that claims to be much is bounded and said, and so are files with two readings."""

from __future__ import annotations

import gzip
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from assets.hostile import END, GOOD, LAST, MASSES, PAYLOAD, folder, header, member
from assets.images import OciLayout, docker_parts, pack, write_parts

from forensics.archive.extract import extract_image
from forensics.archive.image import open_image
from forensics.archive.leftovers import read_leftovers
from forensics.archive.limits import Limits
from forensics.archive.tree import read_layers, read_tree
from forensics.archive.visitor import Content
from forensics.errors import UsageError
from forensics.model import FileEntry

MEASURE = """
import resource, subprocess, sys
with open(sys.argv[1], "w") as out:
    done = subprocess.run([sys.executable, "-m", "forensics", "layers", *sys.argv[2:]], stdout=out)
print(done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


@pytest.mark.parametrize("defect", MASSES)
def test_masses_stay_out_of_memory(tmp_path: Path, defect: str) -> None:
    build, codes = MASSES[defect]
    layout = OciLayout()
    layout.add_image([GOOD + END], [build()])
    path = tmp_path / "image.tar"
    path.write_bytes(pack(layout.finish()))
    command = [sys.executable, "-c", MEASURE, tmp_path / "out.json", path, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    code, memory_kb = map(int, done.stdout.split())
    assert code == 1, "its diff_id is another"
    assert memory_kb < 110_000
    warnings = json.loads((tmp_path / "out.json").read_text())["warnings"]
    assert {warning["code"] for warning in warnings} == codes | {"diff-id-mismatch"}


def test_a_million_empty_gzip_members(tmp_path: Path) -> None:
    layout = OciLayout()
    stored = gzip.compress(GOOD) + gzip.compress(b"") * 300_000 + b"\0" * 3_000_000 + gzip.compress(END)
    layout.add_image([GOOD + END], [stored])
    (tmp_path / "image.tar").write_bytes(pack(layout.finish()))
    with open_image(tmp_path / "image.tar") as source:
        assert [entry.path for entry in read_tree(source).entries()] == [b"good"]
        assert source.anomalies == ()


def test_one_layer_listed_a_thousand_times_is_not_read_a_thousand_times(tmp_path: Path) -> None:
    parts = docker_parts([member(b"x", b"y" * 100_000) + END])
    [item] = json.loads(parts["manifest.json"])
    parts["manifest.json"] = json.dumps([{**item, "Layers": item["Layers"] * 1000}]).encode()
    (tmp_path / "image.tar").write_bytes(pack(parts))
    with open_image(tmp_path / "image.tar", limits=Limits(max_repeated_bytes=1_000_000)) as source:
        trees = read_layers(source)
        assert sum(tree.members for tree in trees) == 10
        assert "repeated-layer" in source.log.codes


PLANTED = {"bin/sh": b"x", "etc/passwd": b"y", "usr/z": b"z"}


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("as_folder", [True, False])
def test_an_image_in_a_root_is_said_and_both_are_read(tmp_path: Path, first: bool, as_folder: bool) -> None:
    image = docker_parts([member(b"evil", PAYLOAD) + END], ["planted:1"])
    parts = {**PLANTED, **image} if first else {**image, **PLANTED}
    path = tmp_path / "image.tar"
    if as_folder:
        path = write_parts(tmp_path / "folder", parts)
    else:
        path.write_bytes(pack(parts))
    seen: list[bytes] = []

    def visit(_entry: FileEntry, content: Content) -> None:
        seen.append(content.read())

    with open_image(path) as source:
        assert [anomaly.code for anomaly in source.anomalies] == ["two-readings"]
        assert "planted:1" in source.anomalies[0].message
        assert [image.tags for image in source.images] == [(), ("planted:1",)]
        assert read_tree(source).get(b"etc/passwd") is not None
        assert read_tree(source, source.images[1]).get(b"evil") is not None
        names = [entry.path for _, entry in read_leftovers(source, visit)]
    assert names == [b"evil"]
    assert seen == [PAYLOAD]
    with open_image(path, tag="planted:1") as source:
        assert [entry.path for entry in read_tree(source).entries()] == [b"evil"]


def test_padding_does_not_hide_an_image(tmp_path: Path) -> None:
    path = tmp_path / "image.tar"
    path.write_bytes(b"".join(header(b"pad%d" % n) for n in range(66_000)) + pack(docker_parts([GOOD + END])))
    with open_image(path) as source:
        assert source.dialect == "docker-archive"
        assert source.log.codes == {"too-many"}
        assert read_tree(source).get(b"good") is not None


def test_a_folder_without_its_table_of_contents(tmp_path: Path) -> None:
    parts = docker_parts([member(b"evil", PAYLOAD) + END])
    del parts["manifest.json"]
    with open_image(write_parts(tmp_path / "folder", parts)) as source:
        assert source.dialect == "rebuilt"
        assert "bad-manifest" in source.log.codes
        assert read_tree(source).get(b"evil") is not None


def test_what_no_image_of_a_folder_uses_is_read(tmp_path: Path) -> None:
    layout = OciLayout()
    layout.add_image([GOOD + END])
    stowaway = gzip.compress(member(b"evil", PAYLOAD) + END)
    root = write_parts(tmp_path / "folder", {**layout.finish(), "blobs/sha256/stowaway": stowaway})
    (root / "link").symlink_to("/etc/passwd")
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as plug:
        plug.bind(str(root / "socket"))
    with open_image(root) as source:
        assert [anomaly.path for anomaly in source.anomalies] == [b"blobs/sha256/stowaway"]
        assert [entry.path for _, entry in read_leftovers(source, lambda _entry, _content: None)] == [b"evil"]


@pytest.mark.parametrize("plant", [os.mkfifo, lambda path: path.symlink_to(path.name), lambda path: path.mkdir()])
def test_documents_that_are_no_files(tmp_path: Path, plant: Callable[[Path], None]) -> None:
    layout = OciLayout()
    layout.add_image([GOOD + END])
    root = write_parts(tmp_path / "folder", layout.finish())
    plant(root / "manifest.json")
    with open_image(root) as source:
        assert source.dialect == "oci-layout"
    (root / "index.json").unlink()
    plant(root / "index.json")
    with open_image(root) as source:
        assert source.dialect == "rebuilt"


def test_nothing_is_extracted_into_what_is_read(tmp_path: Path) -> None:
    root = write_parts(tmp_path / "root", {"a": b"1"})
    (tmp_path / "link").symlink_to(root)
    with open_image(root) as source:
        for place in (root / "out", root / "b" / "out", tmp_path / "link" / "out", root / ".." / "root" / "out"):
            with pytest.raises(UsageError, match="lies in the folder that is being read"):
                extract_image(source, source.images[0], place)
    assert sorted(path.name for path in root.iterdir()) == ["a"]


@pytest.mark.parametrize("plant", ["link", "fifo", "file", "index"])
def test_a_destination_that_is_prepared(tmp_path: Path, plant: str) -> None:
    path = tmp_path / "image.tar"
    path.write_bytes(pack(docker_parts([GOOD + folder(b"d/") + LAST + END])))
    out, outside = tmp_path / "out", tmp_path / "outside"
    outside.mkdir()
    if plant == "link":
        out.symlink_to(outside)
    elif plant == "fifo":
        os.mkfifo(out)
    elif plant == "file":
        out.touch()
    else:
        out.mkdir()
        (out / "index.jsonl").symlink_to(outside / "index.jsonl")
    command = [sys.executable, "-m", "forensics", "layers", path, "--extract", out]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, f"ir: {out} exists and is not an empty folder. Name a new folder.\n")
    assert not list(outside.iterdir())
