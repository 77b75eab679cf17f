"""A connected engine, and containers that are removed again whatever happens."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from forensics.engine.base import Container, ContainerSpec
from forensics.engine.docker import DockerEngine, connect
from forensics.errors import EngineError

_NUMBERS = itertools.count()
LABELS = (("ir.test", "engine"),)
RunContainer = Callable[..., Container]


@pytest.fixture(scope="session")
def engine(docker_host: str) -> Iterator[DockerEngine]:
    with connect(docker_host) as connected:
        yield connected


@pytest.fixture
def run_container(engine: DockerEngine, base_image: str) -> Iterator[RunContainer]:
    """Return a function that starts a container of the base image from a specification's keywords."""
    started: list[Container] = []

    def start(*command: str, **settings: Any) -> Container:
        name = settings.pop("name", f"eng-{os.getpid()}-{next(_NUMBERS)}")
        arguments = command or ("sleep", "300")
        spec = ContainerSpec(base_image, name=name, command=arguments, labels=LABELS, **settings)
        container = engine.create_container(spec)
        started.append(container)
        return engine.start(container)

    yield start
    for container in started:
        try:
            engine.remove_container(container, force=True, volumes=True)
        except EngineError as error:
            assert "o such container" in error.message or "in progress" in error.message  # noqa: PT017 - it was --rm
