"""Opens a network namespace and reads what it holds: interfaces, addresses, routes, sockets, counters, ways out.

Nothing in the container is asked, because an attacker answers there. A namespace that a process holds open, or that is
bound to a file, counts as much as one that a process lives in.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Iterable
from pathlib import Path

from forensics.engine.net_facts import PROTOCOLS, Interface, Snapshot
from forensics.engine.netlink import Attributes, Netlink, entered, parse_attributes
from forensics.errors import EngineError
from forensics.text import from_bytes

_FAMILIES = (socket.AF_INET, socket.AF_INET6)
_IFLA_ADDRESS, _IFLA_NAME, _IFLA_LINK, _IFLA_LINKINFO, _IFLA_STATS64 = 1, 3, 5, 18, 23
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_TABLE = 1, 4, 5, 15
_NDA_DST, _NDA_LLADDR = 1, 2
_TENTATIVE = 0x40
"""IFA_F_TENTATIVE (linux/if_addr.h)."""
_LOOPBACK = 0x8
_UP = 0x1
_ROUTE_PROBES = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
"""Documentation addresses (RFC 5737, RFC 3849): connecting a UDP socket looks the route up and sends nothing."""


class Namespace:
    """An open network namespace; it cannot vanish or be exchanged while this is open."""

    def __init__(self, path: str) -> None:
        """Open *path*: ``/proc/PID/ns/net``, or ``/proc/PID/fd/N``, which may be a socket of the namespace.

        Raises:
            OSError: it is gone, is no namespace, or may not be opened.
            EngineError: it may not be entered.
        """
        self._descriptor = open_namespace(path)
        found = os.fstat(self._descriptor)
        self.inode = found.st_ino
        try:
            _check_is_namespace(found.st_dev, path)
            self.netlink = Netlink(self._descriptor)
        except BaseException:
            os.close(self._descriptor)
            raise

    def close(self) -> None:
        """Let go of the namespace."""
        self.netlink.close()
        os.close(self._descriptor)

    def __enter__(self) -> Namespace:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self) -> Snapshot:
        """Return what the namespace holds now."""
        links = self.netlink.links()
        addresses = _group_addresses(self.netlink.addresses())
        interfaces = tuple(_parse_link(header, found, addresses) for header, found in links)
        names = {interface.ifindex: interface for interface in interfaces}
        sockets = [
            found
            for protocol, _ in PROTOCOLS
            for family in _FAMILIES
            for found in self.netlink.sockets(family, protocol)
        ]
        return Snapshot(
            inode=self.inode,
            interfaces=interfaces,
            routes=tuple(route for raw in self.netlink.routes() if (route := _parse_route(*raw, names))),
            neighbours=tuple(pair for raw in self.netlink.neighbours() if (pair := _parse_neighbour(*raw))),
            sockets=tuple(sockets),
            reachable=self.probe_routes(),
        )

    def list_tentative(self) -> tuple[str, ...]:
        """Return the addresses, with their prefix lengths, about which the kernel still asks whether they are free.

        Until then nothing is sent from them and nothing answers at them (RFC 4862, 5.4).
        """
        grouped = _group_addresses(self.netlink.addresses(), _TENTATIVE)
        return tuple(address for addresses in grouped.values() for address in addresses)

    def probe_routes(self, targets: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return those of the probe addresses and *targets* to which this namespace knows a way; sends nothing."""
        wanted = [*_ROUTE_PROBES, *((_family_of(target), target) for target in targets)]
        with entered(self._descriptor):
            return tuple(address for family, address in wanted if _has_route(family, address))

    def open_raw(self, family: int) -> socket.socket:
        """Return a raw ICMP socket of this namespace; only ever used in the engine's own namespace."""
        protocol = socket.IPPROTO_ICMP if family == socket.AF_INET else socket.IPPROTO_ICMPV6
        with entered(self._descriptor):
            return socket.socket(family, socket.SOCK_RAW, protocol)


