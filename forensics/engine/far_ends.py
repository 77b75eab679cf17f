"""The engine's side of containers' interfaces: the ends of veth pairs in the engine's own network namespace; read-only.

An attacker can hide a namespace from every process table; the end that hangs on the engine's bridge stays where the
engine put it, and the kernel tells by number to which namespace it leads.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

from forensics.engine.netlink import Attributes, parse_attributes
from forensics.engine.netns import Namespace, open_namespace
from forensics.engine.process_table import read_bytes
from forensics.text import from_bytes

_IFLA_ADDRESS, _IFLA_NAME, _IFLA_LINK, _IFLA_MASTER, _IFLA_LINKINFO, _IFLA_LINK_NAMESPACE = 1, 3, 5, 10, 18, 37
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_UP = 0x1
_ROOT_FIELD, _MOUNT_FIELD = 3, 4


class FarEnd(NamedTuple):
    """One end of a pair in the engine's namespace; the other is ``peer_index`` in the namespace ``namespace_id``."""

    ifindex: int
    name: str
    mac: str
    master: int
    peer_index: int
    namespace_id: int


class HiddenEnd(NamedTuple):
    """A far end whose namespace nobody names, and what the kernel says of the interface there."""

    end: FarEnd
    peer_name: str
    peer_mac: str


def read_far_end(namespace: Namespace, index: int) -> FarEnd | None:
    """Return one end by its index; None where there is none, or none of a pair that leads elsewhere."""
    found = namespace.netlink.link(index) if index else None
    return _parse(*found) if found else None


def set_far_end(namespace: Namespace, end: FarEnd, *, up: bool) -> bool:
    """Raise or lower one end; False where another, or none, is there now.

    Raises:
        EngineError: the kernel refuses.
    """
    found = read_far_end(namespace, end.ifindex)
    if found is None or (found.name, found.mac) != (end.name, end.mac):
        return False
    namespace.netlink.set_link(end.ifindex, up=up)
    return True


def is_down(namespace: Namespace, end: FarEnd) -> bool:
    """Whether the end is taken down, or gone: a pair carries nothing then, whatever its other end does."""
    found = namespace.netlink.link(end.ifindex)
    return found is None or not struct.unpack_from("=I", found[0], 8)[0] & _UP


def list_far_ends(namespace: Namespace) -> tuple[FarEnd, ...]:
    """Return every end in the namespace whose other end is in another one."""
    return tuple(end for raw in namespace.netlink.links() if (end := _parse(*raw)))


def find_bridge(namespace: Namespace, name: str, gateways: set[str]) -> int:
    """Return the index of the interface with the engine's name for a bridge, or else with a gateway's address, or 0."""
    for header, found in namespace.netlink.links():
        if _name_of(found) == name:
            return int(struct.unpack_from("=i", header, 4)[0])
    for header, found in namespace.netlink.addresses():
        family, _, _, _, index = struct.unpack("=BBBBI", header)
        raw = found.get(_IFA_LOCAL) or found.get(_IFA_ADDRESS)
        if raw and family in {socket.AF_INET, socket.AF_INET6} and socket.inet_ntop(family, raw) in gateways:
            return int(index)
    return 0


def find_hidden(namespace: Namespace, ends: tuple[FarEnd, ...], own: tuple[str, ...]) -> tuple[HiddenEnd, ...]:
    """Return those of *ends* that lead to a namespace without process, file or descriptor on this host.

    *own* are paths that open further namespaces which are known.
    """
    wanted = {end.namespace_id for end in ends}
    for paths in (own, _list_process_paths(), _list_bound_paths(), _list_descriptor_paths()):
        for path in paths:
            if not wanted:
                return ()
            wanted.discard(name_namespace(namespace, path))
    return tuple(_describe(namespace, end) for end in ends if end.namespace_id in wanted)


def name_namespace(namespace: Namespace, path: str) -> int:
    """Return the number by which *namespace* knows the one at *path*; -1 where it has none, or nothing is there."""
    try:
        descriptor = open_namespace(path)
    except OSError:
        return -1
    try:
        return namespace.netlink.namespace_id(descriptor)
    except OSError:
        return -1
    finally:
        os.close(descriptor)


def _describe(namespace: Namespace, end: FarEnd) -> HiddenEnd:
    with contextlib.suppress(OSError):
        for header, found in namespace.netlink.links(end.namespace_id):
            if struct.unpack_from("=i", header, 4)[0] == end.peer_index:
                return HiddenEnd(end, _name_of(found), found.get(_IFLA_ADDRESS, b"").hex(":"))
    return HiddenEnd(end, "", "")


def _parse(header: bytes, found: Attributes) -> FarEnd | None:
    kind = parse_attributes(found.get(_IFLA_LINKINFO, b"")).get(1, b"").rstrip(b"\0")
    if kind != b"veth" or _IFLA_LINK_NAMESPACE not in found or _IFLA_LINK not in found:
        return None
    return FarEnd(
        ifindex=struct.unpack_from("=i", header, 4)[0],
        name=_name_of(found),
        mac=found.get(_IFLA_ADDRESS, b"").hex(":"),
        master=struct.unpack("=I", found.get(_IFLA_MASTER, bytes(4)))[0],
        peer_index=struct.unpack("=I", found[_IFLA_LINK])[0],
        namespace_id=struct.unpack("=i", found[_IFLA_LINK_NAMESPACE])[0],
    )


def _name_of(found: Attributes) -> str:
    return from_bytes(found.get(_IFLA_NAME, b"").rstrip(b"\0"))


def _list_process_paths() -> Iterator[str]:
    seen = set()
    for name in os.listdir("/proc"):  # noqa: PTH208 - /proc, on the fast way
        if not name.isdigit():
            continue
        path = f"/proc/{name}/ns/net"
        with contextlib.suppress(OSError):
            if (target := os.readlink(path)) not in seen:  # noqa: PTH115 - no path of this host
                seen.add(target)
                yield path


def _list_bound_paths() -> Iterator[str]:
    """Files of the host to which a namespace is bound, as engines and ``ip netns`` do."""
    for pid in ("1", "self"):
        for line in read_bytes(f"/proc/{pid}/mountinfo").splitlines():
            fields = line.split(b" ")
            if len(fields) > _MOUNT_FIELD and fields[_ROOT_FIELD].startswith(b"net:["):
                yield f"/proc/{pid}/root{from_bytes(fields[_MOUNT_FIELD])}"


def _list_descriptor_paths() -> Iterator[str]:
    for name in os.listdir("/proc"):  # noqa: PTH208 - as above
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError):
            for number in os.listdir(f"/proc/{name}/fd"):  # noqa: PTH208 - as above
                with contextlib.suppress(OSError):
                    path = f"/proc/{name}/fd/{number}"
                    if os.readlink(path).startswith("net:["):  # noqa: PTH115 - as above
                        yield path
