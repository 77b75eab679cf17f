"""Collects the network as the host's kernel tells it: sockets with their owners, interfaces, routes, neighbours.

Asks nothing of the container. Each network namespace that a process of the container lives in is read.
"""

from __future__ import annotations

from collections.abc import Iterator

from forensics.collect.context import CollectContext, collected, empty, failed, name_some
from forensics.engine.host import NetView, find_unlisted_sockets, read_container_network
from forensics.model import JsonObject, LedgerLine

_INTERFACE = (
    *("ifindex", "name", "kind", "mac", "is_up", "is_loopback", "peer_index", "addresses"),
    *("rx_packets", "tx_packets", "rx_bytes", "tx_bytes"),
)
"""What the evidence says of an interface."""
_UNLISTED = "in no table of the kernel (never bound, of another namespace, or of a family without a table)"


def collect_sockets(context: CollectContext) -> Iterator[LedgerLine]:
    """Keep all sockets, interfaces, routes and neighbours; with host networking those of the host are among them."""
    views = read_container_network(context.processes)
    unlisted = find_unlisted_sockets(context.processes, views)
    document = _merge(views) | {"unlisted": [{"pid": pid, "fd": fd, "inode": inode} for pid, fd, inode in unlisted]}
    source = f"container {context.container.id}"
    item = context.keep_json("sockets", document, source=source, method="/proc/PID/net, netlink, sock_diag on the host")
    found = document["sockets"]
    reason = _summarise(found) + (f"; {len(unlisted)} open ones {_UNLISTED}" if unlisted else "")
    yield collected("sockets", item, reason=reason) if found or unlisted else empty("sockets", "no socket", item)
    yield from _report_gaps(context, views)


def _summarise(found: list[JsonObject]) -> str:
    """Return the first answer for a person: what listens, and who is talked to."""
    listening = [f"{entry['proto']} {entry['local_port']}" for entry in found if _listens(entry)]
    peers = [f"{entry['remote_addr']}:{entry['remote_port']}" for entry in found if _talks(entry)]
    return f"{len(found)} sockets; listening: {name_some(listening)}; connected to: {name_some(peers)}"


def _listens(entry: JsonObject) -> bool:
    return bool(entry["proto"] == "tcp" and entry["state"] == "LISTEN")


def _talks(entry: JsonObject) -> bool:
    return entry["proto"] in {"tcp", "udp"} and bool(entry["remote_port"])


def _report_gaps(context: CollectContext, views: tuple[NetView, ...]) -> Iterator[LedgerLine]:
    for view in views:
        for error in view.errors:
            yield failed(f"sockets of namespace {view.inode}", error)
    missing = {process.namespace("net") for process in context.processes} - {view.inode for view in views}
    for inode in sorted(missing):
        yield failed(f"sockets of namespace {inode or 'unknown'}", "its processes ended, or may not be looked at")


def _merge(views: tuple[NetView, ...]) -> JsonObject:
    """Put all namespaces into one document; each entry names its namespace."""
    merged: JsonObject = {"sockets": [], "interfaces": [], "routes": [], "neighbours": [], "namespaces": []}
    for view in views:
        document = view.to_document()
        document["interfaces"] = [{key: getattr(found, key) for key in _INTERFACE} for found in view.interfaces]
        for key in ("sockets", "interfaces", "neighbours"):
            merged[key] += [{**entry, "namespace": view.inode} for entry in document.pop(key)]
        merged["routes"] += document["routes"]
        merged["namespaces"].append(document)
    return merged
