"""Images and programs that are written byte by byte."""

import gzip
import hashlib
import io
import json
import os
import platform
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from forensics.drill.base import read_busybox
from forensics.drill.image import Recipe, RecipeFile, RecipeLayer, build_docker_archive, build_oci_archive, pack_gzip
from forensics.drill.stub import build_memory_stub, build_stub
from forensics.errors import UsageError

RECIPE = Recipe(
    "a:1",
    (
        RecipeLayer(
            "one", (RecipeFile("etc/a", b"a"), RecipeFile("bin/b", target="a"), RecipeFile("tmp", folder=True))
        ),
        RecipeLayer("two", (RecipeFile("etc/b", b"b", 0o4755, 3, 4),), removed=("etc/a",)),
    ),
    ("/bin/b",),
)


def read_tar(raw: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        return {member.name: member for member in tar}


def read_member(raw: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        file = tar.extractfile(name)
        assert file
        return file.read()


@pytest.mark.parametrize("build", [build_docker_archive, build_oci_archive])
def test_the_same_recipe_gives_the_same_bytes(build: Callable[[Recipe], bytes]) -> None:
    assert build(RECIPE) == build(RECIPE)


def test_docker_archive_names_layers_by_their_digest() -> None:
    raw = build_docker_archive(RECIPE)
    (entry,) = json.loads(read_member(raw, "manifest.json"))
    config = json.loads(read_member(raw, entry["Config"]))
    digests = [hashlib.sha256(read_member(raw, name)).hexdigest() for name in entry["Layers"]]
    assert [f"sha256:{digest}" for digest in digests] == config["rootfs"]["diff_ids"]
    assert [line["created_by"] for line in config["history"]] == ["one", "two"]
    upper = read_tar(read_member(raw, entry["Layers"][1]))
    assert sorted(upper) == ["etc", "etc/.wh.a", "etc/b"]
    assert (upper["etc/b"].mode, upper["etc/b"].uid, upper["etc/b"].gid) == (0o4755, 3, 4)


def test_oci_archive_holds_every_blob_under_its_digest() -> None:
    raw = build_oci_archive(RECIPE)
    blobs = [name for name, member in read_tar(raw).items() if name.startswith("blobs/sha256/") and member.isreg()]
    assert len(blobs) == 4
    assert all(name.endswith(hashlib.sha256(read_member(raw, name)).hexdigest()) for name in blobs)


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 200_000])
def test_stored_gzip_is_gzip(size: int) -> None:
    content = os.urandom(size)
    assert gzip.decompress(pack_gzip(content)) == content


@pytest.mark.skipif(platform.machine() not in {"x86_64", "aarch64"}, reason="no stand-in program for this machine")
@pytest.mark.parametrize(("build", "exe"), [(build_stub, "stub"), (build_memory_stub, "memfd: (deleted)")])
def test_stand_ins_wait_and_do_nothing(build: Callable[[str], bytes], exe: str, tmp_path: Path) -> None:
    if build is build_memory_stub and platform.machine() != "x86_64":
        pytest.skip("the program that lives in memory exists for x86_64 only")
    program = tmp_path / "stub"
    program.write_bytes(build("a text"))
    program.chmod(0o755)
    with subprocess.Popen([program, "--option"], env={"A": "b"}) as process:
        time.sleep(0.2)
        assert process.poll() is None
        assert Path(f"/proc/{process.pid}/exe").readlink().name.endswith(exe)
        assert Path(f"/proc/{process.pid}/cmdline").read_bytes().endswith(b"\x00--option\x00")
        assert len(list(Path(f"/proc/{process.pid}/fd").iterdir())) <= 4
        process.send_signal(signal.SIGKILL)


def test_an_unknown_machine_is_said() -> None:
    with pytest.raises(UsageError, match="drills know no stand-in program for vax"):
        build_stub(machine="vax")


def test_no_busybox_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError) as caught:
        read_busybox()
    assert caught.value.message == "drills are built from a static busybox, and this host has none"
    assert "apt-get install busybox-static" in caught.value.hint


def test_a_dynamic_busybox_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "busybox").write_bytes(Path("/bin/ls").read_bytes())
    (tmp_path / "busybox").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="is not a static program"):
        read_busybox()