def open_one(inode: int, paths: Iterable[str]) -> Namespace:
    """Return the namespace *inode*, opened by the first of *paths* that still leads to it: processes come and go.

    Raises:
        EngineError: none does any more.
    """
    reason = "no process stands in it any more"
    for path in paths:
        try:
            namespace = Namespace(path)
        except (OSError, EngineError) as error:
            reason = str(error)
            continue
        if namespace.inode == inode:
            return namespace
        namespace.close()
        reason = "it was exchanged"
    raise EngineError(f"network namespace {inode} cannot be opened ({reason})")


def open_namespace(path: str) -> int:
    """Return a descriptor of the network namespace at *path*, as :class:`Namespace` reads it.

    Raises:
        OSError: it is gone, or may not be opened.
    """
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
    from forensics.engine.held import open_held  # noqa: PLC0415 - only for a socket, which cannot be opened

    return open_held(path)


def _check_is_namespace(device: int, path: str) -> None:
    if device != Path("/proc/self/ns/net").stat().st_dev:
        raise OSError(errno.EINVAL, "no namespace", path)


def _parse_link(header: bytes, found: Attributes, addresses: dict[int, list[str]]) -> Interface:
    _, index, flags, _ = struct.unpack("=HiII", header[2:])
    counters = struct.unpack_from("=QQQQ", found.get(_IFLA_STATS64, b"").ljust(32, b"\0"))
    return Interface(
        ifindex=index,
        name=from_bytes(found.get(_IFLA_NAME, b"").rstrip(b"\0")),
        kind=_parse_kind(found.get(_IFLA_LINKINFO, b"")),
        mac=found.get(_IFLA_ADDRESS, b"").hex(":"),
        is_up=bool(flags & _UP),
        is_loopback=bool(flags & _LOOPBACK),
        peer_index=struct.unpack("=I", found.get(_IFLA_LINK, bytes(4)))[0],
        addresses=tuple(addresses.get(index, ())),
        rx_packets=counters[0],
        tx_packets=counters[1],
        rx_bytes=counters[2],
        tx_bytes=counters[3],
    )


def _parse_kind(info: bytes) -> str:
    return from_bytes(parse_attributes(info).get(1, b"").rstrip(b"\0"))


def _group_addresses(raw: list[tuple[bytes, Attributes]], flag: int = 0) -> dict[int, list[str]]:
    grouped: dict[int, list[str]] = {}
    for header, found in raw:
        family, prefix, flags, _, index = struct.unpack("=BBBBI", header)
        if flags & flag != flag:
            continue
        address = found.get(_IFA_LOCAL) or found.get(_IFA_ADDRESS)
        if family in _FAMILIES and address:
            grouped.setdefault(index, []).append(f"{socket.inet_ntop(family, address)}/{prefix}")
    return grouped


def _parse_route(header: bytes, found: Attributes, interfaces: dict[int, Interface]) -> str:
    family, prefix = header[0], header[1]
    index = struct.unpack("=I", found.get(_RTA_OIF, bytes(4)))[0]
    interface = interfaces.get(index)
    if family not in _FAMILIES or interface is None or interface.is_loopback:
        return ""
    destination = f"{socket.inet_ntop(family, found[_RTA_DST])}/{prefix}" if _RTA_DST in found else "default"
    gateway = f" via {socket.inet_ntop(family, found[_RTA_GATEWAY])}" if _RTA_GATEWAY in found else ""
    table = struct.unpack("=I", found.get(_RTA_TABLE, bytes([header[4], 0, 0, 0])))[0]
    return f"{destination}{gateway} dev {interface.name} table {table}"


def _parse_neighbour(header: bytes, found: Attributes) -> tuple[str, str] | None:
    if header[0] not in _FAMILIES or _NDA_DST not in found or not any(found.get(_NDA_LLADDR, b"")):
        return None
    return socket.inet_ntop(header[0], found[_NDA_DST]), found[_NDA_LLADDR].hex(":")


def _family_of(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _has_route(family: int, address: str) -> bool:
    with contextlib.closing(socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)) as probe:
        try:
            probe.connect((address, 9))
        except OSError as error:
            return error.errno not in {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
        return True
