"""A blob of another case: a file of its own in the new one, hashed again, and never believed."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from evidence_cases import ACTOR, SUBJECT, make_case

from forensics.errors import CaseError
from forensics.evidence import files
from forensics.evidence.case import Case
from forensics.evidence.clone import clone_file, find_blobs
from forensics.evidence.image_parts import ImageParts, LayerPart
from forensics.evidence.snapshot import BlobStore
from forensics.evidence.verify import check_case

LAYER = b"layer"
DIGEST = hashlib.sha256(LAYER).hexdigest()


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """The layer in a case beside the new one."""
    root = make_case(tmp_path / "other").root
    return root / f"data/E0003-image/blobs/sha256/{DIGEST}"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[BlobStore]:
    folder = tmp_path / "new/data/E0001-image"
    folder.mkdir(parents=True)
    made = BlobStore(files.open_directory(folder))
    yield made
    made.close()


@pytest.mark.parametrize("place", [None, "/dev/shm"])
def test_a_file_is_cloned_on_the_same_disk_and_from_another(tmp_path: Path, place: str | None) -> None:
    content = os.urandom(3 << 20)
    with tempfile.NamedTemporaryFile(dir=place) as source, (tmp_path / "target").open("wb") as target:
        source.write(content)
        source.flush()
        clone_file(Path(source.name), target.fileno())
        assert Path(target.name).read_bytes() == content


def test_a_known_blob_becomes_a_file_of_its_own(other: Path, store: BlobStore, tmp_path: Path) -> None:
    assert list(find_blobs(tmp_path / "new", DIGEST)) == [other]
    blob = store.clone(other, DIGEST)
    assert blob is not None
    assert (blob.sha256, blob.size_bytes, blob.head) == (DIGEST, len(LAYER), LAYER[:4])
    copied = tmp_path / "new/data/E0001-image" / blob.path
    assert copied.read_bytes() == LAYER
    assert copied.stat().st_nlink == other.stat().st_nlink == 1
    assert copied.stat().st_ino != other.stat().st_ino
    assert copied.stat().st_mode & 0o777 == 0o600
    assert store.digests[blob.path].sha256 == DIGEST
    assert list(find_blobs(tmp_path / "other", DIGEST)) == [copied], "a case does not find its own"


def test_a_blob_that_is_not_what_its_name_says_is_left_where_it_is(other: Path, store: BlobStore) -> None:
    other.write_bytes(b"forged")
    assert store.clone(other, DIGEST) is None
    assert store.digests == {}
    assert not list((other.parents[5] / "new").rglob("*.partial"))
    assert not list((other.parents[5] / "new").rglob(DIGEST))


def test_a_link_is_no_blob(other: Path, store: BlobStore, tmp_path: Path) -> None:
    other.rename(tmp_path / "moved")
    other.symlink_to(tmp_path / "moved")
    assert list(find_blobs(tmp_path / "new", DIGEST)) == []
    with pytest.raises(CaseError, match="is a link"):
        store.clone(other, DIGEST)
    assert not list((tmp_path / "new").rglob("*.partial"))


def parts(*layers: tuple[bytes, list[bytes]]) -> ImageParts:
    return ImageParts(
        b'{"rootfs":{}}', [LayerPart(hashlib.sha256(content).hexdigest(), chunks) for content, chunks in layers]
    )


def test_a_layer_of_another_case_is_not_read_again(tmp_path: Path) -> None:
    """Two layers: one that a case beside this one holds, which the source then need not give, and a new one."""
    root = make_case(tmp_path / "other").root
    with Case.create(tmp_path / "new", subject=SUBJECT, actor=ACTOR) as case:
        item = case.add_image_parts(parts((LAYER, []), (b"new", [b"n", b"ew"])), source="disk", method="test")
    assert item.attributes["cloned_layers"] == [DIGEST]
    blobs = case.path_of(item) / "blobs/sha256"
    assert (blobs / DIGEST).read_bytes() == LAYER
    check_case(case.root).raise_problems()
    (root / f"data/E0003-image/blobs/sha256/{DIGEST}").write_bytes(b"changed later")
    check_case(case.root).raise_problems()


def test_a_forged_layer_beside_a_case_is_read_from_the_source(tmp_path: Path) -> None:
    (make_case(tmp_path / "other").root / f"data/E0003-image/blobs/sha256/{DIGEST}").write_bytes(b"forged")
    with Case.create(tmp_path / "new", subject=SUBJECT, actor=ACTOR) as case:
        item = case.add_image_parts(parts((LAYER, [LAYER])), source="disk", method="test")
    assert item.attributes["cloned_layers"] == []
    assert (case.path_of(item) / f"blobs/sha256/{DIGEST}").read_bytes() == LAYER
    check_case(case.root).raise_problems()
