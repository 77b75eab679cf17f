"""Which processes and which network namespaces belong to a container, as the host sees them; read-only.

The engine knows one namespace of a container. An attacker inside can make more (unshare), keep one open without a
process in it, bind one to a file, or leave the control group. So this looks at every process of the host and compares.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from forensics.engine.base import Container
from forensics.model import JsonObject
from forensics.text import from_bytes

_CGROUP_ROOT = Path("/sys/fs/cgroup")
_NET_PREFIX = "net:["
_CAPABILITY_NET_ADMIN, _CAPABILITY_NET_RAW, _CAPABILITY_SYS_ADMIN = 12, 13, 21
_READ_BYTES = 1 << 20
_ID_DIGITS = 64


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


class Footprint(NamedTuple):
    """Everything of a container that lives on this host; ``reason`` says why nothing is visible, if so.

    ``sharing_ids`` are the containers that stand in the namespace of its first process, ``outsiders`` processes of its
    pid namespace that left its control group, ``group`` its cgroup2 folder.
    """

    reason: str = ""
    members: tuple[int, ...] = ()
    namespaces: tuple[NamespaceUse, ...] = ()
    outsiders: tuple[int, ...] = ()
    sharing_ids: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    group: Path | None = None
    capabilities: int = 0

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
        return Footprint() if container.status in {"exited", "created", "dead"} else Footprint(reason=_NO_PID)
    own_group = read_bytes(f"/proc/{container.pid}/cgroup")
    if container.id.encode("ascii", "replace") not in own_group:
        return Footprint(reason="the container's processes are not on this host (remote engine, or another /proc)")
    members = _list_members(own_group, container)
    table = {pid: inode for pid in _list_pids() if (inode := _read_inode(pid, "net"))}
    if container.pid not in table:
        return Footprint(reason="the container's namespaces may not be read; run it as root")
    never_own = {*shared, table.get(1, 0), table.get(os.getpid(), 0)}
    found, unreadable = _find_namespaces(members, table, {*table.values(), *never_own} if ask_sockets else None)
    uses = tuple(_describe_use(inode, path, held, members, table, never_own) for inode, (path, held) in found.items())
    mates = {pid for use in uses if use.inode == table[container.pid] for pid in use.foreign}
    return Footprint(
        members=tuple(sorted(members)),
        namespaces=uses,
        outsiders=_find_outsiders(container, members, table),
        sharing_ids=tuple(sorted({other for pid in mates if (other := read_container_id(pid))})),
        unreadable=unreadable,
        group=_find_unified_group(own_group),
        capabilities=_union_capabilities(members),
    )


def read_processes(members: tuple[int, ...]) -> list[JsonObject]:
    """Return pid, parent, names, executable and arguments of each process; arguments are hostile text."""
    return [document for pid in members if (document := _describe_process(pid))]


def read_socket_owners(members: tuple[int, ...]) -> dict[int, int]:
    """Return the inode of every socket that the processes hold open, and one process that holds it."""
    owners: dict[int, int] = {}
    for pid in members:
        for _, target in _list_descriptors(pid):
            if target.startswith("socket:["):
                owners.setdefault(int(target[8:-1]), pid)
    return owners


def read_container_id(pid: int) -> str:
    """Return the 64-digit id of the container whose control group holds the process, or nothing."""
    for line in read_bytes(f"/proc/{pid}/cgroup").decode("utf-8", "surrogateescape").splitlines():
        for part in line.rpartition(":")[2].replace(".scope", "").replace("-", "/").split("/"):
            if len(part) == _ID_DIGITS and all(digit in "0123456789abcdef" for digit in part):
                return part
    return ""


def read_bytes(path: str) -> bytes:
    """Return the content of a file of /proc, bounded; nothing if the process is gone."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - /proc, on the fast way
            return file.read(_READ_BYTES)
    except OSError:
        return b""


_NO_PID = "the engine names no process of the container"


def _list_pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - /proc, on the fast way


