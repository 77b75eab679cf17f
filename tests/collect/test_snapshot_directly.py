"""The snapshot is read from the engine's own store where that is right, and through the engine where it is not."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from forensics.archive.image import open_image
from forensics.collect import open_case_for
from forensics.collect.context import CollectContext, CollectOptions
from forensics.collect.snapshot import collect_snapshot
from forensics.engine.base import Container, EngineInfo
from forensics.engine.docker import DockerEngine
from forensics.engine.layer_store import find_image, find_store
from forensics.errors import ArchiveError
from forensics.evidence.case import Case
from forensics.evidence.custody import Actor
from forensics.evidence.image_parts import ImageParts, LayerPart
from forensics.evidence.verify import check_case
from forensics.model import LedgerLine, Outcome, Subject

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("own_folders")]
Make = Callable[..., Container]
CHANGE = "mkdir /srv; echo planted > /srv/planted; rm /etc/passwd; sleep 300"


@pytest.fixture
def changed(make_container: Make) -> Container:
    return make_container("sh", "-c", CHANGE)


@pytest.fixture(scope="module")
def info(engine: DockerEngine) -> EngineInfo:
    found = engine.info()
    if find_store(found) is None:
        pytest.skip(f"the engine's storage driver is {found.storage_driver}, not overlay2")
    return found


def take(engine: DockerEngine, container: Container, root: Path, info: EngineInfo) -> tuple[Case, list[LedgerLine]]:
    with open_case_for(container, root, info, engine.url, Actor("tester")) as case:
        context = CollectContext(case, engine, container, info, CollectOptions(), "")
        lines = list(collect_snapshot(context))
    return Case.open(root, read_only=True), lines


def read_layers(folder: Path) -> list[str]:
    with open_image(folder) as source:
        (image,) = source.images
        return [str(layer.diff_id) for layer in image.layers]


def test_layers_read_directly_load_as_the_image_that_the_engine_made(
    engine: DockerEngine, changed: Container, info: EngineInfo, tmp_path: Path
) -> None:
    case, (line,) = take(engine, changed, tmp_path / "case", info)
    (item,) = case.find("image")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(case.path_of(item), arcname=".")
    engine.load_image([packed.getvalue()])
    (image_id,) = item.attributes["image_ids"]
    try:
        loaded = engine.inspect_image(image_id)["RootFS"]["Layers"]
    finally:
        engine.remove_image(image_id)

    assert (line.outcome, line.reason) == (
        Outcome.COLLECTED,
        "taken while the container ran: files that were being written may be torn",
    )
    assert "overlay2" in item.method
    assert loaded == read_layers(case.path_of(item))
    assert loaded[:-1] == engine.inspect_image(changed.image_id)["RootFS"]["Layers"]
    check_case(case.root).raise_problems()


def damage(what: str, store: Path) -> None:
    if what == "records":
        for records in store.glob("image/overlay2/layerdb/sha256/*/tar-split.json.gz"):
            records.unlink()
    elif what == "folders":
        shutil.rmtree(store / "overlay2")
        (store / "overlay2").mkdir()
    else:
        (planted,) = store.glob("overlay2/*/diff/srv/planted")
        planted.write_bytes(bytes(reversed(planted.read_bytes())))


def copy_store(root: Path, target: Path, image_id: str) -> Path:
    """Return the engine's store with copies of an image's layers, which a test may damage."""
    (target / "image/overlay2").mkdir(parents=True)
    (target / "image/overlay2/imagedb").symlink_to(root / "image/overlay2/imagedb")
    shutil.copytree(root / "image/overlay2/layerdb", target / "image/overlay2/layerdb")
    for layer in find_image(root, image_id).layers:
        copied = target / layer.files.relative_to(root)
        copied.parent.mkdir(parents=True)
        subprocess.run(["cp", "-a", layer.files, copied], check=True)  # with the whiteouts, which are devices
    return target


@pytest.mark.parametrize(
    ("what", "why"), [("records", "No such file"), ("folders", "No such file"), ("content", "a layer's digest is")]
)
def test_a_store_that_is_not_as_expected_is_named_and_the_engine_asked(
    engine: DockerEngine, changed: Container, info: EngineInfo, tmp_path: Path, what: str, why: str
) -> None:
    engine.pause(changed)  # two commits of what stands still are the same layers, so the copy has those of the snapshot
    image_id = engine.commit(changed, pause=False, ref="ir-test-store:1")
    store = copy_store(Path(info.root_dir), tmp_path / "store", image_id)
    damage(what, store)

    case, (line, *_) = take(
        engine, engine.find_container(changed.id), tmp_path / "case", replace(info, root_dir=str(store))
    )
    item = case.find("image")[-1]
    engine.remove_image("ir-test-store:1")

    assert line.outcome is Outcome.COLLECTED
    assert line.reason.startswith("saved through the engine's API, because its own store did not serve: ")
    assert why in line.reason
    assert item.method.endswith("save")
    assert item.attributes["stream_sha256"]
    assert len(read_layers(case.path_of(item))) == 2
    check_case(case.root).raise_problems()


def acquire(case: Case, layers: Iterator[LayerPart]) -> None:
    case.add_image_parts(ImageParts(b'{"rootfs":{}}', layers), source="test", method="test")


def test_a_layer_with_another_digest_leaves_a_failed_item(tmp_path: Path) -> None:
    with Case.create(tmp_path / "case", subject=Subject("container", "test"), actor=Actor("tester")) as case:
        with pytest.raises(ArchiveError, match="a layer's digest is"):
            acquire(case, iter([LayerPart("0" * 64, [b"content"])]))
        (item,) = case.find("image")

    assert item.outcome is Outcome.FAILED
    assert "its image says sha256:0000" in item.reason
    check_case(tmp_path / "case").raise_problems()
