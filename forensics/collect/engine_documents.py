"""Collects what the engine has written down: inspect of container, image, networks and volumes, and its own version."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from forensics.collect.context import CollectContext, collected, empty, failed
from forensics.collect.networks import find_networks
from forensics.errors import EngineError
from forensics.model import JsonObject, LedgerLine
from forensics.text import show


def collect_inspect(context: CollectContext) -> Iterator[LedgerLine]:
    """Keep inspect of the container as it was found, of its image, networks and volumes, and the image's history."""
    container, engine = context.container, context.engine
    item = context.keep_json("inspect", container.raw, source=f"container {container.id}", method="engine API: inspect")
    yield collected("inspect", item)
    image = container.image_id or container.image
    yield _keep(context, "image-inspect", f"image {image}", lambda: engine.inspect_image(image))
    yield _keep(context, "image-history", f"image {image}", lambda: {"history": engine.image_history(image)})
    yield from _collect_networks(context)
    yield from _collect_volumes(context)


def _collect_networks(context: CollectContext) -> Iterator[LedgerLine]:
    networks = find_networks(context)
    if not networks:
        yield empty("network-inspect", "attached to no network")
    for network in networks:
        ask = _call(context.engine.inspect_network, network.ref)
        line = _keep(context, "network-inspect", f"network {network.name}", ask)
        cut = "containment cut it; known from its plan"
        yield replace(line, reason="; ".join(filter(None, (line.reason, cut)))) if network.is_cut else line


def _collect_volumes(context: CollectContext) -> Iterator[LedgerLine]:
    names = [mount.name for mount in context.container.mounts if mount.type == "volume"]
    if not names:
        yield empty("volume-inspect", "it has no volumes")
    for name in names:
        yield _keep(context, "volume-inspect", f"volume {name}", _call(context.engine.inspect_volume, name))


def _call(ask: Callable[[str], JsonObject], ref: str) -> Callable[[], JsonObject]:
    return lambda: ask(ref)


def _keep(context: CollectContext, kind: str, source: str, ask: Callable[[], JsonObject]) -> LedgerLine:
    artefact = kind if kind.startswith(("image", "engine")) else f"{kind} {show(source.partition(' ')[2])}"
    try:
        document = ask()
    except EngineError as error:
        return failed(artefact, error.message)
    return collected(artefact, context.keep_json(kind, document, source=source, method=f"engine API: {kind}"))


def collect_engine(context: CollectContext) -> Iterator[LedgerLine]:
    """Keep the engine's version (with its components) and its info document."""
    url = context.engine.url
    yield _keep(context, "engine-version", f"engine {url}", context.engine.read_version)
    item = context.keep_json("engine-info", context.info.raw, source=f"engine {url}", method="engine API: info")
    yield collected("engine-info", item)
