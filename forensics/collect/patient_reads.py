"""Reads single files that a process holds, in a child process where their file system may hang; opens nothing itself.

Which file system a descriptor lies on is known without asking it: from its mount id and the mount tables.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from forensics.collect.apart import ask_apart, stream_apart
from forensics.collect.walk import read_content, read_mount_id
from forensics.model import JsonObject

_LOCAL_TYPES = frozenset(
    {"overlay", "ext4", "ext3", "ext2", "xfs", "btrfs", "zfs", "f2fs", "tmpfs", "ramfs", "aufs", "erofs", "squashfs"}
)
"""File systems whose answers come from this machine."""


class FileStatus(NamedTuple):
    """What of stat(2) is asked for."""

    device: int
    inode: int
    size_bytes: int
    mode: int


@dataclass(frozen=True, slots=True)
class PatientReader:
    """Reads behind ``O_PATH`` descriptors; ``types`` is mount id to type of all mounts that can be seen."""

    types: Mapping[int, str]

    def may_hang(self, handle: int) -> bool:
        """Return whether somebody else's answer is needed; so it is taken for a mount that stands in no table."""
        return self.types.get(read_mount_id(handle), "unknown") not in _LOCAL_TYPES

    def stat(self, handle: int) -> FileStatus:
        """Return what the file is.

        Raises:
            OSError: it cannot be told; TimeoutError when its file system hangs.
        """
        return FileStatus(*ask_apart(lambda: _stat(handle), handle)) if self.may_hang(handle) else _stat(handle)

    def chunks(self, handle: int, limit: int) -> Iterator[bytes]:
        """Yield at most *limit* bytes of a regular file.

        Raises:
            OSError: as :meth:`stat`.
        """
        if not self.may_hang(handle):
            yield from read_content(handle, limit)
            return

        def read() -> Generator[bytes, None, JsonObject]:
            yield from read_content(handle, limit)
            return {}

        yield from stream_apart(read, handle)

    def sha256(self, handle: int, limit: int) -> str:
        """Return the hex SHA-256 of at most *limit* bytes of a regular file.

        Raises:
            OSError: as :meth:`stat`.
        """
        digest = hashlib.sha256()
        for chunk in self.chunks(handle, limit):
            digest.update(chunk)
        return digest.hexdigest()


def find_memory_mount() -> int:
    """Return the id of the kernel's own mount of memory files (memfd_create(2)), which stands in no table."""
    descriptor = os.memfd_create("ir", os.MFD_CLOEXEC)
    try:
        return read_mount_id(descriptor)
    finally:
        os.close(descriptor)


def _stat(handle: int) -> FileStatus:
    status = os.fstat(handle)
    return FileStatus(status.st_dev, status.st_ino, status.st_size, status.st_mode)
