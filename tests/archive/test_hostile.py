"""Every hostile archive is survived, said, and leaves nothing outside the destination."""

from __future__ import annotations

import io
import json
import os
import resource
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from assets.hostile import (
    ARCHIVES,
    BLOCK,
    END,
    GOOD,
    LAST,
    LAYERS,
    PAYLOAD,
    STREAMS,
    gzip_bomb,
    header,
    member,
    zstd_bomb,
)
from assets.images import OciLayout, docker_parts, pack, sha256, write_parts

from forensics.archive.extract import extract_image
from forensics.archive.image import ImageSource, open_image
from forensics.archive.index import Table, Workspace
from forensics.archive.layerbuilder import LayerBuilder
from forensics.archive.limits import Anomaly, Limits
from forensics.archive.nouns import Layer
from forensics.archive.tar import read_tar
from forensics.archive.tree import Content, Tree, merge, read_layers
from forensics.errors import ArchiveError
from forensics.model import FileEntry


def store(path: Path, layers: list[bytes]) -> Path:
    path.write_bytes(pack(docker_parts(layers)))
    return path


def read_all(source: ImageSource) -> tuple[set[str], Tree, list[bytes]]:
    contents: list[bytes] = []
    tree = merge(
        read_layers(source, source.images[0], lambda _entry, content: contents.append(content.read(1000))),
        source.limits,
    )
    return {anomaly.code for anomaly in (*source.anomalies, *tree.anomalies)}, tree, contents


def assert_contained(root: Path) -> None:
    """Nothing but regular files of mode 0600 under names of ours."""
    for folder, _, files in os.walk(root):
        for name in files:
            status = (Path(folder) / name).lstat()
            assert stat.S_ISREG(status.st_mode)
            assert stat.S_IMODE(status.st_mode) == 0o600
            assert name == "index.jsonl" or (len(name) == 64 and set(name) <= set("0123456789abcdef"))


