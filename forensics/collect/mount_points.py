"""Opens what is mounted in a container, and proves that the opened thing is that very mount. Writes nothing.

The path is looked up inside the process's own root (openat2, `RESOLVE_IN_ROOT`); the mount id of what was opened must
be the one in its mount table, so neither a link nor a mount on top can put something else in its place.
"""

from __future__ import annotations

import os

from forensics.collect.namespace import MountPoint
from forensics.collect.walk import read_mount_id
from forensics.engine.openat2 import open_path, open_root

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
