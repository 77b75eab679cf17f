"""Reads and mends one network namespace through netlink(7) and sock_diag(7), from outside, without any tool.

A socket belongs to the namespace in which it was made, so a thread of ours enters the namespace only to open its
sockets and leaves at once; no code of the suspect is ever run. Parsing is bounded by the kernel's message lengths.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import socket
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from forensics.errors import EngineError

if TYPE_CHECKING:
    import ctypes

_NETLINK_SOCK_DIAG = 4
_HEADER = struct.Struct("=IHHII")
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_ERROR_TYPE, _DONE_TYPE = 2, 3
_RECEIVE_BYTES = 1 << 16
_TIMEOUT_SECONDS = 5.0
_NEW_LINK, _DELETE_LINK, _GET_LINK, _GET_ADDRESS, _GET_ROUTE, _GET_NEIGHBOUR = 16, 17, 18, 22, 26, 30
_NEW_ROUTE, _DELETE_ROUTE = 24, 25
_GET_NAMESPACE_ID, _NAMESPACE_ID, _NAMESPACE_BY_DESCRIPTOR, _TARGET_NAMESPACE = 90, 1, 3, 46
_CREATE, _REPLACE = 0x400, 0x100
_LOCAL_TABLE, _UNREACHABLE, _OURS = 255, 7, 105
"""The table that is asked first, the type that answers "no way", and a protocol number that marks a route as ours."""
_BY_FAMILY, _DESTROY = 20, 21
_CLONE_NEWNET = 0x40000000
_UP = 0x1
_TYPE_MASK = 0x3FFF
_SOCKET_ID = slice(4, 52)

Attributes = dict[int, bytes]


class RawSocket(NamedTuple):
    """One socket of sock_diag: the message, with the key that destroys exactly this socket."""

    family: int
    protocol: int
    state: int
    local: tuple[str, int]
    remote: tuple[str, int]
    inode: int
    uid: int
    key: bytes


class Netlink:
    """The netlink sockets of one network namespace."""

    def __init__(self, descriptor: int) -> None:
        """Open sockets in the network namespace behind *descriptor* (an open ``/proc/PID/ns/net``)."""
        with entered(descriptor):
            self._route = _open(socket.NETLINK_ROUTE)
            self._diag = _open(_NETLINK_SOCK_DIAG)
        self._sequence = 0

    def close(self) -> None:
        """Close the sockets."""
        self._route.close()
        self._diag.close()

    def links(self, namespace_id: int | None = None) -> list[tuple[bytes, Attributes]]:
        """Return every interface: the ifinfomsg (16 bytes) and its attributes.

        With *namespace_id* those of another namespace, which this one knows by that number (Linux 4.15).
        """
        target = b"" if namespace_id is None else struct.pack("=HHi", 8, _TARGET_NAMESPACE, namespace_id)
        return self._dump(_GET_LINK, bytes(16) + target, 16)

    def link(self, index: int) -> tuple[bytes, Attributes] | None:
        """Return one interface as :meth:`links` does; None where there is none."""
        try:
            found = self._exchange(self._route, _GET_LINK, _REQUEST | _ACK, struct.pack("=BxHiII", 0, 0, index, 0, 0))
        except OSError as error:
            if error.errno == errno.ENODEV:
                return None
            raise
        return (found[0][:16], parse_attributes(found[0][16:])) if found else None

    def namespace_id(self, descriptor: int) -> int:
        """Return the number by which this namespace knows the one behind *descriptor* (RTM_GETNSID), -1 if it has none.

        Raises:
            OSError: it is no network namespace.
        """
        request = struct.pack("=B3xHHI", 0, 8, _NAMESPACE_BY_DESCRIPTOR, descriptor)
        for body in self._exchange(self._route, _GET_NAMESPACE_ID, _REQUEST | _ACK, request):
            return int(struct.unpack("=i", parse_attributes(body[4:])[_NAMESPACE_ID])[0])
        return -1

    def addresses(self) -> list[tuple[bytes, Attributes]]:
        """Return every address: the ifaddrmsg (8 bytes) and its attributes."""
        return self._dump(_GET_ADDRESS, bytes(8), 8)

    def routes(self) -> list[tuple[bytes, Attributes]]:
        """Return every route of every table: the rtmsg (12 bytes) and its attributes."""
        return self._dump(_GET_ROUTE, bytes(12), 12)

    def neighbours(self) -> list[tuple[bytes, Attributes]]:
        """Return the neighbour tables: the ndmsg (12 bytes) and its attributes."""
        return self._dump(_GET_NEIGHBOUR, bytes(12), 12)

    def sockets(self, family: int, protocol: int) -> list[RawSocket]:
        """Return the sockets of one family and protocol; none where the kernel has no diagnosis for it."""
        request = struct.pack("=BBBBI48x", family, protocol, 0, 0, 0xFFFFFFFF)
        try:
            messages = self._exchange(self._diag, _BY_FAMILY, _REQUEST | _DUMP, request)
            return [_parse_socket(body, protocol) for body in messages]
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.EINVAL, errno.EOPNOTSUPP}:
                return []
            raise

    def destroy(self, found: RawSocket) -> None:
        """Abort one socket (SOCK_DESTROY, Linux 4.5); one that is gone already is fine.

        Raises:
            EngineError: the kernel was built without CONFIG_INET_DIAG_DESTROY, or refuses.
        """
        request = struct.pack("=BBBBI", found.family, found.protocol, 0, 0, 0xFFFFFFFF) + found.key
        try:
            self._exchange(self._diag, _DESTROY, _REQUEST | _ACK, request)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise EngineError(f"the kernel does not destroy sockets ({error.strerror})") from error

    def set_link(self, index: int, *, up: bool | None = None, mac: str = "") -> None:
        """Raise or lower an interface, or give it a hardware address."""
        flags, change = (_UP if up else 0), (0 if up is None else _UP)
        request = struct.pack("=BxHiII", 0, 0, index, flags, change)
        if mac:
            request += struct.pack("=HH", 10, 1) + bytes.fromhex(mac.replace(":", "")) + bytes(2)
        self._change(_NEW_LINK, request, "change")

    def delete_link(self, index: int) -> None:
        """Delete an interface, and with it the other end of a pair; one that is gone already is fine."""
        self._change(_DELETE_LINK, struct.pack("=BxHiII", 0, 0, index, 0, 0), "delete")

    def block_address(self, address: str) -> None:
        """Let no packet go to one IPv4 address, one of this namespace's own included (rtnetlink(7)); twice is fine."""
        self._exchange_route(_NEW_ROUTE, _REQUEST | _ACK | _CREATE | _REPLACE, address, "block")

    def unblock_address(self, address: str) -> None:
        """Undo :meth:`block_address`; a block that is gone already is fine."""
        self._exchange_route(_DELETE_ROUTE, _REQUEST | _ACK, address, "unblock")

    def _exchange_route(self, kind: int, flags: int, address: str, verb: str) -> None:
        request = struct.pack("=BBBBBBBBI", socket.AF_INET, 32, 0, 0, _LOCAL_TABLE, _OURS, 0, _UNREACHABLE, 0)
        request += struct.pack("=HH", 8, 1) + socket.inet_aton(address)
        try:
            self._exchange(self._route, kind, flags, request)
        except OSError as error:
            if error.errno != errno.ESRCH:
                raise EngineError(f"the kernel does not {verb} {address} ({error.strerror})") from error

    def _change(self, kind: int, request: bytes, verb: str) -> None:
        try:
            self._exchange(self._route, kind, _REQUEST | _ACK, request)
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise EngineError(f"the kernel does not {verb} the interface ({error.strerror})") from error

    def _dump(self, kind: int, request: bytes, fixed: int) -> list[tuple[bytes, Attributes]]:
        messages = self._exchange(self._route, kind, _REQUEST | _DUMP, request)
        return [(body[:fixed], parse_attributes(body[fixed:])) for body in messages]

    def _exchange(self, channel: socket.socket, kind: int, flags: int, request: bytes) -> list[bytes]:
        self._sequence += 1
        header = _HEADER.pack(_HEADER.size + len(request), kind, flags, self._sequence, 0)
        channel.send(header + request)
        bodies: list[bytes] = []
        while True:
            for message_kind, sequence, body in _split(channel.recv(_RECEIVE_BYTES)):
                if sequence != self._sequence:
                    continue
                if message_kind == _DONE_TYPE:
                    return bodies
                if message_kind == _ERROR_TYPE:
                    code: int = -struct.unpack_from("=i", body)[0]
                    if code:
                        raise OSError(code, os.strerror(code))
                    return bodies
                bodies.append(body)


