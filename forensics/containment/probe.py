"""Asks the container's addresses for an echo (RFC 792, RFC 4443) from the engine's own network namespace.

The kernel answers for a namespace even while its processes are frozen, so silence after an answer before the cut means
that no packet arrives or none comes back. Without an answer before the cut, silence means nothing, and is not counted.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import time
from typing import TYPE_CHECKING

from forensics.engine.netns import Namespace
from forensics.errors import EngineError

if TYPE_CHECKING:
    from forensics.engine.base import Container

_ECHO_V4, _ECHO_V6 = (8, 0), (128, 129)
_TOKEN_BYTES = 16
_RECEIVE_BYTES = 2048
_LONGEST_SECONDS = 0.1
_SHORTEST_SECONDS = 0.005
_PATIENCE = 20


class EchoProbe:
    """Raw sockets in one network namespace, usually the engine's; send, then collect the answers."""

    def __init__(self, namespace_path: str) -> None:
        """Open the sockets. Where that is not possible the probe stays silent and :attr:`problem` says why."""
        self.problem = ""
        self._token = os.urandom(_TOKEN_BYTES)
        self._sockets: dict[int, socket.socket] = {}
        self._sent: set[str] = set()
        self._sent_at = 0.0
        self.wait_seconds = _LONGEST_SECONDS
        try:
            with Namespace(namespace_path) as namespace:
                for family in (socket.AF_INET, socket.AF_INET6):
                    self._sockets[family] = namespace.open_raw(family)
                    self._sockets[family].setblocking(False)
        except (OSError, EngineError) as error:
            self.problem = f"no probe from the engine's side ({error})"

    def send(self, addresses: tuple[str, ...]) -> None:
        """Send one echo request to each address."""
        self._token, self._sent, self._sent_at = os.urandom(_TOKEN_BYTES), set(), time.monotonic()
        for address in addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            if family not in self._sockets:
                continue
            try:
                self._sockets[family].sendto(_build(family, self._token), (address, 0))
                self._sent.add(address)
            except OSError:
                continue  # no way to there: the same as no answer, and nothing to wait for

    def collect(self, wait_seconds: float) -> tuple[str, ...]:
        """Return the addresses that answered within *wait_seconds* of the sending; returns early if all did."""
        answered: set[str] = set()
        while answered < self._sent:
            left = self._sent_at + wait_seconds - time.monotonic()
            ready = select.select(list(self._sockets.values()), [], [], max(left, 0))[0]
            if not ready:
                break
            for channel in ready:
                answered.update(self._receive(channel))
        return tuple(sorted(answered & self._sent))

    def calibrate(self) -> tuple[str, ...]:
        """Return who answers now; afterwards :attr:`wait_seconds` is twenty times as long as that took."""
        answered = self.collect(_SHORTEST_SECONDS * 4)
        if answered:
            took = time.monotonic() - self._sent_at
            self.wait_seconds = min(max(took * _PATIENCE, _SHORTEST_SECONDS), _LONGEST_SECONDS)
        return answered

    def ask(self, addresses: tuple[str, ...], wait_seconds: float = 0.0) -> tuple[str, ...]:
        """Send one echo request to each address and return who answers, by default within what is usual nearby."""
        self.send(addresses)
        return self.collect(wait_seconds or _SHORTEST_SECONDS * 4)

    def close(self) -> None:
        """Close the sockets."""
        for channel in self._sockets.values():
            channel.close()
        self._sockets = {}

    def _receive(self, channel: socket.socket) -> set[str]:
        try:
            packet, sender = channel.recvfrom(_RECEIVE_BYTES)
        except OSError:
            return set()
        if channel.family == socket.AF_INET:
            packet = packet[(packet[0] & 0xF) * 4 :]
            is_reply = packet[:1] == bytes([_ECHO_V4[1]])
        else:
            is_reply = packet[:1] == bytes([_ECHO_V6[1]])
        return {str(sender[0]).partition("%")[0]} if is_reply and self._token in packet else set()


def find_gateways(container: Container) -> tuple[str, ...]:
    """Return the gateways of its networks, as the engine tells them, but for link-local ones."""
    attached = (container.raw.get("NetworkSettings") or {}).get("Networks") or {}
    found = (
        str((endpoint or {}).get(key) or "") for endpoint in attached.values() for key in ("Gateway", "IPv6Gateway")
    )
    return tuple(dict.fromkeys(address for address in found if address and not address.startswith("fe80")))


def find_unsettled(paths: tuple[str, ...], addresses: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of *addresses* that cannot answer yet: an address of their subnet is tentative (RFC 4862, 5.4).

    *paths* open the network namespaces of both sides: on either, the kernel may still ask whether an address is free.
    """
    if not any(":" in address for address in addresses):
        return ()
    import ipaddress  # noqa: PLC0415 - only where an IPv6 address does not answer

    subnets = []
    for path in filter(None, paths):
        with contextlib.suppress(OSError, EngineError), Namespace(path) as namespace:
            subnets += [ipaddress.ip_interface(found).network for found in namespace.list_tentative()]
    return tuple(one for one in addresses if any(ipaddress.ip_address(one) in subnet for subnet in subnets))


def _build(family: int, token: bytes) -> bytes:
    kind = (_ECHO_V4 if family == socket.AF_INET else _ECHO_V6)[0]
    identifier = os.getpid() & 0xFFFF
    body = struct.pack("!HH", identifier, 1) + token
    checksum = _checksum(bytes([kind, 0, 0, 0]) + body) if family == socket.AF_INET else 0
    return struct.pack("!BBH", kind, 0, checksum) + body


def _checksum(packet: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(packet) // 2}H", packet))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF
