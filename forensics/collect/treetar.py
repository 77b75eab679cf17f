"""Packs a tree that an attacker owns into a tar stream (POSIX.1-2001 pax), bounded by a budget.

What is over the budget, unreadable or beyond a mount point is named in the tally, never silently missing. Names are
kept byte for byte (``hdrcharset=BINARY`` where they are no UTF-8), times to the nanosecond, extended attributes as
``SCHILY.xattr.*``, holes as holes. A socket, which tar cannot express, is an empty FIFO member with
``SCHILY.filetype=socket``.
"""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from forensics.collect.sparse import Extent, find_extents, render_map
from forensics.collect.walk import Node, describe, explain_source, read_content, walk
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
    extents = find_extents(node) if node.is_file else ()
    content_bytes = sum(extent.size_bytes for extent in extents)
    if not budget.take(content_bytes):
        tally.omit(node.path, "over the budget", content_bytes)
        return
    tally.entries += 1
    if node.is_file and content_bytes < node.status.st_size:
        yield from _begin_sparse(node, extents, content_bytes)
    else:
        yield _header(node)
    for extent in extents:
        yield from _pack_content(node, extent, tally)
    yield bytes(-content_bytes % _BLOCK)


def _begin_sparse(node: Node, extents: tuple[Extent, ...], content_bytes: int) -> Iterator[bytes]:
    sparse_map = render_map(extents, node.status.st_size)
    yield _header(node, len(sparse_map) + content_bytes, {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": from_bytes(node.path),
        "GNU.sparse.realsize": str(node.status.st_size),
    })  # fmt: skip
    yield sparse_map


def _pack_content(node: Node, extent: Extent, tally: Tally) -> Iterator[bytes]:
    written = 0
    try:
        for chunk in read_content(node.handle, extent.size_bytes, extent.offset):
            written += len(chunk)
            yield chunk
    except OSError as error:
        where = extent.offset + written
        tally.omit(node.path, f"cut after {where} bytes: {explain_source(error)}", extent.size_bytes - written)
    else:
        if written < extent.size_bytes:
            where = extent.offset + written
            tally.omit(node.path, f"shrank to {where} bytes while it was read", extent.size_bytes - written)
    tally.content_bytes += written
    yield from _zeros(extent.size_bytes - written)


def _zeros(count: int) -> Iterator[bytes]:
    while count > 0:
        piece = min(count, 1 << 20)
        yield bytes(piece)
        count -= piece


def _header(node: Node, stored_bytes: int | None = None, sparse: Mapping[str, str] = MappingProxyType({})) -> bytes:
    status = node.status
    member = tarfile.TarInfo(from_bytes(node.path))
    member.type = _TYPES[stat.S_IFMT(status.st_mode)]
    member.mode = stat.S_IMODE(status.st_mode)
    member.uid, member.gid = status.st_uid, status.st_gid
    member.size = (status.st_size if stored_bytes is None else stored_bytes) if node.is_file else 0
    member.linkname = from_bytes(node.link_target or b"")
    if stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
        member.devmajor, member.devminor = os.major(status.st_rdev), os.minor(status.st_rdev)
    member.pax_headers = _pax_records(node) | dict(sparse)
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
