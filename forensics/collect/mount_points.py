"""What is mounted in a container: whose it is, and opening it with proof that it is that very mount. Writes nothing.

The path is looked up inside the process's own root (openat2, `RESOLVE_IN_ROOT`); the mount id of what was opened must
be the one in its mount table, so neither a link nor a mount on top can put something else in its place.
"""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass
from typing import Self

from forensics.collect.namespace import MountPoint, read_mounts
from forensics.collect.walk import read_mount_id
from forensics.engine.base import Container, Mount
from forensics.engine.openat2 import open_path, open_root
from forensics.text import from_bytes

_SYSTEM_EXACTLY = frozenset(
    {"/", "/home", "/root", "/opt", "/srv", "/mnt", "/media", "/tmp", "/var", "/var/lib", "/var/log", "/var/tmp"}  # noqa: S108 - host paths to leave alone
)
_SYSTEM_BELOW = (
    *("/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr"),
    *("/var/run", "/var/lib/docker", "/var/lib/containerd", "/var/lib/containers", "/var/lib/kubelet"),
)


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


def is_system_path(source: str, engine_root: str = "") -> bool:
    """Return whether a bind mount's source is part of the host's own system, or of the engine's data."""
    path = _normalise(source)
    below = (*_SYSTEM_BELOW, engine_root) if engine_root else _SYSTEM_BELOW
    return path in _SYSTEM_EXACTLY or any(path == top or path.startswith(f"{top}/") for top in below)


def _normalise(path: str) -> str:
    """Return an absolute path without detours; two leading slashes, which normpath keeps, become one."""
    return os.path.normpath("/" + path.lstrip("/"))


@dataclass(frozen=True, slots=True)
class HostMounts:
    """The host's own mounts, and below which paths of the container its system paths are shown."""

    table: tuple[MountPoint, ...]
    engine_root: str
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
        table = read_mounts(os.getpid())
        return cls(table, engine_root, frozenset(mount.device for mount in table), tuple(windows))

    def shows(self, mount: MountPoint) -> bool:
        """Return whether *mount* is the host's, seen through such a bind mount; the container's own mounts are not."""
        return mount.device in self.devices and mount.path.startswith(self.windows)

    def find_system_path(self, mount: Mount, device: str, root: bytes) -> str:
        """Return the host's system path that the directory *root* of a file system is, or nothing.

        A link, or a volume made of another directory, gives such a path an innocent name; its place in its file
        system does not lie. The place where the engine itself keeps a volume is no system path.
        """
        if mount.type == "volume" and (device, root) == self._find_own_place(mount.source):
            return ""
        for host in sorted(self.table, key=lambda mount: len(mount.root)):
            if host.device != device or (rest := _find_below(root, host.root)) is None:
                continue
            path = _normalise(from_bytes(host.path + b"/" + rest))
            if is_system_path(path, self.engine_root):
                return path
        return ""

    def _find_own_place(self, source: str) -> tuple[str, bytes]:
        """Return where the folder *source* itself lies, whatever is mounted on it."""
        parent, name = os.path.split(os.path.normpath(source))
        with contextlib.suppress(OSError):
            handle = open_source(parent)
            try:
                device, root = self.locate(handle)
            finally:
                os.close(handle)
            return device, os.fsencode(_normalise(from_bytes(root + b"/" + os.fsencode(name))))
        return "", b""

    def locate(self, handle: int) -> tuple[str, bytes]:
        """Return the device and the place in its file system of what a descriptor of this host's tree refers to.

        Raises:
            OSError: its mount is none of this host's.
        """
        path, number = os.readlink(os.fsencode(f"/proc/self/fd/{handle}")), read_mount_id(handle)  # noqa: PTH115 - bytes
        for host in self.table:
            if host.id == number and (rest := _find_below(path, host.path)) is not None:
                return host.device, os.fsencode(_normalise(from_bytes(host.root + b"/" + rest)))
        raise OSError("its mount is not in this host's table")


def _find_below(path: bytes, top: bytes) -> bytes | None:
    """Return what follows *top* in *path*, or None where it does not lie below."""
    if path == top:
        return b""
    top = top.rstrip(b"/") + b"/"
    return path.removeprefix(top) if path.startswith(top) else None


def open_source(path: str) -> int:
    """Return an ``O_PATH`` descriptor of a path of this host, no part of which is a link; the caller closes it.

    Somebody who can write to one of its parents (another mount of the same container) could else lead it anywhere.

    Raises:
        OSError: it is not there, or a part of it is a link.
    """
    if not path.startswith("/"):
        raise OSError("the engine names no path of this host")
    handle = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    for name in filter(None, os.path.normpath(path).split("/")):
        parent = handle
        try:
            handle = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        finally:
            os.close(parent)
        if stat.S_ISLNK(os.fstat(handle).st_mode):
            os.close(handle)
            raise OSError("its path on the host leads through a link, which is not followed")
    return handle
