"""Unix sockets of a network namespace through sock_diag(7): names with their length, so that none can forge a row."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator

from forensics.engine.netlink import entered, parse_attributes
from forensics.frozen import dataclass

UNIX_TYPES = {1: "stream", 2: "dgram", 5: "seqpacket"}
_NETLINK_SOCK_DIAG = 4
_BY_FAMILY = 20
_REQUEST_DUMP = 0x301
_SHOW = 0x1 | 0x4 | 0x40  # name, peer, uid
_NAME, _PEER, _UID = 0, 2, 7
_DONE, _ERROR = 3, 2
_HEADER = struct.Struct("=IHHII")
_MESSAGE = struct.Struct("=BBBBIII")
_RECEIVE_BYTES = 1 << 18
_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class UnixSocket:
    """One unix socket; an abstract name begins with a NUL byte, an unnamed one is empty."""

    type: int
    state: int
    inode: int
    name: bytes
    peer_inode: int
    uid: int


def list_unix_sockets(pid: int) -> list[UnixSocket]:
    """Return the unix sockets of the network namespace of *pid*.

    Raises:
        OSError: the kernel has no unix_diag, or the process is gone.
        EngineError: the namespace may not be entered.
    """
    descriptor = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        with entered(descriptor):
            channel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG)
    finally:
        os.close(descriptor)
    with channel:
        channel.settimeout(_TIMEOUT_SECONDS)
        request = struct.pack("=BBHIIIII", socket.AF_UNIX, 0, 0, 0xFFFFFFFF, 0, _SHOW, 0xFFFFFFFF, 0xFFFFFFFF)
        channel.send(_HEADER.pack(_HEADER.size + len(request), _BY_FAMILY, _REQUEST_DUMP, 1, 0) + request)
        return [_parse(body) for body in _receive(channel)]


def _receive(channel: socket.socket) -> Iterator[bytes]:
    while True:
        datagram = channel.recv(_RECEIVE_BYTES)
        offset = 0
        while offset + _HEADER.size <= len(datagram):
            length, kind = struct.unpack_from("=IH", datagram, offset)
            body = datagram[offset + _HEADER.size : offset + length]
            if kind == _DONE:
                return
            if kind == _ERROR:
                code: int = -struct.unpack_from("=i", body)[0]
                raise OSError(code, os.strerror(code))
            yield body
            offset += max((length + 3) & ~3, _HEADER.size)


def _parse(body: bytes) -> UnixSocket:
    _, kind, state, _, inode, _, _ = _MESSAGE.unpack_from(body)
    found = parse_attributes(body[_MESSAGE.size :])
    name = found.get(_NAME, b"")
    return UnixSocket(
        type=kind,
        state=state,
        inode=inode,
        name=name if name.startswith(b"\0") else name.removesuffix(b"\0"),
        peer_inode=struct.unpack("=I", found.get(_PEER, bytes(4))[:4])[0],
        uid=struct.unpack("=I", found.get(_UID, bytes(4))[:4])[0],
    )
