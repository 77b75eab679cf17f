"""Every dialect gives the same tree; documents are verified, never trusted."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import zstandard
from assets.images import (
    OciLayout,
    docker_parts,
    kaniko_parts,
    legacy_parts,
    make_config,
    pack,
    podman_parts,
    sha256,
    write_parts,
)

from forensics.archive.image import ImageSource, open_image
from forensics.archive.leftovers import read_leftovers
from forensics.archive.limits import Limits, read_limits
from forensics.archive.nouns import Layer
from forensics.archive.tree import read_layers, read_tree, read_trees, visit
from forensics.errors import ArchiveError, UsageError


def make_tar(files: dict[str, bytes | None]) -> bytes:
    """Return a layer; a name that ends in a slash is a folder."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
            info.size = len(content or b"")
            archive.addfile(info, io.BytesIO(content or b""))
    return raw.getvalue()


BASE = make_tar(
    {"etc/": None, "etc/passwd": b"root:x:0:0\n", "bin/": None, "bin/sh": b"\x7fELF" + bytes(2000), "secret": b"gone"}
)
TOP = make_tar(
    {
        "etc/": None,
        "etc/passwd": b"root:x:0:0\nevil:x:0:0\n",
        ".wh.secret": b"",
        "tmp/": None,
        "tmp/miner": b"xmr" * 999,
    }
)
LAYERS = [BASE, TOP]
PATHS = [b"bin", b"bin/sh", b"etc", b"etc/passwd", b"tmp", b"tmp/miner"]


def gzip_members(raw: bytes) -> bytes:
    """Several members, as estargz and parallel compressors write."""
    return b"".join(gzip.compress(raw[start : start + 700]) for start in range(0, len(raw), 700))


def zstd_chunked(raw: bytes) -> bytes:
    """Frames with skippable frames between and behind, as the seekable format and zstd:chunked write."""
    skippable = b"\x50\x2a\x4d\x18" + (8).to_bytes(4, "little") + b"manifest"
    frames = [zstandard.compress(raw[start : start + 900]) for start in range(0, len(raw), 900)]
    return skippable.join(frames) + skippable


COMPRESSIONS = {
    "plain": lambda raw: raw,
    "gzip": gzip.compress,
    "gzip-members": gzip_members,
    "zstd": zstandard.compress,
    "zstd-chunked": zstd_chunked,
    "zstd-skippable-first": lambda raw: b"\x5a\x2a\x4d\x18\x04\x00\x00\x00abcd" + zstandard.compress(raw),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}


def oci_parts(compression: str = "plain", **extra: Any) -> dict[str, bytes]:
    layout = OciLayout()
    layout.add_image(LAYERS, [COMPRESSIONS[compression](layer) for layer in LAYERS], **extra)
    return layout.finish()


def hybrid_parts() -> dict[str, bytes]:
    config = make_config(LAYERS)
    manifest = [
        {
            "Config": f"blobs/sha256/{sha256(config)}",
            "RepoTags": ["demo:1"],
            "Layers": [f"blobs/sha256/{sha256(x)}" for x in LAYERS],
        }
    ]
    return {**oci_parts(), "manifest.json": json.dumps(manifest).encode(), "repositories": b"{}"}


DIALECTS = {
    "docker-archive": lambda: docker_parts(LAYERS),
    "docker+oci": hybrid_parts,
    "oci-layout": oci_parts,
    "docker-archive podman": lambda: podman_parts(LAYERS),
    "docker-archive kaniko": lambda: kaniko_parts(LAYERS),
    **{f"oci-layout {name}": lambda name=name: oci_parts(name) for name in COMPRESSIONS},
}


