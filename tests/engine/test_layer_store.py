"""Layers read straight from the engine's overlay2 store are the engine's own, bit for bit; a damaged store is named."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from forensics.engine import layer_store
from forensics.engine.base import Container
from forensics.engine.docker import DockerEngine
from forensics.engine.layer_store import LayerStoreError, StoredImage, StoredLayer, find_image, find_store, read_layer

pytestmark = pytest.mark.docker
REF = "ir-test-layer-store:1"
LONG = "deep/" * 60 + "name" * 50
CHANGE = (
    "busybox rm /etc/passwd; echo changed > /srv/plain; busybox ln /srv/plain /srv/second; busybox mknod /srv/pipe p"
)


def build_root(shell: bytes) -> bytes:
    """Return a root file system with what tars can hold: links, attributes, odd names, holes, a member given twice."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT, errors="surrogateescape") as tar:
        for name, kind, content, target in (
            ("bin", tarfile.DIRTYPE, b"", ""),
            ("bin/busybox", tarfile.REGTYPE, shell, ""),
            ("bin/sh", tarfile.SYMTYPE, b"", "busybox"),
            ("usr", tarfile.DIRTYPE, b"", ""),
            ("usr/lib", tarfile.DIRTYPE, b"", ""),
            ("lib", tarfile.SYMTYPE, b"", "usr/lib"),
            ("lib/through-a-link", tarfile.REGTYPE, b"inside", ""),
            ("etc/passwd", tarfile.REGTYPE, b"root:x:0:0::/:/bin/sh\n", ""),
            ("srv/plain", tarfile.REGTYPE, b"plain", ""),
            ("srv/hard", tarfile.LNKTYPE, b"", "srv/plain"),
            ("srv/\udcff\udcfe", tarfile.REGTYPE, b"no UTF-8", ""),
            ("srv/a\nb", tarfile.REGTYPE, b"newline", ""),
            ("srv/zeros", tarfile.REGTYPE, bytes(3 << 20), ""),
            (LONG, tarfile.REGTYPE, b"long", ""),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.size, member.linkname, member.mode = kind, len(content), target, 0o755
            member.pax_headers = {"SCHILY.xattr.user.note": "attribute"} if name == "srv/plain" else {}
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture(scope="module")
def store(engine: DockerEngine) -> Path:
    found = find_store(engine.info())
    if found is None:
        pytest.skip(f"the engine's storage driver is {engine.info().storage_driver}, not overlay2")
    return found


@pytest.fixture(scope="module")
def image(engine: DockerEngine, store: Path) -> Iterator[StoredImage]:
    engine.import_image([build_root(Path("/bin/busybox").read_bytes())], REF)
    dockerfile = f"FROM {REF}\nRUN {CHANGE}\nRUN busybox rm /srv/zeros\n".encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo("Dockerfile")
        member.size = len(dockerfile)
        tar.addfile(member, io.BytesIO(dockerfile))
    image_id = engine.build_image([buffer.getvalue()], f"{REF}-built")
    yield find_image(store, image_id)
    for ref in (f"{REF}-built", REF):
        engine.remove_image(ref)


def read_saved_layers(engine: DockerEngine, image_id: str) -> dict[str, bytes]:
    """Return the layers of the engine's own `save`, by digest."""
    saved = io.BytesIO(b"".join(engine.save(f"sha256:{image_id}")))
    with tarfile.open(fileobj=saved) as tar:
        contents = [file.read() for member in tar if (file := tar.extractfile(member))]
    return {hashlib.sha256(content).hexdigest(): content for content in contents}


def copy_layer(layer: StoredLayer, folder: Path) -> StoredLayer:
    """Return a copy of a layer's files and records that a test may damage."""
    shutil.copytree(layer.files, folder / "diff", symlinks=True)
    shutil.copy(layer.records, folder / "records.gz")
    return replace(layer, files=folder / "diff", records=folder / "records.gz")


def test_every_layer_is_the_engines_own_bit_for_bit(engine: DockerEngine, image: StoredImage) -> None:
    saved = read_saved_layers(engine, image.id)

    assert len(image.layers) == 3
    assert hashlib.sha256(image.config).hexdigest() == image.id
    for layer in image.layers:
        assert b"".join(read_layer(layer)) == saved[layer.diff_id]


def test_a_committed_container_is_read_like_an_image(
    engine: DockerEngine, store: Path, run_container: Callable[..., Container]
) -> None:
    container = run_container("sh", "-c", "echo evidence > /root/new; rm /etc/passwd; sleep 300")
    image_id = engine.commit(container, pause=True, ref=f"{REF}-commit")
    try:
        layer = find_image(store, image_id).layers[-1]
        content = b"".join(read_layer(layer))
    finally:
        engine.remove_image(f"{REF}-commit")

    assert hashlib.sha256(content).hexdigest() == layer.diff_id
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        assert {"root/new", "etc/.wh.passwd"} <= set(tar.getnames())


@pytest.mark.parametrize("replacement", ["fifo", "device", "link", "shorter", "longer", "gone", "folder"])
def test_a_file_that_is_not_what_its_record_says_is_never_opened(
    image: StoredImage, tmp_path: Path, replacement: str
) -> None:
    layer = copy_layer(image.layers[0], tmp_path)
    victim = layer.files / "etc/passwd"
    victim.unlink()
    if replacement == "fifo":
        os.mkfifo(victim)
    elif replacement == "device":
        os.mknod(victim, 0o20600, os.makedev(1, 5))
    elif replacement == "link":
        victim.symlink_to("/etc/passwd")
    elif replacement == "folder":
        victim.mkdir()
    elif replacement != "gone":
        victim.write_bytes(b"x" * (4 if replacement == "shorter" else 4000))

    with pytest.raises(LayerStoreError, match="cannot be read"):
        list(read_layer(layer))


def test_a_folder_replaced_by_a_link_does_not_lead_out_of_the_layer(image: StoredImage, tmp_path: Path) -> None:
    layer = copy_layer(image.layers[0], tmp_path)
    outside = tmp_path / "outside"
    shutil.move(layer.files / "etc", outside)
    (layer.files / "etc").symlink_to(outside)

    with pytest.raises(LayerStoreError, match="No such file"):
        list(read_layer(layer))


def test_changed_content_gives_another_digest(image: StoredImage, tmp_path: Path) -> None:
    layer = copy_layer(image.layers[0], tmp_path)
    victim = layer.files / "etc/passwd"
    victim.write_bytes(bytes(reversed(victim.read_bytes())))

    assert hashlib.sha256(b"".join(read_layer(layer))).hexdigest() != layer.diff_id


@pytest.mark.parametrize("damage", [b"", b"not gzip", None])
def test_damaged_records_are_one_sentence(image: StoredImage, tmp_path: Path, damage: bytes | None) -> None:
    layer = copy_layer(image.layers[0], tmp_path)
    layer.records.write_bytes(layer.records.read_bytes()[:-40] if damage is None else damage)

    if damage == b"":
        assert not b"".join(read_layer(layer))
        return
    with pytest.raises(LayerStoreError, match="cannot be read"):
        list(read_layer(layer))


@pytest.mark.parametrize("image_id", ["sha256:" + "0" * 64, "../../../etc/passwd", "sha256:abc", ""])
def test_an_image_that_the_store_does_not_hold_is_one_sentence(store: Path, image_id: str) -> None:
    with pytest.raises(LayerStoreError):
        find_image(store, image_id)


def test_a_configuration_under_a_wrong_name_is_refused(image: StoredImage, tmp_path: Path) -> None:
    wrong = "1" * 64
    place = tmp_path / "image/overlay2/imagedb/content/sha256"
    place.mkdir(parents=True)
    (place / wrong).write_bytes(image.config)

    with pytest.raises(LayerStoreError, match="another configuration"):
        find_image(tmp_path, wrong)


def test_only_a_local_overlay2_engine_has_a_store_here(engine: DockerEngine, store: Path) -> None:
    info = engine.info()

    assert store == Path(info.root_dir)
    for other in (
        replace(info, is_local=False),
        replace(info, storage_driver="vfs"),
        replace(info, name="podman"),
        replace(info, root_dir="/nonexistent"),
    ):
        assert layer_store.find_store(other) is None
