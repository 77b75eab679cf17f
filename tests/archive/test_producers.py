"""Images that real tools wrote: skopeo in every form it knows, podman where it is installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from assets.hostile import END, header, member
from assets.hostile import folder as make_folder
from assets.images import docker_parts, pack, sha256

from forensics.archive.image import open_image
from forensics.archive.tree import Tree, compare, read_tree, read_trees

LAYERS = [
    make_folder(b"etc/")
    + member(b"etc/passwd", b"root:x:0:0\n")
    + member(b"secret", b"s")
    + member(b"old/x", b"x")
    + END,
    member(b".wh.secret")
    + header(b"link", kind=b"2", link=b"/etc")
    + member(b"bin/su", b"su", mode=b"0004755\0")
    + END,
]
OTHER = [LAYERS[0], member(b"old/.wh..wh..opq") + END]
FORMS = {
    "oci": [],
    "oci gzip": ["--dest-compress"],
    "oci zstd": ["--dest-compress", "--dest-compress-format", "zstd"],
    "oci zstd:chunked": ["--dest-compress", "--dest-compress-format", "zstd:chunked"],
    "oci-archive": [],
    "oci-archive zstd": ["--dest-compress", "--dest-compress-format", "zstd"],
    "docker-archive": [],
    "dir": [],
    "dir gzip": ["--dest-compress"],
}
DIALECTS = {"oci": "oci-layout", "oci-archive": "oci-layout", "docker-archive": "docker-archive", "dir": "flat-layout"}
ZSTD, GZIP = b"\x28\xb5\x2f\xfd", b"\x1f\x8b\x08"


def run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def read(path: Path, dialect: str) -> tuple[Tree, str]:
    with open_image(path) as source:
        assert source.dialect == dialect
        tree = read_tree(source)
        assert source.anomalies == ()
        return tree, source.images[0].id


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "image.tar"
    path.write_bytes(pack(docker_parts(LAYERS)))
    return path


@pytest.mark.parametrize("form", FORMS)
def test_what_skopeo_writes(tmp_path: Path, archive: Path, form: str) -> None:
    if not shutil.which("skopeo"):
        assert not os.environ.get("CI"), "lab/packages.sh installs skopeo"
        pytest.skip("skopeo is not installed")
    transport = form.split(maxsplit=1)[0]
    target = f"{transport}:{tmp_path}/out" + ("" if transport == "dir" else ":localhost/demo:1")
    run("skopeo", "copy", "-q", "--insecure-policy", *FORMS[form], f"docker-archive:{archive}", target)
    expected, image_id = read(archive, "docker-archive")
    tree, found_id = read(tmp_path / "out", DIALECTS[transport])
    told = json.loads(run("skopeo", "inspect", "--config", "--raw", target))
    assert (
        [layer.diff_id for layer in tree.layers]
        == told["rootfs"]["diff_ids"]
        == [f"sha256:{sha256(x)}" for x in LAYERS]
    )
    assert (compare(expected, tree), [item.entry.path for item in tree.recovered]) == ((), [b"secret"])
    assert found_id == image_id or transport.startswith("oci"), "conversion to OCI writes a new configuration"
    written = [path.read_bytes()[:4] for path in (tmp_path / "out").rglob("*") if path.is_file()]
    for word, magic in (("zstd", ZSTD), ("gzip", GZIP)):
        if word in form and written:
            assert sum(head.startswith(magic) for head in written) == len(LAYERS)


@pytest.fixture(scope="module")
def podman() -> Iterator[tuple[str, ...]]:
    """Podman with a store of its own (it wants a short path) and two images that share a layer; no service runs."""
    if not shutil.which("podman") or os.geteuid() != 0:
        pytest.skip("podman is not installed, or this is not root")
    with tempfile.TemporaryDirectory(prefix="ir-podman-") as folder:
        yield from fill_store(Path(folder))


def fill_store(place: Path) -> Iterator[tuple[str, ...]]:
    command = ("podman", "--root", f"{place}/root", "--runroot", f"{place}/run", "--storage-driver", "vfs")
    for number, layers in enumerate((LAYERS, OTHER), 1):
        (place / "image.tar").write_bytes(pack(docker_parts(layers, [f"localhost/demo:{number}"])))
        run(*command, "load", "-q", "-i", place / "image.tar")
    yield command
    run(*command, "rmi", "--all", "--force")


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive", "oci-dir", "docker-dir"])
def test_what_podman_saves(tmp_path: Path, archive: Path, podman: tuple[str, ...], form: str) -> None:
    run(*podman, "save", "-q", "--format", form, "-o", tmp_path / "out", "localhost/demo:1")
    dialect = {"docker-archive": form, "docker-dir": "flat-layout"}.get(form, "oci-layout")
    tree, image_id = read(tmp_path / "out", dialect)
    [told] = json.loads(run(*podman, "image", "inspect", "localhost/demo:1"))
    assert [layer.diff_id for layer in tree.layers] == told["RootFS"]["Layers"]
    assert image_id == f"sha256:{told['Id']}" or "oci" in form
    assert compare(read(archive, "docker-archive")[0], tree) == ()


def test_what_podman_saves_of_several_images(tmp_path: Path, podman: tuple[str, ...]) -> None:
    run(*podman, "tag", "localhost/demo:1", "localhost/again:x")
    path = tmp_path / "several.tar"
    run(*podman, "save", "-q", "-m", "-o", path, "localhost/demo:1", "localhost/demo:2", "localhost/again:x")
    with open_image(path) as source:
        found = {image.tags: [layer.diff_id for layer in tree.layers] for image, tree in read_trees(source)}
        assert source.anomalies == ()
    assert found == {
        ("localhost/demo:1", "localhost/again:x"): [f"sha256:{sha256(x)}" for x in LAYERS],
        ("localhost/demo:2",): [f"sha256:{sha256(x)}" for x in OTHER],
    }
