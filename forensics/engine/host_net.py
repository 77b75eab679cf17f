"""Sockets of a network namespace with their owners, interfaces, routes and neighbours, as the host's kernel tells them.

Inet sockets come from /proc/PID/net, which has every protocol that the kernel has; unix sockets come from
sock_diag(7), because a path with line breaks forges rows in /proc/net/unix. Nothing in the container is asked.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from dataclasses import replace

from forensics.engine.host_proc import HostProcess
from forensics.engine.net_facts import TCP_STATES, Interface
from forensics.engine.netns import Namespace
from forensics.engine.procfs import namespace_inode, read_bytes, read_or_empty
from forensics.engine.unix_diag import UNIX_TYPES, list_unix_sockets
from forensics.errors import EngineError
from forensics.frozen import dataclass
from forensics.model import JsonObject
from forensics.text import from_bytes

_TABLES = (*("tcp", "tcp6", "udp", "udp6", "udplite", "udplite6", "raw", "raw6", "icmp", "icmp6"),)
_RAW_FILES = ("arp", "dev", "route", "ipv6_route", "if_inet6", "fib_trie", "snmp", "netstat", "sockstat", "igmp")
_RAW_LIMIT_BYTES = 1 << 20
_UNIX_STATES = {1: "CONNECTED", 7: "UNCONNECTED", 10: "LISTEN"}


@dataclass(frozen=True, slots=True)
class HostSocket:
    """One socket. ``owners`` are (pid, descriptor); ``path`` is a unix socket's, abstract ones begin with NUL."""

    proto: str
    family: str
    state: str
    inode: int
    uid: int
    local_addr: str = ""
    local_port: int = 0
    remote_addr: str = ""
    remote_port: int = 0
    path: bytes = b""
    peer_inode: int = 0
    owners: tuple[tuple[int, int], ...] = ()

    def to_document(self) -> JsonObject:
        """Return the JSON form of one entry of the evidence kind ``sockets``."""
        pid, fd = self.owners[0] if self.owners else (None, None)
        return {
            "proto": self.proto,
            "family": self.family,
            "local_addr": self.local_addr,
            "local_port": self.local_port,
            "remote_addr": self.remote_addr,
            "remote_port": self.remote_port,
            "state": self.state,
            "inode": self.inode,
            "uid": self.uid,
            "pid": pid,
            "fd": fd,
            "path": from_bytes(self.path) if self.path else None,
            "peer_inode": self.peer_inode or None,
            "owners": [{"pid": owner, "fd": descriptor} for owner, descriptor in self.owners],
        }


@dataclass(frozen=True, slots=True)
class NetView:
    """One network namespace at one moment. ``errors`` names each part that could not be read."""

    inode: int
    pids: tuple[int, ...]
    sockets: tuple[HostSocket, ...]
    interfaces: tuple[Interface, ...]
    routes: tuple[str, ...]
    neighbours: tuple[tuple[str, str], ...]
    raw: tuple[tuple[str, bytes], ...]
    errors: tuple[str, ...] = ()

    def to_document(self) -> JsonObject:
        """Return the JSON form of the evidence kind ``sockets`` for this namespace."""
        return {
            "namespace": self.inode,
            "pids": list(self.pids),
            "sockets": [found.to_document() for found in self.sockets],
            "interfaces": [interface._asdict() for interface in self.interfaces],
            "routes": list(self.routes),
            "neighbours": [{"address": address, "mac": mac} for address, mac in self.neighbours],
            "raw": {name: from_bytes(content) for name, content in self.raw},
            "errors": list(self.errors),
        }


def read_net_namespace(pid: int) -> NetView:
    """Return what the network namespace of *pid* holds; sockets have no owners yet.

    Raises:
        FileNotFoundError: the process is gone.
    """
    base = f"/proc/{pid}/net"
    errors: list[str] = []
    sockets = [entry for table in _TABLES for entry in _read_inet_table(base, table, errors)]
    sockets += _read_unix(pid, errors) + _read_packet(base) + _read_netlink(base)
    interfaces, routes, neighbours = _read_links(pid, errors)
    inode = namespace_inode(pid, "net")
    if not inode:
        raise FileNotFoundError(f"the network namespace of pid {pid} is gone, or may not be read")
    return NetView(
        inode=inode,
        pids=(pid,),
        sockets=tuple(sockets),
        interfaces=interfaces,
        routes=routes,
        neighbours=neighbours,
        raw=tuple((name, read_or_empty(f"{base}/{name}")[:_RAW_LIMIT_BYTES]) for name in _RAW_FILES),
        errors=tuple(errors),
    )


def read_container_network(processes: Iterable[HostProcess]) -> tuple[NetView, ...]:
    """Return every network namespace that a process, or a single thread, lives in, with the sockets' owners.

    A thread can move to a namespace of its own (unshare(2)), where a look at its process does not find its sockets.
    """
    processes = tuple(processes)
    owners = _socket_owners(processes)
    members: dict[int, list[int]] = {}
    for process in processes:
        members.setdefault(process.namespace("net"), []).append(process.pid)
        for thread, inode in _stray_threads(process):
            members.setdefault(inode, []).append(thread)
    views = []
    for inode, pids in members.items():
        view = _read_first(pids) if inode else None
        if view is not None:
            sockets = tuple(replace(found, owners=owners.get(found.inode, ())) for found in view.sockets)
            views.append(replace(view, pids=tuple(pids), sockets=sockets))
    return tuple(views)


