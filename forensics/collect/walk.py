"""Walks a directory tree that an attacker owns, by descriptors only.

Each name is looked up once, as one component below an open directory, without following links (open(2) ``O_PATH |
O_NOFOLLOW``); content is opened again through ``/proc/self/fd``, so that what is read is what was looked at. FIFOs,
sockets and devices are described, never opened. Mount points below the root are shown, not entered. Access times
stay (``O_NOATIME``). Nothing is ever written.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

MAX_DEPTH = 200
"""Directories nested deeper are reported: each level holds one file descriptor."""

CHUNK_BYTES = 1 << 20
_XATTRS_BYTES = 1 << 16
_FATAL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})

Report = Callable[[bytes, str, int], None]
"""Called with (path, reason, size in bytes) for everything that could not be read or entered."""


@dataclass(frozen=True, slots=True)
class Node:
    """One thing found. ``handle`` is an ``O_PATH`` descriptor that is closed when the walk goes on."""

    path: bytes
    status: os.stat_result
    handle: int
    link_target: bytes | None = None
    xattrs: tuple[tuple[bytes, bytes], ...] = ()

    @property
    def is_file(self) -> bool:
        """True for a regular file, the only type with content."""
        return stat.S_ISREG(self.status.st_mode)


def open_directory(path: bytes | Path) -> int:
    """Open a directory of the host for a walk, not following a link in the last component; the caller closes it.

    Raises:
        OSError: it is gone, no directory, or may not be read.
    """
    return _open_for_reading(os.fsencode(path), None, os.O_DIRECTORY | os.O_NOFOLLOW)


def reopen_directory(handle: int) -> int:
    """Open the directory behind an ``O_PATH`` descriptor for a walk; the caller closes it.

    Raises:
        OSError: it is no directory, or may not be read.
    """
    return _open_for_reading(os.fsencode(f"/proc/self/fd/{handle}"), None, os.O_DIRECTORY)


def describe(path: bytes, handle: int) -> Node:
    """Return the node behind an ``O_PATH`` descriptor, under the name *path*.

    Raises:
        OSError: it cannot be looked at.
    """
    status = os.fstat(handle)
    target = os.readlink(b"", dir_fd=handle) if stat.S_ISLNK(status.st_mode) else None
    return Node(path, status, handle, target, _read_xattrs(handle))


def walk(root: int, report: Report) -> Iterator[Node]:
    """Yield every node below *root* (and the root itself, as ``b""``), parents first, in directory order."""
    handle = os.open(".", os.O_PATH | os.O_CLOEXEC, dir_fd=root)
    try:
        yield describe(b"", handle)
    finally:
        os.close(handle)
    yield from _Walk(read_mount_id(root), report).list_directory(root, b"", 0)


@dataclass(frozen=True, slots=True)
class _Walk:
    """One walk: the mount it stays on, and whom it tells what it could not enter."""

    mount: int
    report: Report

    def list_directory(self, directory: int, path: bytes, depth: int) -> Iterator[Node]:
        try:
            entries = os.scandir(directory)
        except OSError as error:
            self.report(path, explain_source(error), 0)
            return
        with entries:
            while (name := self.next_name(entries, path)) is not None:
                yield from self.visit(directory, name, path + b"/" + name if path else name, depth)

    def next_name(self, entries: Iterator[os.DirEntry[str]], path: bytes) -> bytes | None:
        try:
            entry = next(entries, None)
        except OSError as error:
            self.report(path, explain_source(error), 0)
            return None
        return None if entry is None else os.fsencode(entry.name)

    def visit(self, parent: int, name: bytes, path: bytes, depth: int) -> Iterator[Node]:
        handle = -1
        try:
            handle = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
            node = describe(path, handle)
            yield node
            if stat.S_ISDIR(node.status.st_mode):
                yield from self.enter(handle, path, depth + 1)
        except OSError as error:
            self.report(path, explain_source(error), 0)
        finally:
            if handle >= 0:
                os.close(handle)

    def enter(self, handle: int, path: bytes, depth: int) -> Iterator[Node]:
        if depth > MAX_DEPTH:
            self.report(path, f"nested deeper than {MAX_DEPTH} directories", 0)
            return
        if read_mount_id(handle) != self.mount:
            return  # a mount is an artefact of its own; the node of the mount point has been shown
        directory = reopen_directory(handle)
        try:
            yield from self.list_directory(directory, path, depth)
        finally:
            os.close(directory)


def _read_xattrs(handle: int) -> tuple[tuple[bytes, bytes], ...]:
    by_handle = f"/proc/self/fd/{handle}"
    try:
        names = os.listxattr(by_handle)
    except OSError:  # the file system has none: there is nothing to miss
        return ()
    pairs = []
    for name in sorted(names):
        with contextlib.suppress(OSError):
            pairs.append((os.fsencode(name), os.getxattr(by_handle, name)[:_XATTRS_BYTES]))
    return tuple(pairs)


def open_content(handle: int) -> int:
    """Open the regular file behind an ``O_PATH`` descriptor for reading; the caller closes it.

    Raises:
        OSError: it is no regular file, or may not be read.
    """
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        raise OSError("not a regular file")
    return _open_for_reading(os.fsencode(f"/proc/self/fd/{handle}"), None, os.O_NONBLOCK)


def read_content(handle: int, limit: int, offset: int = 0) -> Iterator[bytes]:
    """Yield at most *limit* bytes, from *offset* on, of the regular file behind an ``O_PATH`` descriptor.

    Raises:
        OSError: it is no regular file, or cannot be read.
    """
    descriptor = open_content(handle)
    try:
        if offset:
            os.lseek(descriptor, offset, os.SEEK_SET)
        while limit > 0 and (chunk := os.read(descriptor, min(CHUNK_BYTES, limit))):
            limit -= len(chunk)
            yield chunk
    finally:
        os.close(descriptor)


def hash_content(handle: int, limit: int) -> str:
    """Return the hex SHA-256 of at most *limit* bytes of the regular file behind *handle*.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    for chunk in read_content(handle, limit):
        digest.update(chunk)
    return digest.hexdigest()


def explain(error: OSError) -> str:
    """Return what the kernel said, without the file name (which is hostile and stands elsewhere).

    Raises:
        OSError: the error itself, when it is the case's disk that is full or read-only, and not the source.
    """
    if error.errno in _FATAL:
        raise error
    return explain_source(error)


def explain_source(error: OSError) -> str:
    """Return the same of an error that can only come from the source; its server answers with any number it likes."""
    return (error.strerror or str(error)).lower()


def _open_for_reading(path: bytes, parent: int | None, flags: int) -> int:
    flags |= os.O_RDONLY | os.O_CLOEXEC
    try:
        return os.open(path, flags | os.O_NOATIME, dir_fd=parent)
    except PermissionError:  # O_NOATIME is the owner's and root's right only
        return os.open(path, flags, dir_fd=parent)


def read_mount_id(descriptor: int) -> int:
    """Return the id of the mount behind a descriptor, the first column of mountinfo; -1 where the kernel is silent."""
    for line in Path(f"/proc/self/fdinfo/{descriptor}").read_bytes().splitlines():
        if line.startswith(b"mnt_id:"):  # proc_pid_fdinfo(5)
            return int(line[7:])
    return -1