def check(path: Path, dialect: str) -> None:
    with open_image(path) as source:
        assert source.dialect == dialect.split(maxsplit=1)[0]
        [image] = source.images
        assert [layer.created_by for layer in image.layers] == ["layer 0", "layer 1"]
        tree = read_tree(source)
        assert source.anomalies == ()
    assert [entry.path for entry in tree.entries()] == PATHS
    assert [layer.diff_id for layer in tree.layers] == [f"sha256:{sha256(layer)}" for layer in LAYERS]
    [recovered] = tree.recovered
    assert (recovered.entry.path, recovered.deleted_in_layer, recovered.created_by) == (b"secret", 1, "layer 0")
    assert [(layer.added, layer.modified, layer.deleted) for layer in tree.layers] == [(5, 0, 0), (2, 1, 1)]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_dialect_as_file_and_as_directory(tmp_path: Path, dialect: str) -> None:
    parts = DIALECTS[dialect]()
    archive = tmp_path / "any-name.bin"
    archive.write_bytes(pack(parts))
    check(archive, dialect)
    check(write_parts(tmp_path / "folder", parts), dialect)
    archive.write_bytes(gzip.compress(pack(parts)))
    check(archive, dialect)


def test_layers_that_are_links_to_one_another(tmp_path: Path) -> None:
    parts = docker_parts([BASE, BASE])
    first, second = [name for name in parts if name.endswith("layer.tar")]
    del parts[second]
    path = tmp_path / "image.tar"
    path.write_bytes(pack(parts, {second: f"../{first}"}))
    with open_image(path) as source:
        assert [layer.size_bytes for layer in source.images[0].layers] == [len(BASE)] * 2
        assert len(read_tree(source)) == 5
        assert source.anomalies == ()


def test_flat_root_and_lone_layer(tmp_path: Path) -> None:
    path = tmp_path / "root.tar"
    path.write_bytes(make_tar({"etc/": None, "usr/": None, "dev/": None, ".wh.etc": b"a file", "manifest.json": b"[]"}))
    with open_image(path) as source:
        assert source.dialect == "flat"
        assert [entry.path for entry in read_tree(source).entries()] == [
            b".wh.etc",
            b"dev",
            b"etc",
            b"manifest.json",
            b"usr",
        ]


def test_image_documents_planted_in_a_root_do_not_make_it_an_image(tmp_path: Path) -> None:
    parts = {"bin/sh": b"x", "etc/passwd": b"x", "usr/x": b"x", **docker_parts(LAYERS)}
    path = tmp_path / "export.tar"
    path.write_bytes(pack(parts))
    with open_image(path) as source:
        assert source.dialect == "flat"