@pytest.mark.parametrize("defect", LAYERS)
def test_hostile_layer(tmp_path: Path, defect: str) -> None:
    build, codes = LAYERS[defect]
    raw = build()
    with open_image(store(tmp_path / "image.tar", [GOOD + END, raw])) as source:
        found, _, contents = read_all(source)
        assert found == codes
        extraction = extract_image(source, source.images[0], tmp_path / "out")
    if PAYLOAD in raw:
        assert any(PAYLOAD in content for content in contents), "the content is shown whatever is wrong around it"
    assert_contained(tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["image.tar", "out"]
    assert extraction.entries == len((tmp_path / "out" / "index.jsonl").read_text("ascii").splitlines())


@pytest.mark.parametrize("defect", STREAMS)
def test_broken_compression(tmp_path: Path, defect: str) -> None:
    build, codes = STREAMS[defect]
    layout = OciLayout()
    layout.add_image([GOOD + END], [build()])
    (tmp_path / "image.tar").write_bytes(pack(layout.finish()))
    with open_image(tmp_path / "image.tar") as source:
        found, _, _ = read_all(source)
    assert found >= codes
    assert found - codes <= {"diff-id-mismatch", "truncated-member", "truncated-header", "no-end-marker"}


@pytest.mark.parametrize("defect", ARCHIVES)
def test_hostile_archive(tmp_path: Path, defect: str) -> None:
    build, codes = ARCHIVES[defect]
    parts = build()
    (tmp_path / "image.tar").write_bytes(pack(parts))
    for path in (tmp_path / "image.tar", write_parts(tmp_path / "folder", parts)):
        with open_image(path) as source:
            found, _, contents = read_all(source)
            assert found - {"unreferenced-part"} == codes
            assert not [content for content in contents if b"root:" in content], "nothing of this machine is read"


def test_layer_truncated_at_every_byte() -> None:
    whole = GOOD + LAST + END
    for cut in range(len(whole) + 1):
        anomalies: list[Anomaly] = []
        names = [member.name for member, _ in read_tar(io.BytesIO(whole[:cut]), report=anomalies.append)]
        assert names == [b"good", b"last"][: (cut >= BLOCK) + (cut >= len(GOOD) + BLOCK)], cut
        assert bool(anomalies) == (cut < len(whole)), cut


def test_merged_layer_truncated_at_every_byte() -> None:
    whole = member(b"d/a", b"A" * 9) + member(b"d/.wh.b") + END
    for cut in range(len(whole) + 1):
        codes: list[Anomaly] = []
        builder = LayerBuilder(Layer(0, "", "", 0, "", ""), Table(Workspace(100)), Limits(), codes.append, None)
        for item, content in read_tar(io.BytesIO(whole[:cut]), report=codes.append):
            builder.add(item, content)
        tree = builder.finish()
        found = {entry.path: entry.sha256 for entry in merge([tree]).entries() if entry.size_bytes}
        complete = sha256(b"A" * 9) if cut >= BLOCK + 9 else None
        assert found == ({b"d/a": complete} if cut >= BLOCK else {}), cut
        assert bool(codes) == (cut < len(whole)), cut


def test_every_byte_of_truncation_is_survived() -> None:
    raw = pack(docker_parts([GOOD + LAST + END]))
    for cut in range(0, len(raw), 1):
        anomalies: list[Anomaly] = []
        for _, content in read_tar(io.BytesIO(raw[:cut]), report=anomalies.append):
            assert sum(map(len, content)) <= len(raw)


def test_members_behind_defects_are_shown_and_marked() -> None:
    middle = LAYERS["checksum-bad-in-the-middle"][0]()
    shown = [(member.name, member.hidden_by, b"".join(content)) for member, content in read_tar(io.BytesIO(middle))]
    assert shown == [(b"good", "", b"good\n"), (b"bad", "bad-checksum", PAYLOAD), (b"last", "bad-checksum", b"last\n")]
    lying = LAYERS["checksum-bad-and-size-a-lie"][0]()
    shown = [
        (member.name, member.hidden_by, b"".join(content)[: len(PAYLOAD)])
        for member, content in read_tar(io.BytesIO(lying))
    ]
    assert shown == [(b"good", "", b"good\n"), (b"bad", "bad-checksum", PAYLOAD), (b"last", "bad-checksum", b"last\n")]
    behind = LAYERS["member-behind-the-end"][0]()
    assert [member.hidden_by for member, _ in read_tar(io.BytesIO(behind))] == ["", "end-marker"]


def test_a_member_behind_the_end_is_hidden_not_merged(tmp_path: Path) -> None:
    with open_image(store(tmp_path / "image.tar", [LAYERS["member-behind-the-end"][0]()])) as source:
        tree = merge(read_layers(source))
    assert [entry.path for entry in tree.entries()] == [b"good"]
    [(layer, hidden)] = tree.hidden
    assert (layer, hidden.entry.path, hidden.reason) == (0, b"last", "behind the end marker")
    assert hidden.entry.sha256 == sha256(b"last\n")


def test_a_file_replaced_within_its_layer_is_recovered(tmp_path: Path) -> None:
    with open_image(store(tmp_path / "image.tar", [LAYERS["one-name-twice"][0]()])) as source:
        tree = merge(read_layers(source))
    [recovered] = tree.recovered
    assert (recovered.entry.path, recovered.entry.sha256, recovered.deleted_in_layer) == (b"x", sha256(PAYLOAD), 0)


def test_through_a_link_the_engine_writes_inside_its_root(tmp_path: Path) -> None:
    with open_image(store(tmp_path / "image.tar", [LAYERS["symlink-then-through-it"][0]()])) as source:
        tree = merge(read_layers(source))
    assert [entry.path for entry in tree.entries()] == [b"etc", b"etc/evil", b"out"]


def test_links_of_the_archive_never_leave_it(tmp_path: Path) -> None:
    parts = docker_parts([GOOD + END])
    [name] = [name for name in parts if name.endswith("layer.tar")]
    del parts[name]
    path = tmp_path / "image.tar"
    path.write_bytes(pack(parts, {name: "/etc/passwd"}))
    folder = write_parts(tmp_path / "folder", parts)
    (folder / name).parent.mkdir()
    (folder / name).symlink_to("/etc/passwd")
    for place in (path, folder):
        with open_image(place) as source:
            assert "missing-blob" in source.log.codes
            assert len(merge(read_layers(source))) == 0


def test_a_part_that_no_image_uses_is_named(tmp_path: Path) -> None:
    path = tmp_path / "image.tar"
    path.write_bytes(pack({**docker_parts([GOOD + END]), "blobs/sha256/stowaway": PAYLOAD}))
    with open_image(path) as source:
        [anomaly] = source.anomalies
    assert (anomaly.code, anomaly.path) == ("unreferenced-part", b"blobs/sha256/stowaway")


def test_a_folder_of_the_layout_that_is_a_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    layout = OciLayout()
    layout.add_image([GOOD + END])
    folder = write_parts(tmp_path / "folder", layout.finish())
    (folder / "blobs" / "sha256").rename(outside / "sha256")
    (folder / "blobs" / "sha256").symlink_to(outside / "sha256")
    with pytest.raises(ArchiveError, match="lists no image that can be read") as caught:
        open_image(folder)
    assert "is not in the archive" in caught.value.hint


@pytest.mark.parametrize("build", [gzip_bomb, zstd_bomb], ids=["gzip", "zstd"])
def test_compression_bombs_end_at_the_cap(tmp_path: Path, build: Callable[[], bytes]) -> None:
    layout = OciLayout()
    layout.add_image([GOOD + END], [build()])
    (tmp_path / "image.tar").write_bytes(pack(layout.finish()))
    read = 0

    def count(_entry: FileEntry, content: Content) -> None:
        nonlocal read
        read += content.size_bytes

    with open_image(tmp_path / "image.tar", limits=Limits(ratio_floor_bytes=16 << 20)) as source:
        read_layers(source, visitor=count)
        assert "compression-bomb" in source.log.codes
    assert read <= 33 << 20, "500 bytes for each byte read"


class Endless:
    """A stream of *size* zero bytes behind a head."""

    def __init__(self, head: bytes, size: int) -> None:
        self._parts = [head]
        self._left = size
        self._zeros = bytes(1 << 20)

    def read(self, size: int, /) -> bytes:
        if self._parts:
            return self._parts.pop()
        count = min(size, self._left, len(self._zeros))
        self._left -= count
        return self._zeros[:count]


def test_a_long_name_of_3_gib_that_is_really_there() -> None:
    anomalies: list[Anomaly] = []
    stream = Endless(header(b"././@LongLink", 3 << 30, b"L"), 3 << 30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert list(read_tar(stream, report=anomalies.append)) == []
    assert {anomaly.code for anomaly in anomalies} == {"header-too-large", "no-end-marker", "dangling-extension"} - {
        "dangling-extension"
    }
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_anomalies_do_not_grow_without_end(tmp_path: Path) -> None:
    raw = b"".join(member(b"/%d" % n) for n in range(3000)) + END
    with open_image(store(tmp_path / "image.tar", [raw])) as source:
        read_layers(source)
        found = source.anomalies
    assert len(found) == 201
    assert found[-1].message == "2800 more of this kind were seen and not listed"


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "forensics", *arguments], capture_output=True, text=True, check=False)


