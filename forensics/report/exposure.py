"""The blast radius: what the suspect shared or could reach, and which other containers are on it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from forensics.model import JsonObject
from forensics.report.document import Exposure
from forensics.report.fields import EvidenceReader, object_at, objects_at, text_at
from forensics.report.settings import ENGINE_SOCKETS

_NEIGHBOURS = "neighbours-containers"


def read_exposures(evidence: EvidenceReader) -> tuple[Exposure, ...]:
    """Return networks, volumes, host folders, shared namespaces and neighbours, sorted by kind and name."""
    others = _read_neighbours(evidence)
    item, document = evidence.first("inspect")
    rows = [*_read_networks(evidence, document, item, others), *_read_mounts(document, item, others)]
    rows.extend(_read_namespaces(document, item))
    known = {(row.kind, row.name) for row in rows}
    rows.extend(
        Exposure(kind, name, "", tuple(sorted(names)), item)
        for (kind, name), names in others.items()
        if (kind, name) not in known
    )
    return tuple(sorted(rows, key=lambda row: (row.kind, row.name)))


def _read_neighbours(evidence: EvidenceReader) -> dict[tuple[str, str], set[str]]:
    shared: dict[tuple[str, str], set[str]] = defaultdict(set)
    for _, document in evidence.read(_NEIGHBOURS):
        for entry in objects_at(document, "containers"):
            name = (text_at(entry, "name") or text_at(entry, "id")).lstrip("/")
            for share in objects_at(entry, "shares"):
                shared[text_at(share, "kind"), text_at(share, "value")].add(name)
    return shared


def _read_networks(
    evidence: EvidenceReader, document: JsonObject, item: str, others: dict[tuple[str, str], set[str]]
) -> Iterator[Exposure]:
    members = _read_members(evidence, text_at(document, "Id"))
    addresses = _read_cut_networks(evidence)
    networks = object_at(document, "NetworkSettings", "Networks")
    addresses |= {name: text_at(networks, name, "IPAddress") or addresses.get(name, "") for name in networks}
    for name in sorted({*addresses, *members}):
        names = {*members.get(name, ()), *others.get(("network", name), ())}
        yield Exposure("network", name, addresses.get(name, ""), tuple(sorted(names)), item)


def _read_cut_networks(evidence: EvidenceReader) -> dict[str, str]:
    """Return by name the address in each network that containment cut; after the cut, inspect knows none."""
    addresses = {}
    for _, document in evidence.read("containment"):
        for action in objects_at(document, "actions"):
            attachment = object_at(action, "parameters", "attachment")
            if name := text_at(attachment, "name"):
                addresses[name] = text_at(attachment, "ipv4") or text_at(attachment, "ipv6")
    return addresses


def _read_members(evidence: EvidenceReader, own_id: str) -> dict[str, set[str]]:
    members: dict[str, set[str]] = {}
    for _, document in evidence.read("network-inspect"):
        for network in document if isinstance(document, list) else [document]:
            containers = object_at(network, "Containers")
            names = {text_at(containers, key, "Name") or key[:12] for key in containers if key != own_id}
            if name := text_at(network, "Name"):
                members.setdefault(name, set()).update(names)
    return members


def _read_mounts(document: JsonObject, item: str, others: dict[tuple[str, str], set[str]]) -> Iterator[Exposure]:
    for mount in objects_at(document, "Mounts"):
        is_volume = text_at(mount, "Type") == "volume"
        kind = "volume" if is_volume else "host path"
        name = text_at(mount, "Name") if is_volume else text_at(mount, "Source")
        access = "read-only" if mount.get("RW") is False else "writable"
        detail = f"{text_at(mount, 'Destination')} ({access})"
        reached = {*others.get((kind, name), ()), *_reach(name)}
        yield Exposure(kind, name, detail, tuple(sorted(reached)), item)


def _reach(source: str) -> Iterator[str]:
    """Say what a host path stands for beyond itself."""
    if source.endswith(ENGINE_SOCKETS):
        yield "every container and the host, through the engine"
    elif source == "/":
        yield "the whole host"


def _read_namespaces(document: JsonObject, item: str) -> Iterator[Exposure]:
    host = object_at(document, "HostConfig")
    for key, name in (("NetworkMode", "network"), ("PidMode", "process"), ("IpcMode", "IPC")):
        mode = text_at(host, key)
        if mode == "host":
            yield Exposure("namespace", f"{name} namespace of the host", "", ("every process of the host",), item)
        elif mode.startswith("container:"):
            yield Exposure("namespace", f"{name} namespace", "", (mode.partition(":")[2][:12],), item)
