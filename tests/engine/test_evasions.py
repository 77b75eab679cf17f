"""What an attacker with capabilities does so that the host's view does not show it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

import pytest

from forensics.engine.base import Container, ContainerSpec
from forensics.engine.docker import DockerEngine, connect
from forensics.engine.footprint import read_footprint
from forensics.engine.netns import Interface


@pytest.fixture
def running(docker_host: str, base_image: str) -> Iterator[Container]:
    with connect(docker_host) as engine:
        yield from _run(engine, base_image)


def _run(engine: DockerEngine, image: str) -> Iterator[Container]:
    name = f"engine-evasion-{time.monotonic_ns()}"
    container = engine.run(ContainerSpec(image=image, name=name, command=("sleep", "1000")))
    yield container
    engine.remove_container(container, force=True)


@pytest.mark.docker
def test_a_process_in_a_pid_namespace_of_its_own_that_left_the_control_group_is_an_outsider(running: Container) -> None:
    enter = ["nsenter", "-t", str(running.pid), "-p", "unshare", "--pid", "--fork", "sleep", "100"]
    with subprocess.Popen(enter) as outer:
        try:
            time.sleep(0.5)
            outsiders = read_footprint(running).outsiders
        finally:
            outer.terminate()
            subprocess.run(["kill", "-9", *map(str, outsiders)], check=False)
    assert len(outsiders) >= 2  # unshare, in the container's own namespace, and its child, in one below


def _interface(name: str, kind: str, *, is_up: bool = False) -> Interface:
    return Interface(7, name, kind, "02:00:00:00:00:01", is_up, False, 0, (), 0, 0, 0, 0)


def test_a_fallback_device_is_known_by_its_kind_and_not_by_its_name_alone() -> None:
    assert _interface("tunl0", "ipip").is_harmless
    assert not _interface("tunl0", "veth").is_harmless
    assert not _interface("tunl0", "ipip", is_up=True).is_harmless
    assert not _interface("tunl0", "").is_harmless
