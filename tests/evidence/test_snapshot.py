"""The snapshot: an engine's stream becomes a loadable OCI layout, and nothing of it is lost."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from forensics.archive.image import open_image
from forensics.errors import ArchiveError
from forensics.evidence.case import Case
from forensics.evidence.custody import Actor
from forensics.evidence.listing import hash_folder
from forensics.evidence.snapshot import read_stream
from forensics.evidence.verify import check_case
from forensics.model import EvidenceItem, Outcome, Subject

if TYPE_CHECKING:
    import docker

LAYER = b"layer one " * 2000
OTHER = b"layer two " * 100
TAG = "evidence-test-snapshot:1"


@dataclass(frozen=True)
class Snapshot:
    """A container's snapshot as it lies in a case."""

    folder: Path
    image_id: str


@pytest.fixture(scope="module")
def client(docker_host: str) -> Iterator[docker.APIClient]:
    import docker

    connected = docker.APIClient(base_url=docker_host, version="auto", timeout=60)
    yield connected
    connected.close()


@pytest.fixture(scope="module")
def snapshot(client: docker.APIClient, base_image: str, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """A real engine's snapshot of a changed container, stored in a case; the engine no longer has it."""
    container = client.create_container(base_image, ["sh", "-c", "echo planted > /etc/planted; touch /gone"])
    client.start(container)
    client.wait(container)
    repository, tag = TAG.split(":")
    image_id = client.commit(container, repository=repository, tag=tag)["Id"]
    client.remove_container(container)
    root = tmp_path_factory.mktemp("snapshot") / "case"
    with Case.create(root, subject=Subject("container", "web"), actor=Actor("Ana")) as case:
        item = case.add_image(client.get_image(TAG), source="engine", method="save")
    client.remove_image(TAG)
    assert item.attributes["image_ids"] == [image_id]
    return Snapshot(case.path_of(item), image_id)


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    with Case.create(tmp_path / "case", subject=Subject("container", "web"), actor=Actor("Ana")) as made:
        yield made


def make_stream(members: list[tuple[str, bytes | str]]) -> bytes:
    """Make a tar of files (bytes) and links (str), as an engine does."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
                tar.addfile(member)
            else:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def legacy_stream() -> bytes:
    """A stream as Docker 20.10 writes it: folders of layers, one of them a link to another."""
    config = b'{"rootfs":{"type":"layers"}}'
    name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = [{"Config": name, "RepoTags": ["shop:1"], "Layers": ["aa/layer.tar", "bb/layer.tar", "cc/layer.tar"]}]
    return make_stream(
        [
            ("aa/VERSION", b"1.0"),
            ("aa/json", b"{}"),
            ("aa/layer.tar", LAYER),
            ("bb/layer.tar", OTHER),
            ("cc/layer.tar", "../aa/layer.tar"),
            (name, config),
            ("manifest.json", json.dumps(manifest).encode()),
            ("repositories", b"{}"),
            ("empty", b""),
        ]
    )


def chunked(stream: bytes, size: int = 777) -> Iterator[bytes]:
    return (stream[start : start + size] for start in range(0, len(stream), size))


def assert_layout_is_whole(case: Case, item: EvidenceItem, stream: bytes) -> None:
    folder = case.path_of(item)
    for blob in (folder / "blobs/sha256").iterdir():
        assert blob.name == hashlib.sha256(blob.read_bytes()).hexdigest()
    assert b"".join(read_stream(folder)) == stream
    assert item.attributes["stream_sha256"] == hashlib.sha256(stream).hexdigest()
    assert item.attributes["stream_size_bytes"] == len(stream)
    listing = Path(f"{folder}.sha256").read_bytes()
    assert item.sha256 == hashlib.sha256(listing).hexdigest()
    check_case(case.root).raise_problems()


@pytest.mark.parametrize("size", [1, 511, 512, 4096, 10**7])
def test_every_byte_of_the_stream_can_be_had_again(case: Case, size: int) -> None:
    stream = legacy_stream() + b"\0" * 5120
    item = case.add_image(chunked(stream, size), source="engine", method="save")
    assert_layout_is_whole(case, item, stream)
    assert item.attributes["tags"] == ["shop:1"]


def test_the_layout_names_layers_by_the_digest_of_the_stored_tar(case: Case) -> None:
    item = case.add_image(chunked(legacy_stream()), source="engine", method="save")
    folder = case.path_of(item)
    digests = [hashlib.sha256(layer).hexdigest() for layer in (LAYER, OTHER, LAYER)]
    (entry,) = json.loads((folder / "manifest.json").read_bytes())
    assert entry["Layers"] == [f"blobs/sha256/{digest}" for digest in digests]
    index = json.loads((folder / "index.json").read_bytes())
    (descriptor,) = index["manifests"]
    manifest = json.loads((folder / "blobs/sha256" / descriptor["digest"].removeprefix("sha256:")).read_bytes())
    assert [layer["digest"] for layer in manifest["layers"]] == [f"sha256:{digest}" for digest in digests]
    assert [layer["size"] for layer in manifest["layers"]] == [len(LAYER), len(OTHER), len(LAYER)]
    assert item.attributes["image_ids"] == [manifest["config"]["digest"]]
    assert json.loads((folder / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}


def test_a_stream_that_is_an_oci_layout_keeps_its_own_index(case: Case) -> None:
    config, index = b"{}", b'{"schemaVersion":2,"manifests":[]}  \n'
    blob = "blobs/sha256/" + hashlib.sha256(config).hexdigest()
    stream = make_stream(
        [
            (blob, config),
            ("index.json", index),
            ("oci-layout", b'{"imageLayoutVersion":"1.0.0"}\n'),
            ("manifest.json", json.dumps([{"Config": blob, "RepoTags": None, "Layers": []}]).encode()),
        ]
    )
    item = case.add_image(chunked(stream), source="engine", method="save")
    assert (case.path_of(item) / "index.json").read_bytes() == index
    assert_layout_is_whole(case, item, stream)


@pytest.mark.parametrize("kept", [100, 3000, 25000])
def test_a_stream_that_ends_early_leaves_a_failed_item_with_what_came(case: Case, kept: int) -> None:
    stream = legacy_stream()[:kept]
    with pytest.raises(ArchiveError, match="ended early"):
        case.add_image(chunked(stream), source="engine", method="save")
    (item,) = case.items()
    assert item.outcome is Outcome.FAILED
    assert "ended early" in item.reason
    assert b"".join(read_stream(case.path_of(item))) == stream
    check_case(case.root).raise_problems()


def test_an_engine_that_dies_leaves_a_failed_item_that_verifies(case: Case) -> None:
    def dying() -> Iterator[bytes]:
        yield legacy_stream()[:9000]
        raise ConnectionResetError("connection reset by peer")

    with pytest.raises(ConnectionResetError):
        case.add_image(dying(), source="engine", method="save")
    (item,) = case.items()
    assert (item.outcome, item.reason) == (Outcome.FAILED, "connection reset by peer")
    assert [path.name for path in (case.path_of(item) / "blobs/sha256").iterdir() if "incomplete" in path.name]
    check_case(case.root).raise_problems()


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ([("manifest.json", b"[{")], "unreadable manifest"),
        ([("manifest.json", b"[]")], "names no image"),
        ([("manifest.json", b'[{"Config":"c","Layers":["gone/layer.tar"]}]'), ("c", b"{}")], "does not hold"),
        ([("a", "b"), ("b", "a"), ("manifest.json", b'[{"Config":"a","Layers":[]}]')], "does not hold"),
        ([("manifest.json", b'[{"Config":"../../etc/passwd","Layers":[]}]')], "does not hold"),
        ([("readme", b"hello")], "does not hold"),
    ],
)
def test_a_stream_that_is_no_image_is_kept_and_named(
    case: Case, members: list[tuple[str, bytes | str]], problem: str
) -> None:
    stream = make_stream(members)
    with pytest.raises(ArchiveError, match=problem):
        case.add_image(chunked(stream), source="engine", method="save")
    (item,) = case.items()
    assert item.outcome is Outcome.FAILED
    assert b"".join(read_stream(case.path_of(item))) == stream


@pytest.mark.docker
def test_the_layout_loads_into_the_engine_as_the_same_image(
    snapshot: Snapshot, client: docker.APIClient, tmp_path: Path
) -> None:
    with pack(snapshot.folder, tmp_path / "load.tar").open("rb") as file:
        list(client.load_image(file))
    assert client.inspect_image(TAG)["Id"] == snapshot.image_id
    client.remove_image(TAG)


def pack(folder: Path, target: Path) -> Path:
    """What `tar -C FOLDER -c .` makes: `docker load` and `podman load` want a file."""
    with tarfile.open(target, "w") as tar:
        tar.add(folder, arcname=".")
    return target


def run_tool(*command: str | Path) -> bytes:
    """Run a tool of others; in CI it must be there."""
    if not shutil.which(str(command[0])):
        reason = f"{command[0]} is not installed (lab/packages.sh test installs it)"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    done = subprocess.run([str(part) for part in command], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.docker
def test_skopeo_opens_the_layout_unchanged(snapshot: Snapshot, tmp_path: Path) -> None:
    before = hash_folder(snapshot.folder)
    config = json.loads(run_tool("skopeo", "inspect", "--config", "--raw", f"oci:{snapshot.folder}"))
    raw = (snapshot.folder / "blobs/sha256" / snapshot.image_id.removeprefix("sha256:")).read_bytes()
    assert config == json.loads(raw)
    described = json.loads(run_tool("skopeo", "inspect", f"oci:{snapshot.folder}"))
    assert len(described["Layers"]) == len(config["rootfs"]["diff_ids"])
    policy = ["--insecure-policy", "copy", "--quiet", f"oci:{snapshot.folder}"]
    run_tool("skopeo", *policy, f"docker-archive:{tmp_path / 'copy.tar'}:{TAG}")
    with open_image(tmp_path / "copy.tar") as copied:
        layers = [layer.diff_id for layer in copied.images[0].layers]
    assert [str(layer) for layer in layers] == config["rootfs"]["diff_ids"]
    assert hash_folder(snapshot.folder) == before


@pytest.mark.docker
def test_podman_loads_the_layout_unchanged(snapshot: Snapshot, tmp_path: Path) -> None:
    if not shutil.which("podman"):
        pytest.skip("podman is not installed")
    with tempfile.TemporaryDirectory(prefix="ir-") as place:  # podman wants a path of less than 50 characters
        podman = ["podman", f"--root={place}/storage", f"--runroot={place}/run", "--storage-driver=vfs"]
        Path(place, "image").symlink_to(snapshot.folder)  # it makes a name of the path, and wants it in lower case
        for source in (pack(snapshot.folder, tmp_path / "load.tar"), Path(place, "image")):
            name = run_tool(*podman, "load", "--quiet", "-i", source).decode().strip().rpartition(" ")[2]
            identity = run_tool(*podman, "image", "inspect", "--format", "{{.Id}}", name).decode().strip()
            assert f"sha256:{identity}" == snapshot.image_id
            run_tool(*podman, "rmi", "--all", "--force")