def test_plain_directory(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (root / "a" / "file").write_bytes(b"content")
    (root / "a" / "out").symlink_to("/etc/passwd")
    with open_image(root) as source:
        tree = read_tree(source)
    assert source.dialect == "directory"
    entry = tree.get(b"/a/file")
    assert entry is not None
    assert entry.sha256 == sha256(b"content")
    link = tree.get(b"a/out")
    assert link is not None
    assert link.link_target == b"/etc/passwd"


def test_standard_input(tmp_path: Path) -> None:
    path = tmp_path / "image.tar"
    path.write_bytes(pack(docker_parts(LAYERS)))
    with path.open("rb") as file:
        result = subprocess.run(
            [sys.executable, "-m", "forensics", "layers", "-", "--json"], stdin=file, capture_output=True, check=True
        )
    document = json.loads(result.stdout)
    assert [layer["deleted"] for layer in document["images"][0]["layers"]] == [0, 1]
    piped = subprocess.run(
        [sys.executable, "-m", "forensics", "layers", "-"], input=path.read_bytes(), capture_output=True, check=True
    )
    assert b"demo:1" in piped.stdout


def test_platforms_and_tags_are_chosen_or_listed(tmp_path: Path) -> None:
    layout = OciLayout()
    arm = layout.add_image([BASE], listed=False, platform={"os": "linux", "architecture": "arm64", "variant": "v8"})
    amd = layout.add_image([TOP], listed=False, platform={"os": "linux", "architecture": "amd64"})
    attestation = {**amd, "annotations": {"vnd.docker.reference.type": "attestation-manifest"}}
    inner = layout.add_index([arm, amd, attestation], listed=False)
    layout.add_index([inner], annotations={"org.opencontainers.image.ref.name": "multi"})
    layout.add_image([BASE, TOP], annotations={"io.containerd.image.name": "docker.io/library/other:2"})
    path = tmp_path / "oci.tar"
    path.write_bytes(pack(layout.finish()))
    with open_image(path) as source:
        assert [(image.tags, image.platform) for image in source.images] == [
            (("multi",), "linux/arm64/v8"),
            (("multi",), "linux/amd64"),
            (("docker.io/library/other:2",), "linux/amd64"),
        ]
        with pytest.raises(UsageError, match="holds 3 images") as caught:
            source.select()
        assert "multi (linux/arm64/v8); multi (linux/amd64); docker.io/library/other:2" in caught.value.hint
        assert source.anomalies == ()
    with open_image(path, platform="linux/arm64") as source:
        assert len(source.images) == 1
    with open_image(path, tag="other:2") as source:
        assert len(source.images[0].layers) == 2
    with pytest.raises(UsageError, match="holds no such image"):
        open_image(path, tag="absent")


def test_history_counts_empty_layers(tmp_path: Path) -> None:
    history = [
        {"created_by": "FROM"},
        {"created_by": "ENV a=b", "empty_layer": True},
        {"comment": "COPY"},
        {"created_by": "CMD", "empty_layer": True},
    ]
    path = tmp_path / "image.tar"
    path.write_bytes(pack(docker_parts(LAYERS, config=make_config(LAYERS, history))))
    with open_image(path) as source:
        [image] = source.images
        assert [layer.created_by for layer in image.layers] == ["FROM", "COPY"]
        assert [line.layer for line in image.history] == [0, None, 1, None]


def test_digest_and_diff_id_mismatches_are_said_and_hide_nothing(tmp_path: Path) -> None:
    parts = oci_parts()
    blob = f"blobs/sha256/{sha256(TOP)}"
    changed = make_tar({"tmp/miner": b"other"})
    parts[blob] = changed + bytes(len(TOP) - len(changed)) if len(TOP) > len(changed) else changed
    path = tmp_path / "image.tar"
    path.write_bytes(pack(parts))
    with open_image(path) as source:
        tree = read_tree(source)
        assert {anomaly.code for anomaly in source.anomalies} == {"digest-mismatch", "diff-id-mismatch"}
        assert {anomaly.layer for anomaly in source.anomalies} == {1}
    assert tree.get(b"tmp/miner") is not None


def test_missing_blob_leaves_the_other_layers(tmp_path: Path) -> None:
    parts = oci_parts()
    del parts[f"blobs/sha256/{sha256(BASE)}"]
    path = tmp_path / "image.tar"
    path.write_bytes(pack(parts))
    with open_image(path) as source:
        tree = read_tree(source)
        assert [anomaly.code for anomaly in source.anomalies] == ["missing-blob"]
    assert tree.get(b"tmp/miner") is not None


def test_each_content_is_visited_once(tmp_path: Path) -> None:
    path = tmp_path / "image.tar"
    path.write_bytes(pack(docker_parts([BASE, make_tar({"copy": b"gone", "new": b"n" * 5_000_000})])))
    seen = []
    with open_image(path) as source:
        visit(
            source,
            lambda entry, content: seen.append(
                (entry.path, content.size_bytes, content.read(2), sum(map(len, content.chunks())))
            ),
        )
    assert seen == [
        (b"etc/passwd", 11, b"ro", 11),
        (b"bin/sh", 2004, b"\x7fE", 2004),
        (b"secret", 4, b"go", 4),
        (b"new", 5_000_000, b"nn", 5_000_000),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"hello", "is no image, OCI layout or tar archive"),
        (gzip.compress(b"hello"), "is no image, OCI layout or tar archive"),
        (b"PK\x03\x04" + bytes(2000), "is no image, OCI layout or tar archive"),
    ],
    ids=["empty", "short", "compressed", "zip"],
)
def test_what_is_no_image_is_one_sentence(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match=message):
        open_image(path)