@contextlib.contextmanager
def entered(descriptor: int) -> Iterator[None]:
    """Let this thread stand in another network namespace; it is back in its own when the block ends.

    Raises:
        EngineError: the kernel refuses (CAP_SYS_ADMIN is needed).
    """
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _set_namespace(descriptor)
        try:
            yield
        finally:
            _set_namespace(home)
    finally:
        os.close(home)


@functools.cache
def load_library() -> ctypes.CDLL:
    """Return the C library, for system calls that Python has no name for."""
    import ctypes  # noqa: PLC0415 - see below

    return ctypes.CDLL(None, use_errno=True)


def _set_namespace(descriptor: int) -> None:
    import ctypes  # noqa: PLC0415 - os.setns exists from Python 3.12 only

    if load_library().setns(descriptor, _CLONE_NEWNET):
        reason = os.strerror(ctypes.get_errno())
        raise EngineError(f"the network namespace cannot be entered ({reason})", hint="run it as root")


def _open(protocol: int) -> socket.socket:
    channel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
    channel.settimeout(_TIMEOUT_SECONDS)
    channel.bind((0, 0))
    return channel


def _split(datagram: bytes) -> Iterator[tuple[int, int, bytes]]:
    offset = 0
    while offset + _HEADER.size <= len(datagram):
        length, kind, _, sequence, _ = _HEADER.unpack_from(datagram, offset)
        if length < _HEADER.size or offset + length > len(datagram):
            raise EngineError("a netlink answer is cut off")
        yield kind, sequence, datagram[offset + _HEADER.size : offset + length]
        offset += (length + 3) & ~3


def parse_attributes(raw: bytes) -> Attributes:
    """Return the route attributes of a message (rtnetlink(7)): type to payload; nested ones stay bytes."""
    attributes: Attributes = {}
    offset = 0
    while offset + 4 <= len(raw):
        length, kind = struct.unpack_from("=HH", raw, offset)
        if length < 4:  # noqa: PLR2004 - the header of an attribute
            break
        attributes[kind & _TYPE_MASK] = raw[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return attributes


def _parse_socket(body: bytes, protocol: int) -> RawSocket:
    family, state = body[0], body[1]
    source_port, destination_port = struct.unpack_from("!HH", body, 4)
    size = 4 if family == socket.AF_INET else 16
    uid, inode = struct.unpack_from("=II", body, 64)
    return RawSocket(
        family=family,
        protocol=protocol,
        state=state,
        local=(socket.inet_ntop(family, body[8 : 8 + size]), source_port),
        remote=(socket.inet_ntop(family, body[24 : 24 + size]), destination_port),
        inode=inode,
        uid=uid,
        key=body[_SOCKET_ID],
    )
