"""Mounts that are not what their name says: another name for the host's own files, or a cover over the evidence."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from forensics.collect.mount_points import is_system_path, open_source
from forensics.engine.base import Container, Mount
from forensics.engine.docker import DockerEngine
from forensics.model import Outcome

if TYPE_CHECKING:
    from conftest import Collected

Make = Callable[..., Container]
Run = Callable[..., "Collected"]
HOSTS_OWN = "the host's own /etc: recorded in inspect, never copied"


@pytest.fixture
def volume_of_etc(engine: DockerEngine) -> Iterator[str]:
    name = f"collect-etc-{os.getpid()}"
    options = {"type": "none", "o": "bind", "device": "/etc"}
    engine._transport.post("/volumes/create", {"Name": name, "Driver": "local", "DriverOpts": options})
    yield name
    engine.remove_volume(name)


@pytest.fixture
def leaking(engine: DockerEngine, volume_of_etc: str, base_image: str, tmp_path: Path) -> Iterator[Container]:
    from forensics.engine.base import ContainerSpec

    (tmp_path / "innocent").symlink_to("/etc")
    mounts = (
        Mount("volume", volume_of_etc, "/volume", name=volume_of_etc),
        Mount("bind", str(tmp_path / "innocent"), "/link"),
    )
    spec = ContainerSpec(
        image=base_image, name=f"collect-leak-{time.monotonic_ns()}", command=("sleep", "1000"), mounts=mounts
    )
    container = engine.run(spec)
    yield container
    engine.remove_container(container, force=True, volumes=True)


@pytest.mark.docker
@pytest.mark.parametrize("running", [True, False])
def test_the_hosts_own_files_are_never_copied_under_another_name(
    engine: DockerEngine, leaking: Container, run_collection: Run, *, running: bool
) -> None:
    if not running:
        engine.kill(leaking)
        time.sleep(0.5)
    found = run_collection(leaking, only={"volumes"})
    assert not found.case.find("volume")
    volume, link = found.line("volume /volume"), found.line("bind /link")
    if running:
        assert {volume.outcome, link.outcome} == {Outcome.NOT_APPLICABLE}
        assert {volume.reason, link.reason} == {HOSTS_OWN}
    else:
        assert volume.outcome is Outcome.EMPTY  # the engine takes the mount away; what is left is its own folder
        assert link.outcome is Outcome.FAILED
        assert "leads through a link" in link.reason


@pytest.mark.docker
@pytest.mark.parametrize("uncover", [False, True])
def test_a_mount_over_a_volume_hides_nothing_of_it(
    make_container: Make, run_collection: Run, tmp_path: Path, *, uncover: bool
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "evidence").write_text("what was done")
    container = make_container("sleep", "1000", mounts=(Mount("bind", str(tmp_path / "data"), "/data"),))
    nsenter = ["nsenter", "-t", str(container.pid), "-m", "/bin/busybox"]
    if uncover:
        subprocess.run([*nsenter, "umount", "/data"], check=True)
    subprocess.run([*nsenter, "mount", "-t", "tmpfs", "none", "/data"], check=True)
    subprocess.run([*nsenter, "sh", "-c", "echo decoy > /data/decoy"], check=True)
    found = run_collection(container, only={"tmpfs", "volumes"})
    tars = [set(_names(found, item.id)) for item in (*found.case.find("tmpfs"), *found.case.find("volume"))]
    assert {"evidence"} in tars
    assert {"decoy"} in tars


@pytest.mark.docker
def test_parts_of_a_tmpfs_that_is_unmounted_itself_are_all_kept(make_container: Make, run_collection: Run) -> None:
    container = make_container("sleep", "1000")
    script = (
        "b=/bin/busybox; $b mkdir -p /m /one /two; $b mount -t tmpfs none /m; $b mkdir /m/one /m/two; "
        "echo 1 > /m/one/first; echo 2 > /m/two/second; "
        "$b mount --bind /m/one /one; $b mount --bind /m/two /two; $b umount -l /m"
    )
    nsenter = ["nsenter", "-t", str(container.pid), "-m", "/bin/busybox"]
    subprocess.run([*nsenter, "sh", "-c", script], check=True)
    found = run_collection(container, only={"tmpfs"})
    assert set(found.tar("tmpfs", "/one")) == {"first"}
    assert set(found.tar("tmpfs", "/two")) == {"second"}


def test_no_part_of_a_source_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real" / "conf").mkdir(parents=True)
    (tmp_path / "moved").symlink_to("/etc")
    os.close(open_source(str(tmp_path / "real" / "conf")))
    for path in (tmp_path / "moved", tmp_path / "moved" / "ssl"):
        with pytest.raises(OSError, match="leads through a link"):
            open_source(str(path))
    with pytest.raises(OSError, match="no path of this host"):
        open_source("")


def _names(found: Collected, item_id: str) -> Iterator[str]:
    import tarfile

    item = next(item for item in found.case.items() if item.id == item_id)
    with contextlib.closing(tarfile.open(found.case.path_of(item))) as archive:
        yield from archive.getnames()


def test_two_leading_slashes_are_one() -> None:
    assert is_system_path("//etc")
    assert not is_system_path("//srv/data")