def test_what_is_not_there_is_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        open_image(tmp_path / "absent")
    with pytest.raises(UsageError, match="neither a file nor a directory"):
        open_image(Path("/dev/null"))


def test_a_saved_image_without_its_table_of_contents_is_put_together_by_content(tmp_path: Path) -> None:
    parts = docker_parts(LAYERS)
    path = tmp_path / "image.tar"
    path.write_bytes(pack(parts))
    with open_image(path) as source:
        told = [(layer.diff_id, layer.size_bytes) for layer in source.images[0].layers]
        paths = [entry.path for entry in read_tree(source).entries()]
    for change in ({"manifest.json": b"{"}, {"manifest.json": b"[" * 2_000_000}, {}):
        path.write_bytes(pack({name: raw for name, raw in parts.items() if name != "manifest.json"} | change))
        with open_image(path) as source:
            assert source.dialect == "rebuilt"
            assert [anomaly.code for anomaly in source.anomalies] == ["bad-manifest"]
            assert [(layer.diff_id, layer.size_bytes) for layer in source.images[0].layers] == told
            assert [entry.path for entry in read_tree(source).entries()] == paths


def test_an_unreadable_table_of_contents_is_said_where_nothing_can_be_put_together(tmp_path: Path) -> None:
    path = tmp_path / "image.tar"
    path.write_bytes(pack({"manifest.json": b"[" * 200_000, "notes": b"x"}))
    with open_image(path) as source:
        assert source.dialect == "flat"
        assert [(item.code, "nested too deeply" in item.message) for item in source.anomalies] == [
            ("bad-manifest", True)
        ]


def test_what_a_compressed_archive_lost_is_said_of_a_flat_one_too(tmp_path: Path) -> None:
    packed = gzip.compress(pack({"a": bytes(range(256)) * 400}))
    path = tmp_path / "root.tar.gz"
    path.write_bytes(packed[:-3])
    with open_image(path) as source:
        assert source.dialect == "flat"
        assert [anomaly.code for anomaly in source.anomalies] == ["truncated-compression"]
    path.write_bytes(packed[:12])
    with pytest.raises(ArchiveError, match="the gzip stream ends early"):
        open_image(path)


def test_content_that_no_image_uses_is_read(tmp_path: Path) -> None:
    shadowed = pack({"manifest.json": b"the first"})[:1024]
    parked = gzip.compress(pack({"inner/evil": b"parked"}))
    path = tmp_path / "image.tar"
    path.write_bytes(shadowed + pack({**docker_parts(LAYERS), "extra/park.tgz": parked, "blob": b"loose"}))
    seen: dict[bytes, bytes] = {}
    with open_image(path) as source:
        read_tree(source)
        found = list(read_leftovers(source, lambda entry, content: seen.update({entry.path: content.read()})))
    assert [name for name, _ in found] == [b"extra/park.tgz", b"blob", b"manifest.json"]
    assert seen == {b"inner/evil": b"parked", b"blob": b"loose", b"manifest.json": b"the first"}


def test_platforms_that_were_not_saved_are_no_damage(tmp_path: Path) -> None:
    """Engines with containerd's image store save the whole index and the blobs of one platform."""
    layout = OciLayout()
    amd = layout.add_image(LAYERS, listed=False, platform={"os": "linux", "architecture": "amd64"})
    absent = {"digest": "sha256:" + "1" * 64, "size": 5, "platform": {"os": "linux", "architecture": "s390x"}}
    proof = {
        "digest": "sha256:" + "2" * 64,
        "size": 5,
        "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
    }
    layout.add_index([amd, absent, proof])
    path = tmp_path / "oci.tar"
    path.write_bytes(pack(layout.finish()))
    with open_image(path) as source:
        assert [image.platform for image in source.images] == ["linux/amd64"]
        assert [(anomaly.code, anomaly.message) for anomaly in source.anomalies] == [
            ("absent-platform", "the image for linux/s390x is listed but was not saved")
        ]


