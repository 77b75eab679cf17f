"""Collects the blast radius: which other containers share something with this one through which harm can spread."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from forensics.collect.context import CollectContext, collected, empty
from forensics.collect.networks import find_networks
from forensics.engine.base import Container
from forensics.model import JsonObject, LedgerLine

_NAMESPACES = ("net", "pid", "ipc", "uts", "user", "mnt", "cgroup")
_SHARED_MODES = {"NetworkMode": "net", "PidMode": "pid", "IpcMode": "ipc", "UTSMode": "uts"}


def collect_blast_radius(context: CollectContext) -> Iterator[LedgerLine]:
    """Keep every other container that shares a network, volume, host path, image or namespace with the subject.

    A network that containment has cut still counts: whoever is on it could be reached until then.
    """
    subject = context.container
    networks = {network.name for network in find_networks(context)}
    others = [other for other in context.engine.list_containers(all=True) if other.id != subject.id]
    found = []
    for other in others:
        shares = [*_shared_documents(subject, other, networks)]
        if context.info.is_local and subject.is_running and other.is_running:
            shares += _shared_namespaces(subject.pid, other.pid, _usual(context.info.cgroup_version))
        if shares:
            found.append(_describe(other, shares))
    item = context.keep_json(
        "neighbours-containers",
        {"examined": len(others), "containers": found},
        source=f"engine {context.engine.url}",
        method="engine API: list and inspect; namespaces from /proc",
    )
    reason = f"{len(found)} of {len(others)} other containers share something"
    yield collected("blast-radius", item, reason=reason) if found else empty("blast-radius", reason, item)


def _describe(other: Container, shares: list[JsonObject]) -> JsonObject:
    return {"id": other.id, "name": other.name, "image": other.image, "status": other.status, "shares": shares}


def _usual(cgroup_version: str) -> frozenset[str]:
    """Return the host's namespaces that every container of such a host is in unless somebody asked otherwise."""
    return frozenset({"user"}) if cgroup_version == "2" else frozenset({"user", "cgroup"})


def _shared_documents(subject: Container, other: Container, networks: set[str]) -> Iterator[JsonObject]:
    for kind, ours, theirs in (
        ("network", networks, _networks(other)),
        ("volume", _sources(subject, "volume"), _sources(other, "volume")),
        ("host path", _sources(subject, "bind"), _sources(other, "bind")),
    ):
        yield from ({"kind": kind, "value": value} for value in sorted(ours & theirs))
    if subject.image_id and subject.image_id == other.image_id:
        yield {"kind": "image", "value": subject.image_id}
    yield from _joined(subject, other)
    yield from _joined(other, subject)


def _networks(container: Container) -> set[str]:
    return {attachment.name for attachment in container.networks}


def _sources(container: Container, kind: str) -> set[str]:
    return {mount.name or mount.source for mount in container.mounts if mount.type == kind}


def _joined(owner: Container, guest: Container) -> Iterator[JsonObject]:
    """Yield the namespaces that *guest* was configured to take from *owner* (also while neither runs)."""
    host_config = guest.raw.get("HostConfig") or {}
    for key, namespace in _SHARED_MODES.items():
        kind, _, ref = str(host_config.get(key) or "").partition(":")
        if kind == "container" and ref and (owner.id.startswith(ref) or ref == owner.name):
            yield {"kind": "namespace", "value": namespace}
    for ref in host_config.get("VolumesFrom") or ():
        if owner.name == str(ref).split(":")[0] or owner.id.startswith(str(ref).split(":")[0]):
            yield {"kind": "volumes-from", "value": str(ref)}


def _shared_namespaces(subject_pid: int, other_pid: int, usual: frozenset[str]) -> list[JsonObject]:
    shared = []
    for name in _NAMESPACES:
        ours = _namespace(subject_pid, name)
        if ours and ours == _namespace(other_pid, name):
            of_host = ours == _namespace(os.getpid(), name)
            shared.append({"kind": "host namespace" if of_host else "namespace", "value": name, "inode": ours})
    return [entry for entry in shared if entry["kind"] != "host namespace" or entry["value"] not in usual]


def _namespace(pid: int, name: str) -> str:
    try:
        return str(Path(f"/proc/{pid}/ns/{name}").readlink())
    except OSError:  # gone, or not ours to see: then nothing is known to be shared
        return ""
