"""Fixtures of the containment tests; what they make is removed again after each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from containment_rig import Box, Lab, Sniffer

from forensics.engine.address import find_address
from forensics.engine.wire import WireEngine


@pytest.fixture
def engine(docker_host: str) -> WireEngine:
    return WireEngine(find_address(docker_host).socket_path)


@pytest.fixture
def box(engine: WireEngine, base_image: str) -> Iterator[Box]:
    made = Box(base_image, engine)
    yield made
    made.clean()


@pytest.fixture
def lab(engine: WireEngine, own_folders: Path) -> Lab:
    return Lab(engine, own_folders)


@pytest.fixture
def sniff(engine: WireEngine) -> Iterator[Callable[[str], Sniffer]]:
    opened: list[Sniffer] = []

    def start(mac: str) -> Sniffer:
        opened.append(Sniffer(engine, mac))
        return opened[-1]

    yield start
    for sniffer in opened:
        sniffer.close()
