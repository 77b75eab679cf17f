"""What is mounted in a container: whose it is, and opening it with proof that it is that very mount. Writes nothing.

The path is looked up inside the process's own root (openat2, `RESOLVE_IN_ROOT`); the mount id of what was opened must
be the one in its mount table, so neither a link nor a mount on top can put something else in its place.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Self

from forensics.collect.namespace import MountPoint, read_mounts
from forensics.collect.walk import read_mount_id
from forensics.engine.base import Container
from forensics.engine.openat2 import open_path, open_root

_SYSTEM_EXACTLY = frozenset(
    {"/", "/home", "/root", "/opt", "/srv", "/mnt", "/media", "/tmp", "/var", "/var/lib", "/var/log", "/var/tmp"}  # noqa: S108 - host paths to leave alone
)
_SYSTEM_BELOW = (
    *("/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr"),
    *("/var/run", "/var/lib/docker", "/var/lib/containerd", "/var/lib/containers", "/var/lib/kubelet"),
)
SLOW_TYPES = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "afs", "glusterfs", "lustre", "virtiofs", "autofs"}
)
"""File systems that a server far away can hang; with those whose type begins with ``fuse`` they are not entered."""


def open_mount_point(pid: int, mount: MountPoint) -> int:
    """Return an ``O_PATH`` descriptor of what is mounted; the caller closes it.

    Raises:
        OSError: it is gone, or covered by another mount.
    """
    root = open_root(pid)
    try:
        handle = open_path(root, mount.path)
    finally:
        os.close(root)
    if read_mount_id(handle) != mount.id:
        os.close(handle)
        raise OSError("covered by another mount")
    return handle


def may_hang(mount: MountPoint) -> bool:
    """Return whether reading it may block for ever on somebody else's answer."""
    return mount.type in SLOW_TYPES or mount.type.startswith("fuse")


def is_system_path(source: str, engine_root: str = "") -> bool:
    """Return whether a bind mount's source is part of the host's own system, or of the engine's data."""
    path = os.path.normpath(source)
    below = (*_SYSTEM_BELOW, engine_root) if engine_root else _SYSTEM_BELOW
    return path in _SYSTEM_EXACTLY or any(path == top or path.startswith(f"{top}/") for top in below)


@dataclass(frozen=True, slots=True)
class HostMounts:
    """The host's own file systems, and below which paths of the container its system paths are shown."""

    devices: frozenset[str]
    windows: tuple[bytes, ...]

    @classmethod
    def find(cls, container: Container, engine_root: str) -> Self:
        """Return what this host has mounted, and where the container's bind mounts show its system paths.

        Raises:
            OSError: this host's own mount table cannot be read.
        """
        windows = [
            os.fsencode(mount.destination).rstrip(b"/") + b"/"
            for mount in container.mounts
            if mount.type == "bind" and is_system_path(mount.source, engine_root)
        ]
        return cls(frozenset(mount.device for mount in read_mounts(os.getpid())), tuple(windows))

    def shows(self, mount: MountPoint) -> bool:
        """Return whether *mount* is the host's, seen through such a bind mount; the container's own mounts are not."""
        return mount.device in self.devices and mount.path.startswith(self.windows)
