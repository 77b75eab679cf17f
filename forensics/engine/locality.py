"""Decides by facts whether an engine's containers are processes of this very host; believes no address."""

from __future__ import annotations

import itertools
import os
import socket
import struct
from collections.abc import Iterator
from typing import Protocol

from forensics.engine.base import Container
from forensics.engine.procfs import namespace_inode

_ASKED_AT_MOST = 8
"""More than one, because a container can end between two looks."""
_PEER = struct.Struct("3i")
_ENGINES = frozenset({b"dockerd", b"podman", b"containerd", b"systemd"})


class _Lister(Protocol):
    @property
    def url(self) -> str: ...

    def iterate_containers(self) -> Iterator[Container]: ...


def is_local(engine: _Lister, witness: Container | None = None) -> bool:
    """Return whether /proc of this host shows the engine's containers; *witness* is one of them, looked at first.

    A unix socket alone proves nothing (it may be forwarded from afar). One running container whose pid here lies in
    a cgroup of its id proves it. Where none does (a process can leave its cgroup), the process behind the socket has
    to be an engine that counts processes as we do.
    """
    if not engine.url.startswith("unix://"):
        return False
    if witness is not None and witness.is_running and is_local_container(witness):
        return True
    for container in itertools.islice(engine.iterate_containers(), _ASKED_AT_MOST):
        if container.is_running and is_local_container(container):
            return True
    return _peer_is_engine("/" + engine.url.removeprefix("unix://").lstrip("/"))


def is_local_container(container: Container) -> bool:
    """Return whether the container's pid exists here in a cgroup that carries the container's id."""
    if container.pid <= 0 or not container.id:
        return False
    try:
        with open(f"/proc/{container.pid}/cgroup", "rb") as file:  # noqa: PTH123 - /proc, no Path on the fast way
            return container.id.encode() in file.read()
    except OSError:
        return False


def _peer_is_engine(path: str) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(2)
            probe.connect(path)
            pid = _PEER.unpack(probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))[0]
        with open(f"/proc/{pid}/comm", "rb") as file:  # noqa: PTH123 - /proc
            is_engine = pid != os.getpid() and file.read().strip() in _ENGINES
        return is_engine and namespace_inode(pid, "pid") == namespace_inode("self", "pid")
    except OSError:
        return False
