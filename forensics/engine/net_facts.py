"""What one network namespace held at one moment: interfaces, routes, sockets, and what follows from them.

Facts only: nothing is read here, and nothing in the container is asked. Names are the attacker's.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from forensics.engine.netlink import RawSocket
    from forensics.model import JsonObject

ESTABLISHED = 1
TCP_STATES = (
    *("", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT"),
    *("LAST_ACK", "LISTEN", "CLOSING", "NEW_SYN_RECV"),
)
"""The kernel's numbers of TCP states (include/net/tcp_states.h); 0 is none."""
PROTOCOLS = ((socket.IPPROTO_TCP, "tcp"), (socket.IPPROTO_UDP, "udp"), (socket.IPPROTO_RAW, "raw"))
_FALLBACK_TUNNELS = {
    "tunl0": "ipip",
    "sit0": "sit",
    "gre0": "gre",
    "gretap0": "gretap",
    "erspan0": "erspan",
    "ip6tnl0": "ip6tnl",
    "ip6gre0": "ip6gre",
    "ip_vti0": "vti",
    "ip6_vti0": "vti6",
}
"""Devices that the kernel makes by itself, down and without address, in every namespace, and their kinds."""


class Interface(NamedTuple):
    """One interface; ``peer_index`` is the index of its other end or parent in the namespace where that lives."""

    ifindex: int
    name: str
    kind: str
    mac: str
    is_up: bool
    is_loopback: bool
    peer_index: int
    addresses: tuple[str, ...]
    rx_packets: int
    tx_packets: int
    rx_bytes: int
    tx_bytes: int

    @property
    def is_harmless(self) -> bool:
        """Whether it is loopback, or an unraised fallback device of the kernel; its name alone says nothing."""
        is_fallback = bool(self.kind) and _FALLBACK_TUNNELS.get(self.name) == self.kind
        return self.is_loopback or (is_fallback and not self.is_up and not self.addresses)


class Snapshot(NamedTuple):
    """What a namespace held at one moment; ``routes`` leave out those of loopback."""

    inode: int
    interfaces: tuple[Interface, ...]
    routes: tuple[str, ...]
    neighbours: tuple[tuple[str, str], ...]
    sockets: tuple[RawSocket, ...]
    reachable: tuple[str, ...]

    @property
    def uplinks(self) -> tuple[Interface, ...]:
        """The interfaces through which a packet could leave, now or once raised."""
        return tuple(interface for interface in self.interfaces if not interface.is_harmless)

    @property
    def established(self) -> tuple[RawSocket, ...]:
        """TCP connections with anyone but this namespace itself."""
        return tuple(found for found in self.sockets if is_foreign_connection(found))


def is_foreign_connection(found: RawSocket) -> bool:
    """Whether this is a TCP connection, half-open ones included, to another address than its own or loopback."""
    if found.protocol != socket.IPPROTO_TCP or TCP_STATES[found.state] in {"", "CLOSE", "LISTEN", "TIME_WAIT"}:
        return False
    remote = found.remote[0].removeprefix("::ffff:")
    return remote != found.local[0].removeprefix("::ffff:") and not remote.startswith("127.") and remote != "::1"


def find_loopback_services(snapshot: Snapshot) -> tuple[RawSocket, ...]:
    """Return what listens on an IPv4 loopback address that is not 127.0.0.1: where Docker puts its resolver."""
    return tuple(
        found
        for found in snapshot.sockets
        if found.local[0].startswith("127.")
        and found.local[0] != "127.0.0.1"
        and (found.protocol == socket.IPPROTO_UDP or TCP_STATES[found.state] == "LISTEN")
    )


def to_document(snapshot: Snapshot) -> JsonObject:
    """Return the snapshot as JSON; names are the attacker's and unescaped."""
    return {
        "namespace": snapshot.inode,
        "interfaces": [_render_interface(interface) for interface in snapshot.interfaces],
        "routes": list(snapshot.routes),
        "neighbours": [{"address": address, "mac": mac} for address, mac in snapshot.neighbours],
        "sockets": [render_socket(found) for found in snapshot.sockets],
        "routes_found_to": list(snapshot.reachable),
    }


def render_socket(found: RawSocket) -> JsonObject:
    """Return one socket as JSON, in the words of the sockets artefact."""
    return {
        "proto": dict(PROTOCOLS)[found.protocol],
        "family": "ipv4" if found.family == socket.AF_INET else "ipv6",
        "local_addr": found.local[0],
        "local_port": found.local[1],
        "remote_addr": found.remote[0],
        "remote_port": found.remote[1],
        "state": TCP_STATES[found.state] if found.state < len(TCP_STATES) else str(found.state),
        "inode": found.inode,
        "uid": found.uid,
    }


def _render_interface(interface: Interface) -> JsonObject:
    return interface._asdict() | {"addresses": list(interface.addresses)}
