"""Packs a tree that an attacker owns into a tar stream (POSIX.1-2001 pax), bounded by a budget.

What is over the budget, unreadable or beyond a mount point is named in the tally, never silently missing. Names are
kept byte for byte (``hdrcharset=BINARY`` where they are no UTF-8), times to the nanosecond, extended attributes as
``SCHILY.xattr.*``. A socket, which tar cannot express, is an empty FIFO member with ``SCHILY.filetype=socket``.
"""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field

from forensics.collect.walk import Node, describe, explain, read_content, walk
from forensics.text import from_bytes

_BLOCK = 512
_MAX_OMISSIONS = 100_000
_TYPES = {
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFIFO: tarfile.FIFOTYPE,
    stat.S_IFSOCK: tarfile.FIFOTYPE,
    stat.S_IFCHR: tarfile.CHRTYPE,
    stat.S_IFBLK: tarfile.BLKTYPE,
}


@dataclass(slots=True)
class Budget:
    """How many bytes of content may still be taken; shared by all trees of one collection."""

    left_bytes: int

    def take(self, size_bytes: int) -> bool:
        """Take *size_bytes* from the budget, or take nothing and say no."""
        if size_bytes > self.left_bytes:
            return False
        self.left_bytes -= size_bytes
        return True


@dataclass(frozen=True, slots=True)
class Omission:
    """One thing that is not in the tar, and why."""

    path: bytes
    reason: str
    size_bytes: int


@dataclass(slots=True)
class Tally:
    """What went into a tar and what did not; complete once the stream has been consumed."""

    entries: int = 0
    content_bytes: int = 0
    omissions: list[Omission] = field(default_factory=list)
    omitted: int = 0
    omitted_bytes: int = 0

    def omit(self, path: bytes, reason: str, size_bytes: int) -> None:
        """Count an omission; the first hundred thousand are also kept by name."""
        self.omitted += 1
        self.omitted_bytes += size_bytes
        if len(self.omissions) < _MAX_OMISSIONS:
            self.omissions.append(Omission(path, reason, size_bytes))


def pack_tree(root: int, budget: Budget, tally: Tally) -> Iterator[bytes]:
    """Yield the tar of everything below the directory *root*, in pieces of at most a megabyte.

    A file that shrinks while it is read is filled with zeros and named in the tally; one that grows is cut.
    """
    for node in walk(root, tally.omit):
        if node.path:
            yield from _pack_node(node, budget, tally)
    if tally.entries:
        yield bytes(2 * _BLOCK)


def pack_file(handle: int, budget: Budget, tally: Tally) -> Iterator[bytes]:
    """Yield a tar of the one thing behind an ``O_PATH`` descriptor, as the member ``file``."""
    yield from _pack_node(describe(b"file", handle), budget, tally)
    if tally.entries:
        yield bytes(2 * _BLOCK)


def _pack_node(node: Node, budget: Budget, tally: Tally) -> Iterator[bytes]:
    size_bytes = node.status.st_size if node.is_file else 0
    if not budget.take(size_bytes):
        tally.omit(node.path, "over the budget", size_bytes)
        return
    tally.entries += 1
    yield _header(node)
    if size_bytes:
        yield from _pack_content(node, size_bytes, tally)


def _pack_content(node: Node, size_bytes: int, tally: Tally) -> Iterator[bytes]:
    written = 0
    try:
        for chunk in read_content(node.handle, size_bytes):
            written += len(chunk)
            yield chunk
    except OSError as error:
        tally.omit(node.path, f"cut after {written} bytes: {explain(error)}", size_bytes - written)
    else:
        if written < size_bytes:
            tally.omit(node.path, f"shrank to {written} bytes while it was read", size_bytes - written)
    tally.content_bytes += written
    yield from _zeros(size_bytes - written + -size_bytes % _BLOCK)


def _zeros(count: int) -> Iterator[bytes]:
    while count > 0:
        piece = min(count, 1 << 20)
        yield bytes(piece)
        count -= piece


def _header(node: Node) -> bytes:
    status = node.status
    member = tarfile.TarInfo(from_bytes(node.path))
    member.type = _TYPES[stat.S_IFMT(status.st_mode)]
    member.mode = stat.S_IMODE(status.st_mode)
    member.uid, member.gid = status.st_uid, status.st_gid
    member.size = status.st_size if node.is_file else 0
    member.linkname = from_bytes(node.link_target or b"")
    if stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
        member.devmajor, member.devminor = os.major(status.st_rdev), os.minor(status.st_rdev)
    member.pax_headers = _pax_records(node)
    return member.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _pax_records(node: Node) -> dict[str, str]:
    status = node.status
    records = {
        "mtime": _seconds(status.st_mtime_ns),
        "atime": _seconds(status.st_atime_ns),
        "ctime": _seconds(status.st_ctime_ns),
    }
    for name, value in node.xattrs:
        records[f"SCHILY.xattr.{from_bytes(name)}"] = from_bytes(value)
    if stat.S_ISSOCK(status.st_mode):
        records["SCHILY.filetype"] = "socket"
    return records


def _seconds(nanoseconds: int) -> str:
    return f"{nanoseconds // 10**9}.{nanoseconds % 10**9:09d}"
