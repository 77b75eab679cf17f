"""Reads the scene: the container by the engine's word, its processes and namespaces by the host's. Changes nothing."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING

from forensics.containment.plan import Scene
from forensics.engine.footprint import Footprint, NamespaceUse, read_footprint
from forensics.engine.namespace_search import read_socket_owners
from forensics.engine.processes import read_processes
from forensics.errors import EngineError
from forensics.model import JsonObject

if TYPE_CHECKING:
    from forensics.containment.port import ContainmentEngine
    from forensics.engine.base import Container
    from forensics.engine.net_facts import Snapshot

_LOOKS = 3


def read_scene(engine: ContainmentEngine, ref: str) -> Scene:
    """Return what there is before anything is changed, as far as a plan needs it.

    With at most one network there is no order to find out, and the namespaces are read after the freeze only.

    Raises:
        ContainerNotFoundError, AmbiguousContainerError: *ref* names no container, or several.
    """
    container = engine.find_container(ref)
    return look(engine, container, deep=len(container.networks) > 1)


def look(engine: ContainmentEngine, container: Container, *, deep: bool = True) -> Scene:
    """Return what the host sees of a container now; *deep* also reads what its network namespaces hold."""
    container, footprint = _find_footprint(engine, container, deep=deep)
    doors = _find_doors(engine, container, footprint)
    if not deep:
        return Scene(container, footprint, (), _name_sharing(engine, container, footprint), doors=doors)
    snapshots, problems = read_snapshots(footprint)
    if problems:
        footprint = footprint._replace(unreadable=footprint.unreadable + problems)
    sharing = _name_sharing(engine, container, footprint)
    return Scene(container, footprint, snapshots, sharing, _find_services(footprint, snapshots), doors)


def _find_footprint(engine: ContainmentEngine, container: Container, *, deep: bool) -> tuple[Container, Footprint]:
    """Look at its processes; where they ended meanwhile (a restart loop), ask the engine and look again."""
    footprint = read_footprint(container, ask_sockets=deep)
    for _ in range(_LOOKS):
        if not footprint.reason:
            break
        fresh = engine.find_container(container.id)
        if (fresh.pid, fresh.status) == (container.pid, container.status):
            break
        container, footprint = fresh, read_footprint(fresh, ask_sockets=deep)
    return container, footprint


def _find_doors(engine: ContainmentEngine, container: Container, footprint: Footprint) -> tuple[str, ...]:
    """Return the sockets of this host that are mounted into it: no network cut closes those."""
    if not footprint.is_visible:
        return ()
    address = engine.url.removeprefix("unix://") if engine.url.startswith("unix://") else ""
    own = os.path.realpath(address) if address else ""
    found = []
    for mount in container.mounts:
        source = os.path.realpath(mount.source) if mount.type == "bind" else ""
        if own and source and own.startswith(source.rstrip("/") + "/"):
            found.append(own)
        with contextlib.suppress(OSError):
            if source and stat.S_ISSOCK(os.stat(source).st_mode):  # noqa: PTH116 - on the fast way
                found.append(mount.source)
    return tuple(dict.fromkeys(found))


def read_snapshots(footprint: Footprint) -> tuple[tuple[tuple[NamespaceUse, Snapshot], ...], tuple[str, ...]]:
    """Return what every namespace of the footprint holds, and which could not be read and why."""
    from forensics.engine.netns import open_one  # noqa: PLC0415 - loaded while the engine freezes the container

    found, problems = [], []
    for use in footprint.namespaces:
        try:
            with open_one(use.inode, use.paths) as namespace:
                found.append((use, namespace.read()))
        except (OSError, EngineError) as error:
            problems.append(f"network namespace {use.inode} could not be read ({error})")
    return tuple(found), tuple(problems)


def _find_services(footprint: Footprint, snapshots: tuple[tuple[NamespaceUse, Snapshot], ...]) -> tuple[str, ...]:
    """Return the loopback addresses where somebody answers who is no process of the container, and can be asked."""
    from forensics.engine.net_facts import find_loopback_services  # noqa: PLC0415 - see above
    from forensics.engine.netns import open_one  # noqa: PLC0415 - see above

    found: set[str] = set()
    for use, snapshot in snapshots:
        services = find_loopback_services(snapshot) if use.is_exclusive else ()
        if not services:
            continue
        owners = read_socket_owners(footprint.members)
        addresses = {service.local[0] for service in services if service.inode not in owners}
        with contextlib.suppress(OSError, EngineError), open_one(use.inode, use.paths) as namespace:
            found |= set(namespace.probe_routes(tuple(addresses))) & addresses
    return tuple(sorted(found))


def capture(scene: Scene) -> JsonObject:
    """Return what dies with the cut, in the words of the sockets and processes artefacts."""
    from forensics.engine.net_facts import to_document  # noqa: PLC0415 - see above

    owners = read_socket_owners(scene.footprint.members)
    documents = [to_document(snapshot) for _, snapshot in scene.own]
    sockets = [found | {"pid": owners.get(found["inode"])} for document in documents for found in document["sockets"]]
    shared = [
        found | {"pid": owners[found["inode"]]}
        for use, snapshot in scene.snapshots
        if not use.is_exclusive
        for found in to_document(snapshot)["sockets"]
        if found["inode"] in owners
    ]
    return {
        "schema": "ir.containment-capture/1",
        "sockets": sockets + shared,
        "processes": read_processes(scene.footprint.members),
        "outsiders": read_processes(scene.footprint.outsiders),
        "namespaces": [{key: value for key, value in document.items() if key != "sockets"} for document in documents],
        "not_visible": scene.footprint.reason or None,
    }


def find_engine_namespace(url: str) -> str:
    """Return the path that opens the engine's network namespace: that of the process behind its socket.

    Empty where the engine is not behind a unix socket of this host, or its namespace may not be read.
    """
    if not url.startswith("unix://"):
        return ""
    from forensics.engine.wire import WireEngine  # noqa: PLC0415 - loaded already on the fast way

    with contextlib.suppress(EngineError, OSError):
        from forensics.engine.netns import Namespace  # noqa: PLC0415 - see above

        path = f"/proc/{WireEngine(url.removeprefix('unix://')).peer_pid()}/ns/net"
        with Namespace(path):
            return path
    return ""


def _name_sharing(engine: ContainmentEngine, container: Container, footprint: Footprint) -> tuple[str, ...]:
    """Name the other containers in its network namespace; where the host shows nothing, the engine's list must do."""
    ids = set(footprint.sharing_ids) - {container.id}
    if not ids and footprint.is_visible:
        return ()
    listed = engine.list_containers(all=True)
    mode = container.network_mode
    if not footprint.is_visible:
        mates = {f"container:{container.id}", f"container:{container.name}", mode if ":" in mode else ""} - {""}
        return tuple(
            sorted(
                other.name
                for other in listed
                if other.id != container.id and (other.network_mode in mates or f"container:{other.id}" == mode)
            )
        )
    names = {other.id: other.name for other in listed}
    return tuple(sorted(names.get(other, other) for other in ids))
