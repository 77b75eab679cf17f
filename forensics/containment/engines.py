"""Chooses how to talk to the engine: raw over a local socket where every millisecond counts, docker-py for the rest."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from forensics.engine.address import find_address
from forensics.engine.wire import WireEngine

if TYPE_CHECKING:
    from forensics.containment.port import ContainmentEngine
    from forensics.model import JsonObject


@contextlib.contextmanager
def open_containment_engine(url: str = "") -> Iterator[ContainmentEngine]:
    """Yield the engine at *url*, or at the configured place.

    Raises:
        EngineUnavailableError: none answers there.
    """
    address = find_address(url)
    if address.socket_path:
        yield WireEngine(address.socket_path)
        return
    from forensics.engine.docker import connect  # noqa: PLC0415 - docker-py takes 130 ms to import

    with connect(url) as engine:
        yield engine


def describe_engine(engine: ContainmentEngine) -> JsonObject:
    """Return what a case's own document says of the engine; the cheap part, the rest is collected later."""
    if not isinstance(engine, WireEngine):
        return {"url": engine.url}
    server, api_version = engine.identity
    name, _, version = server.partition(" ")[0].partition("/")
    return {
        "url": engine.url,
        "name": {"docker": "docker", "libpod": "podman"}.get(name.lower(), name),
        "version": version,
        "api_version": api_version,
    }