def test_the_command_says_it_in_sentences(tmp_path: Path) -> None:
    path = store(tmp_path / "image.tar", [LAYERS["name-with-escapes"][0](), LAYERS["checksum-bad-in-the-middle"][0]()])
    result = run("layers", path)
    assert result.returncode == 1
    assert "warning: layer 1, bad-checksum: a header's checksum is wrong; readers stop here, bad\n" in result.stderr
    assert "\x1b" not in result.stdout + result.stderr
    document = json.loads(run("layers", path, "--json").stdout)
    assert document["schema"] == "ir.layers/1"
    assert [warning["code"] for warning in document["warnings"]] == ["bad-checksum"]
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    result = run("layers", path, "--extract", tmp_path / "full")
    assert (result.returncode, result.stderr) == (
        2,
        f"ir: {tmp_path}/full exists and is not an empty folder. Name a new folder.\n",
    )
    (tmp_path / "cut").write_bytes(path.read_bytes()[:700])
    result = run("layers", tmp_path / "cut")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr


def test_the_whole_corpus_in_bounded_memory(tmp_path: Path) -> None:
    """All defects, and bombs of zeros in both compressions, in one image: below 300 MB."""
    layers = [build() for build, _ in LAYERS.values()]
    layout = OciLayout()
    layout.add_image([*layers, b"", b""], [*layers, gzip_bomb(), zstd_bomb()])
    path = tmp_path / "image.tar"
    path.write_bytes(pack(layout.finish()))
    result = run("layers", path, "--extract", tmp_path / "out")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 300_000
    written = sum(file.stat().st_blocks * 512 for file in (tmp_path / "out").rglob("*"))
    assert written < 20 << 20, "zeros are holes"
