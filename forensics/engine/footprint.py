"""Which processes and which network namespaces belong to a container, as the host sees them; read-only.

The engine knows one namespace of a container. An attacker inside can make more (unshare), keep one open without a
process in it, bind one to a file, or leave the control group. So this looks at every process of the host and compares.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from forensics.engine.base import Container
from forensics.engine.control_groups import find_awake, find_unified_group, list_members, read_container_id
from forensics.engine.namespace_search import find_namespaces
from forensics.engine.process_table import ProcessTable, read_bytes, read_process_table
from forensics.engine.processes import union_capabilities
from forensics.engine.procfs import namespace_inode

_CAPABILITY_NET_ADMIN, _CAPABILITY_NET_RAW, _CAPABILITY_SYS_ADMIN = 12, 13, 21
_WITHOUT_PROCESSES = frozenset({"exited", "created", "dead", "restarting"})
"""Restarting: between the end of one try and the start of the next."""
_NO_PID = "the engine names no process of the container"


class NamespaceUse(NamedTuple):
    """One network namespace that the container can use; ``path`` opens it, ``foreign`` are others that live in it."""

    inode: int
    path: str
    members: tuple[int, ...]
    foreign: tuple[int, ...]
    held_by: str

    @property
    def is_exclusive(self) -> bool:
        """Whether only the container's own processes use it, so that cutting it harms nobody else."""
        return not self.foreign

    @property
    def paths(self) -> tuple[str, ...]:
        """Everything that opens it, the best first: a process may have ended since."""
        return (self.path, *(f"/proc/{pid}/ns/net" for pid in self.members))


class Footprint(NamedTuple):
    """Everything of a container that lives on this host; ``reason`` says why nothing is visible, if so.

    ``sharing_ids`` are the containers that stand in the namespace of its first process, ``outsiders`` processes of its
    pid namespace that left its control group, ``group`` its cgroup2 folder, ``awake`` processes that go on although the
    engine calls it paused.
    """

    reason: str = ""
    members: tuple[int, ...] = ()
    namespaces: tuple[NamespaceUse, ...] = ()
    outsiders: tuple[int, ...] = ()
    sharing_ids: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    group: Path | None = None
    capabilities: int = 0
    awake: tuple[int, ...] = ()

    @property
    def is_visible(self) -> bool:
        """Whether the host's view is complete enough to prove anything."""
        return not self.reason

    @property
    def shared_paths(self) -> tuple[str, ...]:
        """What opens the network namespaces that others use too."""
        return tuple(use.path for use in self.namespaces if not use.is_exclusive)

    @property
    def can_send_raw(self) -> bool:
        """Whether a member may open packet sockets, which no filter on sockets sees."""
        return bool(self.capabilities >> _CAPABILITY_NET_RAW & 1)

    @property
    def can_change_network(self) -> bool:
        """Whether a member may raise interfaces again."""
        return bool(self.capabilities >> _CAPABILITY_NET_ADMIN & 1)

    @property
    def can_hide_network(self) -> bool:
        """Whether a member may make network namespaces or move interfaces between them."""
        return self.can_change_network or bool(self.capabilities >> _CAPABILITY_SYS_ADMIN & 1)


def read_footprint(container: Container, *, shared: tuple[int, ...] = (), ask_sockets: bool = True) -> Footprint:
    """Return the container's processes and network namespaces; *shared* are namespaces that are never its own.

    The host's own namespace and this process's count as shared in any case. *ask_sockets* also finds the namespaces
    that only a socket holds.
    """
    if container.pid <= 0:
        return Footprint() if container.status in _WITHOUT_PROCESSES else Footprint(reason=_NO_PID)
    own_group = read_bytes(f"/proc/{container.pid}/cgroup")
    if container.id.encode("ascii", "replace") not in own_group:
        return Footprint(reason="the container's processes are not on this host (remote engine, or another /proc)")
    members = list_members(own_group, container)
    table = read_process_table()
    members |= _find_late(container, members, table)
    own = table.network.get(container.pid, 0)
    if not own:
        return Footprint(reason="the container's namespaces may not be read; run it as root")
    never_own = {*shared, table.network.get(1, 0), table.network.get(os.getpid(), 0)}
    found, unreadable = find_namespaces(container.pid, members, table, never_own if ask_sockets else None)
    uses = tuple(_describe_use(inode, path, held, members, table, never_own) for inode, (path, held) in found.items())
    mates = {pid for use in uses if use.inode == own for pid in use.foreign}
    return Footprint(
        members=tuple(sorted(members)),
        namespaces=uses,
        outsiders=_find_outsiders(container, members, table),
        sharing_ids=tuple(sorted({other for pid in mates if (other := read_container_id(pid))})),
        unreadable=unreadable,
        group=find_unified_group(own_group),
        capabilities=union_capabilities(members),
        awake=find_awake(members) if container.status == "paused" else (),
    )


def _find_late(container: Container, members: set[int], table: ProcessTable) -> set[int]:
    """Processes started between the two looks, or ended since: no strangers where members stand."""
    hosts = {table.network.get(1), table.network.get(os.getpid())}
    spaces = {table.network[pid] for pid in members & table.network.keys()} - hosts
    strangers = {pid for inode in spaces for pid in table.users.get(inode, ())} - members
    groups = {pid: read_bytes(f"/proc/{pid}/cgroup") for pid in strangers}
    return {pid for pid, group in groups.items() if not group or container.id.encode("ascii", "replace") in group}


def _describe_use(  # noqa: PLR0913, PLR0917 - the facts that were read, each once
    inode: int, path: str, held: str, members: set[int], table: ProcessTable, never_own: set[int]
) -> NamespaceUse:
    users = table.users.get(inode, set())
    foreign = users - members or ({1} if inode in never_own else set())
    return NamespaceUse(inode, path, tuple(sorted(users & members)), tuple(sorted(foreign)), held)


def _find_outsiders(container: Container, members: set[int], table: ProcessTable) -> tuple[int, ...]:
    """Processes in the container's own pid namespace, or in one made inside it, and in no control group of it."""
    own = namespace_inode(container.pid, "pid")
    stands_in = table.pid_namespaces()
    hosts = {0, stands_in.get(1, 0), stands_in.get(os.getpid(), 0)}
    if own in hosts:
        return _find_by_mounts(container, members, table)
    return tuple(
        pid
        for pid, inode in sorted(stands_in.items())
        if inode not in hosts and pid not in members and own in table.lineage(pid) and not read_container_id(pid)
    )


def _find_by_mounts(container: Container, members: set[int], table: ProcessTable) -> tuple[int, ...]:
    """Where it has the host's pid namespace: processes in its mount namespace and in no control group of it."""
    own = namespace_inode(container.pid, "mnt")
    if own in {0, namespace_inode(1, "mnt"), namespace_inode("self", "mnt")}:
        return ()
    rest = sorted(table.network.keys() - members)
    return tuple(pid for pid in rest if namespace_inode(pid, "mnt") == own and not read_container_id(pid))
