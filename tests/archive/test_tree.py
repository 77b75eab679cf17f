"""Layers on each other where no kernel can be asked: implied folders, links to lower layers, marks of old engines."""

from __future__ import annotations

from pathlib import Path

import pytest
from assets.hostile import END, folder, header, member
from assets.images import docker_parts, pack, sha256

from forensics.archive.image import open_image
from forensics.archive.limits import Limits
from forensics.archive.tree import (
    Tree,
    iterate_layer_changes,
    merge,
    open_content,
    read_contents,
    read_layers,
)
from forensics.errors import ArchiveError
from forensics.model import ChangeKind, EntryType


@pytest.fixture(params=[100_000, 2], ids=["memory", "sqlite"])
def limits(request: pytest.FixtureRequest) -> Limits:
    return Limits(memory_entries=request.param)


def build(tmp_path: Path, limits: Limits, *layers: bytes) -> Tree:
    path = tmp_path / "image.tar"
    path.write_bytes(pack(docker_parts([layer + END for layer in layers])))
    with open_image(path, limits=limits) as source:
        tree = merge(read_layers(source), limits)
        assert source.anomalies == ()
    return tree


def paths(tree: Tree) -> list[bytes]:
    return [entry.path for entry in tree.entries()]


def test_a_folder_that_is_only_implied_keeps_the_lower_one(tmp_path: Path, limits: Limits) -> None:
    tree = build(tmp_path, limits, header(b"d/", kind=b"5", mode=b"0000700\0", uid=b"0000007\0"), member(b"d/e/x"))
    assert paths(tree) == [b"d", b"d/e", b"d/e/x"]
    lower, implied = tree.get(b"d"), tree.get(b"d/e")
    assert lower is not None
    assert (lower.mode, lower.uid, lower.layer) == (0o700, 7, 0)
    assert implied is not None
    assert (implied.mode, implied.uid, implied.layer) == (0o755, 0, 1)


def test_a_hard_link_to_a_lower_layer(tmp_path: Path, limits: Limits) -> None:
    tree = build(
        tmp_path,
        limits,
        member(b"a/file", b"content", mode=b"0004755\0") + member(b"gone", b"x"),
        header(b"link", kind=b"1", link=b"a/file"),
        header(b"again", kind=b"1", link=b"link"),
    )
    for path in (b"link", b"again"):
        entry = tree.get(path)
        assert entry is not None
        assert (entry.type, entry.mode, entry.sha256, entry.link_target) == (
            EntryType.FILE,
            0o4755,
            sha256(b"content"),
            None,
        )
    assert tree.anomalies == ()


def test_a_hard_link_to_what_a_layer_between_deleted_leads_nowhere(tmp_path: Path, limits: Limits) -> None:
    tree = build(tmp_path, limits, member(b"a/x", b"1"), member(b".wh.a"), header(b"l", kind=b"1", link=b"a/x"))
    assert paths(tree) == []
    [anomaly] = tree.anomalies
    assert (anomaly.code, anomaly.path, anomaly.layer) == ("dangling-hard-link", b"l", 2)


def test_an_opaque_root_hides_everything_below(tmp_path: Path, limits: Limits) -> None:
    tree = build(
        tmp_path, limits, member(b"a/x", b"1") + member(b"b", b"2"), member(b".wh..wh..opq") + member(b"c", b"3")
    )
    assert paths(tree) == [b"", b"c"]
    assert [(item.entry.path, item.deleted_in_layer) for item in tree.recovered] == [(b"a/x", 1), (b"b", 1)]


def test_a_whiteout_and_the_same_name_again_in_one_layer(tmp_path: Path, limits: Limits) -> None:
    """Whiteouts speak of lower layers only (OCI layer.md), so the new folder is empty of the old content."""
    tree = build(tmp_path, limits, member(b"d/old", b"1"), folder(b"d/") + member(b"d/new", b"2") + member(b".wh.d"))
    assert paths(tree) == [b"d", b"d/new"]
    assert [item.entry.path for item in tree.recovered] == [b"d/old"]