def _read_inode(pid: int | str, kind: str) -> int:
    try:
        return int(os.readlink(f"/proc/{pid}/ns/{kind}")[len(kind) + 2 : -1])  # noqa: PTH115 - on the fast way
    except (OSError, ValueError):
        return 0


def _list_members(own_group: bytes, container: Container) -> set[int]:
    """Every process of the control group in any hierarchy: leaving one hierarchy hides nobody."""
    members = {container.pid}
    for folder in {group for line in own_group.splitlines() if (group := _group_folder(line))}:
        if container.id not in str(folder):
            continue
        for where, _, files in os.walk(folder):
            if "cgroup.procs" in files:
                members.update(int(pid) for pid in read_bytes(f"{where}/cgroup.procs").split())
    return members - {0}


def _group_folder(line: bytes) -> Path | None:
    _, controllers, path = from_bytes(line).split(":", 2)
    relative = path.lstrip("/")
    if ".." in relative.split("/"):
        return None
    for mount in _mounts_of(controllers):
        if (mount / relative).is_dir():
            return mount / relative
    return None


def _mounts_of(controllers: str) -> tuple[Path, ...]:
    if not controllers:
        return (_CGROUP_ROOT / "unified", _CGROUP_ROOT) if not _is_pure() else (_CGROUP_ROOT,)
    return tuple(_CGROUP_ROOT / name for name in (controllers, controllers.removeprefix("name=")))


def _is_pure() -> bool:
    return (_CGROUP_ROOT / "cgroup.controllers").exists()


def _find_unified_group(own_group: bytes) -> Path | None:
    for line in own_group.splitlines():
        if line.startswith(b"0::") and (folder := _group_folder(line)) and (folder / "cgroup.procs").exists():
            return folder if folder not in {_CGROUP_ROOT, _CGROUP_ROOT / "unified"} else None
    return None


def _list_descriptors(pid: int) -> list[tuple[str, str]]:
    folder = f"/proc/{pid}/fd"
    found = []
    try:
        for name in os.listdir(folder):  # noqa: PTH208 - /proc, on the fast way
            found.append((f"{folder}/{name}", os.readlink(f"{folder}/{name}")))  # noqa: PTH115 - on the fast way
    except OSError:
        return found
    return found


def _find_namespaces(
    members: set[int], table: dict[int, int], others: set[int] | None
) -> tuple[dict[int, tuple[str, str]], tuple[str, ...]]:
    """Namespaces by inode, with what opens them; *others* are those with processes, None leaves the sockets unasked."""
    found: dict[int, tuple[str, str]] = {}
    sockets: dict[int, tuple[int, str]] = {}
    for pid in sorted(members & table.keys()):
        found.setdefault(table[pid], (f"/proc/{pid}/ns/net", "process"))
    for pid in sorted(members):
        for path, inode in _list_thread_namespaces(pid):
            found.setdefault(inode, (path, "thread"))
        for path, target in _list_descriptors(pid):
            if target.startswith(_NET_PREFIX):
                found.setdefault(int(target[len(_NET_PREFIX) : -1]), (path, "open descriptor"))
            elif target.startswith("socket:["):
                sockets.setdefault(int(target[8:-1]), (pid, path))
    problems = _add_held(found, sockets, others) if sockets and others is not None else []
    problems += [
        f"network namespace {inode} is bound to a file of process {pid} and no process uses it"
        for inode, pid in sorted(_find_bound(members).items())
        if inode not in found and inode not in set(table.values())
    ]
    return found, tuple(problems)