def test_what_docker_saved_before_1_10(tmp_path: Path) -> None:
    parts = legacy_parts(LAYERS)
    (tmp_path / "old.tar").write_bytes(pack(parts))
    for path in (tmp_path / "old.tar", write_parts(tmp_path / "folder", parts)):
        with open_image(path) as source:
            assert source.dialect == "docker-archive-v0"
            assert [image.tags for image in source.images] == [("demo:1",), ("demo:old",)]
            image, older = source.images
            assert (image.platform, len(older.layers)) == ("linux/amd64", 1)
            assert [layer.created_by for layer in image.layers] == ["/bin/sh -c layer 0", "/bin/sh -c layer 1"]
            assert [entry.path for entry in read_tree(source, image).entries()] == PATHS
            assert source.anomalies == ()


@pytest.mark.parametrize("parent", [sha256(TOP + b"\1"), "../../etc", 7], ids=["circle", "path", "number"])
def test_parents_that_lead_nowhere(tmp_path: Path, parent: object) -> None:
    (tmp_path / "old.tar").write_bytes(pack(legacy_parts(LAYERS, parent=parent)))
    with open_image(tmp_path / "old.tar", tag="demo:1") as source:
        [image] = source.images
        assert len(image.layers) == 1
        assert bool(source.anomalies) == (parent != 7)
        assert len(read_layers(source, image)) == 1


def test_layers_that_images_share_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = OciLayout()
    layout.add_image([BASE, TOP])
    layout.add_image([BASE, make_tar({"other": b"x", ".wh.secret": b""})])
    path = tmp_path / "oci.tar"
    path.write_bytes(pack(layout.finish()))
    opened: list[str] = []
    open_layer = ImageSource.open_layer

    def note(source: ImageSource, layer: Layer) -> Any:
        opened.append(layer.blob)
        return open_layer(source, layer)

    monkeypatch.setattr(ImageSource, "open_layer", note)
    with open_image(path) as source:
        first, second = [tree for _, tree in read_trees(source)]
        assert len(opened) == len(set(opened)) == 3
        assert [list(first.entries()), list(second.entries())] == [
            list(read_tree(source, image).entries()) for image in source.images
        ]
    assert [len(tree.recovered) for tree in (first, second)] == [1, 1]


def test_caps_are_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_limits({"IR_LIMIT_MAX_EXTRACT_BYTES": "2T", "OTHER": "x"}) == Limits(max_extract_bytes=2 << 40)
    with pytest.raises(UsageError, match="IR_LIMIT_FOO names no limit") as caught:
        read_limits({"IR_LIMIT_FOO": "1"})
    assert "IR_LIMIT_MAX_ENTRIES, " in caught.value.hint
    with pytest.raises(UsageError, match="IR_LIMIT_MAX_LAYERS is no number"):
        read_limits({"IR_LIMIT_MAX_LAYERS": "many"})
    path = tmp_path / "image.tar"
    path.write_bytes(pack(docker_parts(LAYERS)))
    monkeypatch.setenv("IR_LIMIT_MAX_LAYERS", "1")
    with open_image(path) as source:
        assert len(source.images[0].layers) == 1
        assert "too-many" in source.log.codes


def test_documents_planted_in_a_root_folder_do_not_make_it_an_image(tmp_path: Path) -> None:
    root = write_parts(tmp_path / "root", {"bin/sh": b"x", "etc/passwd": b"x", "usr/x": b"x", **oci_parts()})
    with open_image(root) as source:
        assert source.dialect == "directory"
        assert read_tree(source).get(b"etc/passwd") is not None