def test_deleted_twice_is_recovered_twice(tmp_path: Path, limits: Limits) -> None:
    tree = build(tmp_path, limits, member(b"x", b"1"), member(b".wh.x"), member(b"x", b"2"), member(b".wh.x"))
    assert [
        (item.entry.sha256, item.entry.layer, item.deleted_in_layer, item.created_by) for item in tree.recovered
    ] == [
        (sha256(b"1"), 0, 1, "layer 0"),
        (sha256(b"2"), 2, 3, "layer 2"),
    ]


def test_aufs_marks_are_hidden_and_their_links_resolved(tmp_path: Path, limits: Limits) -> None:
    tree = build(
        tmp_path,
        limits,
        folder(b".wh..wh.plnk/")
        + member(b".wh..wh.plnk/12.34", b"inode")
        + header(b"file", kind=b"1", link=b".wh..wh.plnk/12.34"),
    )
    assert paths(tree) == [b"file"]
    entry = tree.get(b"file")
    assert entry is not None
    assert entry.sha256 == sha256(b"inode")


def test_changes_of_each_layer(tmp_path: Path, limits: Limits) -> None:
    path = tmp_path / "image.tar"
    layers = [
        folder(b"d/") + member(b"d/x", b"1") + member(b"y", b"1"),
        member(b"d/.wh.x") + member(b"y", b"1") + member(b"z"),
    ]
    path.write_bytes(pack(docker_parts([layer + END for layer in layers])))
    with open_image(path, limits=limits) as source:
        found = [(layer, change.kind, change.path) for layer, change in iterate_layer_changes(read_layers(source))]
    assert found == [
        (0, ChangeKind.ADDED, b"d"),
        (0, ChangeKind.ADDED, b"d/x"),
        (1, ChangeKind.DELETED, b"d/x"),
        (0, ChangeKind.ADDED, b"y"),
        (1, ChangeKind.ADDED, b"z"),
    ]


def test_content_is_read_again_by_digest(tmp_path: Path) -> None:
    path = tmp_path / "image.tar"
    path.write_bytes(pack(docker_parts([member(b"x", b"one") + member(b"y", b"two") + END, member(b".wh.x") + END])))
    with open_image(path) as source:
        [image] = source.images
        tree = merge(read_layers(source))
        [recovered] = tree.recovered
        assert open_content(source, image, recovered.entry).read() == b"one"
        entry = tree.get(b"y")
        assert entry is not None
        assert read_contents(source, image, [entry, recovered.entry], 100) == {
            sha256(b"one"): b"one",
            sha256(b"two"): b"two",
        }
        folder_entry = tree.get(b"")
        assert folder_entry is None
        with pytest.raises(ArchiveError, match="the content of x is not in layer 1"):
            open_content(
                source, image, recovered.entry.__class__(b"x", EntryType.FILE, 0, 0, 0, 3, 0, layer=1, sha256="0" * 64)
            )


def test_a_case_folder_of_an_engines_save(tmp_path: Path) -> None:
    """What `Case.add_image` stores is opened like any other layout."""
    from forensics.evidence.case import Case
    from forensics.evidence.custody import Actor
    from forensics.model import Subject

    raw = pack(docker_parts([member(b"x", b"one") + END, member(b".wh.x") + END]))
    actor = Actor(name="t", title="", org="", contact="", os_uid=0, key_fpr=None)
    with Case.create(tmp_path / "case", subject=Subject("container", "web"), actor=actor) as case:
        item = case.add_image(iter([raw]), source="test", method="save")
        with open_image(case.path_of(item)) as source:
            tree = merge(read_layers(source))
            assert source.anomalies == ()
            assert [layer.created_by for layer in source.images[0].layers] == ["layer 0", "layer 1"]
    assert [item.entry.path for item in tree.recovered] == [b"x"]