def _list_thread_namespaces(pid: int) -> Iterator[tuple[str, int]]:
    """A thread can stand in another namespace than its process."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208 - /proc, on the fast way
    except OSError:
        return
    for thread in threads if len(threads) > 1 else ():
        if inode := _read_inode(f"{pid}/task/{thread}", "net"):
            yield f"/proc/{pid}/task/{thread}/ns/net", inode


def _add_held(found: dict[int, tuple[str, str]], sockets: dict[int, tuple[int, str]], others: set[int]) -> list[str]:
    """Add the namespaces that only a socket holds; one that others use or named cannot be cut, and is a problem."""
    from forensics.engine.held import find_held  # noqa: PLC0415 - most containers hold no socket when this begins

    uses, problems = find_held(sockets)
    for use in uses:
        if use.inode in found:
            continue
        if use.inode not in others and use.inode not in _find_bound({1, os.getpid()}):
            found[use.inode] = (use.path, "socket")
        elif not use.is_local:  # the other end of a unix connection is no way out
            problems.append(f"process {use.pid} holds a socket of network namespace {use.inode}, which others use")
    return problems


def _find_bound(members: set[int]) -> dict[int, int]:
    bound: dict[int, int] = {}
    seen: set[int] = set()
    for pid in sorted(members):
        if (mounts := _read_inode(pid, "mnt")) in seen:
            continue
        seen.add(mounts)
        for line in read_bytes(f"/proc/{pid}/mountinfo").splitlines():
            root = line.split(b" ")[3] if line.count(b" ") > 3 else b""  # noqa: PLR2004 - proc_pid_mountinfo(5), field 4
            if root.startswith(b"net:[") and root[5:-1].isdigit():
                bound.setdefault(int(root[5:-1]), pid)
    return bound


def _describe_use(  # noqa: PLR0913, PLR0917 - the facts that were read, each once
    inode: int, path: str, held: str, members: set[int], table: dict[int, int], never_own: set[int]
) -> NamespaceUse:
    users = {pid for pid, used in table.items() if used == inode}
    foreign = users - members or ({1} if inode in never_own else set())
    return NamespaceUse(inode, path, tuple(sorted(users & members)), tuple(sorted(foreign)), held)


def _find_outsiders(container: Container, members: set[int], table: dict[int, int]) -> tuple[int, ...]:
    """Processes in the container's own pid namespace, or in one made inside it, and in no control group of it."""
    from forensics.engine.host_views import descends_from  # noqa: PLC0415 - not on the way of a container without a pid

    own = _read_inode(container.pid, "pid")
    hosts = {0, _read_inode(1, "pid"), _read_inode(os.getpid(), "pid")}
    if own in hosts:
        return ()
    inside = {own: True, **dict.fromkeys(hosts, False)}
    outsiders = []
    for pid in sorted(table.keys() - members):
        inode = _read_inode(pid, "pid")
        if inode not in inside:
            inside[inode] = descends_from(pid, own)
        if inside[inode] and not read_container_id(pid):
            outsiders.append(pid)
    return tuple(outsiders)


def _union_capabilities(members: set[int]) -> int:
    """What any member can do (effective set), or could get through a set-uid file (bounding set)."""
    union = 0
    for pid in members:
        for line in read_bytes(f"/proc/{pid}/status").splitlines():
            if line.startswith((b"CapEff:", b"CapBnd:")):
                union |= int(line.split()[1], 16)
    return union


def _describe_process(pid: int) -> JsonObject | None:
    stat = read_bytes(f"/proc/{pid}/stat")
    if not stat:
        return None
    name, _, rest = stat[stat.index(b"(") + 1 :].rpartition(b")")
    fields = rest.split()
    return {
        "pid": pid,
        "ppid": int(fields[1]),
        "state": fields[0].decode("ascii"),
        "comm": from_bytes(name),
        "start_ticks": int(fields[19]),
        "argv": [from_bytes(part) for part in read_bytes(f"/proc/{pid}/cmdline").split(b"\0")[:-1]],
        "exe": _read_link(f"/proc/{pid}/exe"),
        "net_namespace": _read_inode(pid, "net"),
    }


def _read_link(path: str) -> str | None:
    try:
        return os.readlink(path)  # noqa: PTH115 - the raw target, which is no path of this host
    except OSError:
        return None