def find_unlisted_sockets(
    processes: Iterable[HostProcess], views: Iterable[NetView]
) -> tuple[tuple[int, int, int], ...]:
    """Return (pid, descriptor, inode) of open sockets that no view lists.

    Such a socket was made in another namespace and handed over, or is of a family without a table (AF_ALG, AF_VSOCK).
    """
    listed = {found.inode for view in views for found in view.sockets}
    owners = _socket_owners(tuple(processes))
    return tuple(
        (pid, fd, inode) for inode, holders in sorted(owners.items()) if inode not in listed for pid, fd in holders
    )


def _stray_threads(process: HostProcess) -> list[tuple[int, int]]:
    if process.threads <= 1:
        return []
    try:
        threads = sorted(int(name) for name in os.listdir(f"/proc/{process.pid}/task"))  # noqa: PTH208 - names only
    except OSError:
        return []
    found = [(thread, namespace_inode(thread, "net")) for thread in threads if thread != process.pid]
    return [(thread, inode) for thread, inode in found if inode not in {0, process.namespace("net")}]


def _read_first(pids: list[int]) -> NetView | None:
    for pid in pids:
        try:
            return read_net_namespace(pid)
        except FileNotFoundError:
            continue
    return None


def _socket_owners(processes: tuple[HostProcess, ...]) -> dict[int, tuple[tuple[int, int], ...]]:
    owners: dict[int, tuple[tuple[int, int], ...]] = {}
    for process in processes:
        for file in process.fds:
            if file.target.startswith(b"socket:["):
                inode = int(file.target[8:-1])
                owners[inode] = (*owners.get(inode, ()), (process.pid, file.fd))
    return owners


def _read_inet_table(base: str, table: str, errors: list[str]) -> list[HostSocket]:
    try:
        rows = read_bytes(f"{base}/{table}").splitlines()[1:]
    except FileNotFoundError:
        return []  # the kernel does not have this protocol
    except OSError as error:
        errors.append(f"{table}: {error.strerror}")
        return []
    return [parse_inet_row(row, table) for row in rows]


def parse_inet_row(row: bytes, table: str) -> HostSocket:
    """Return the socket of one row of /proc/net/tcp and its like, proc_pid_net(5)."""
    fields = row.decode("ascii").split()
    local_addr, local_port = _parse_endpoint(fields[1])
    remote_addr, remote_port = _parse_endpoint(fields[2])
    state = int(fields[3], 16)
    proto = table.removesuffix("6")
    return HostSocket(
        proto=proto,
        family="ipv6" if table.endswith("6") else "ipv4",
        state=TCP_STATES[state] if proto == "tcp" else ("ESTABLISHED" if state == 1 else "UNCONNECTED"),
        inode=int(fields[9]),
        uid=int(fields[7]),
        local_addr=local_addr,
        local_port=local_port,
        remote_addr=remote_addr,
        remote_port=remote_port,
    )


def _parse_endpoint(text: str) -> tuple[str, int]:
    """Addresses are printed as 32-bit words in the host's byte order."""
    address, port = text.split(":")
    words = [bytes.fromhex(address[start : start + 8]) for start in range(0, len(address), 8)]
    if _LITTLE_ENDIAN:
        words = [word[::-1] for word in words]
    packed = b"".join(words)
    family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6  # noqa: PLR2004 - bytes of an IPv4 address
    return socket.inet_ntop(family, packed), int(port, 16)


_LITTLE_ENDIAN = socket.htons(1) != 1


def _read_unix(pid: int, errors: list[str]) -> list[HostSocket]:
    try:
        found = list_unix_sockets(pid)
    except (OSError, EngineError) as error:
        errors.append(f"unix: {error}")
        return []
    return [
        HostSocket(
            proto=UNIX_TYPES.get(entry.type, str(entry.type)),
            family="unix",
            state=_UNIX_STATES.get(entry.state, str(entry.state)),
            inode=entry.inode,
            uid=entry.uid,
            path=entry.name,
            peer_inode=entry.peer_inode,
        )
        for entry in found
    ]


def _read_packet(base: str) -> list[HostSocket]:
    """Packet sockets: whoever has one sees and sends raw frames (sniffers, some backdoors)."""
    rows = [row.split() for row in read_or_empty(f"{base}/packet").decode("ascii", "replace").splitlines()[1:]]
    return [HostSocket("packet", "packet", f"protocol 0x{row[3]}", int(row[8]), int(row[7])) for row in rows]


def _read_netlink(base: str) -> list[HostSocket]:
    rows = [row.split() for row in read_or_empty(f"{base}/netlink").decode("ascii", "replace").splitlines()[1:]]
    return [HostSocket("netlink", "netlink", f"protocol {row[1]}", int(row[9]), -1) for row in rows if int(row[2])]


def _read_links(
    pid: int, errors: list[str]
) -> tuple[tuple[Interface, ...], tuple[str, ...], tuple[tuple[str, str], ...]]:
    try:
        with Namespace(f"/proc/{pid}/ns/net") as namespace:
            snapshot = namespace.read()
    except (OSError, EngineError) as error:
        errors.append(f"interfaces, routes, neighbours: {error}")
        return (), (), ()
    return snapshot.interfaces, snapshot.routes, snapshot.neighbours
