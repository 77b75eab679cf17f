"""Streams a listing of files with their digests as one JSON document, so that a million of them need no memory.

Reads what :mod:`forensics.collect.walk` found, never a path.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator
from typing import Any

from forensics.collect.treetar import Budget
from forensics.collect.walk import Node, Report, explain_source, hash_content
from forensics.model import JsonObject
from forensics.text import encode_base64, from_bytes

_MOST_OMISSIONS = 100_000
_FIRST_FILES = 5
_TYPES = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "char-device",
    stat.S_IFBLK: "block-device",
}


class FileListing:
    """One listing; ``entries`` and ``omissions`` are complete once the stream has been consumed."""

    def __init__(self, root: str, find_nodes: Callable[[Report], Iterator[Node]], budget: Budget) -> None:
        """Take the name of the root, what finds the nodes and reports gaps, and how many bytes may be hashed."""
        self._root = root
        self._find_nodes = find_nodes
        self._budget = budget
        self.entries = 0
        self.omitted = 0
        self.omissions: list[JsonObject] = []
        self.first_files: list[str] = []

    def stream(self) -> Iterator[bytes]:
        """Yield the document in pieces: ``entries``, ``omissions``, ``root``."""
        yield b'{"entries": ['
        for node in self._find_nodes(self.omit):
            yield b",\n" if self.entries else b"\n"
            yield _dump(self._describe(node))
            self.entries += 1
            if node.is_file and len(self.first_files) < _FIRST_FILES:
                self.first_files.append("/" + from_bytes(node.path))
        yield b'],\n"omissions": ' + _dump(self.omissions) + b',\n"root": ' + _dump(self._root) + b"}\n"

    def omit(self, path: bytes, reason: str, size_bytes: int) -> None:
        """Count what could not be looked at; the first hundred thousand are also kept by name."""
        self.omitted += 1
        if len(self.omissions) < _MOST_OMISSIONS:
            self.omissions.append({"path": from_bytes(path), "reason": reason, "size": size_bytes})

    def _describe(self, node: Node) -> JsonObject:
        entry = _describe(node)
        return entry | {"sha256": self._hash(node)} if node.is_file else entry

    def _hash(self, node: Node) -> str | None:
        """Return the digest of what the file held when it was looked at, whatever is written to it meanwhile."""
        size_bytes = node.status.st_size
        if not self._budget.take(size_bytes):
            self.omit(node.path, "no digest: over the budget", size_bytes)
            return None
        try:
            return hash_content(node.handle, size_bytes)
        except OSError as error:
            self.omit(node.path, explain_source(error), size_bytes)
            return None


def _dump(value: Any) -> bytes:  # noqa: ANN401 - any JSON value
    return json.dumps(value, ensure_ascii=True, sort_keys=True).encode("ascii")


def _describe(node: Node) -> JsonObject:
    status = node.status
    kind = _TYPES.get(stat.S_IFMT(status.st_mode), "unknown")
    is_device = kind.endswith("device")
    entry: JsonObject = {
        "path": from_bytes(node.path),
        "type": kind,
        "mode": stat.S_IMODE(status.st_mode),
        "uid": status.st_uid,
        "gid": status.st_gid,
        "size": status.st_size,
        "links": status.st_nlink,
        "inode": status.st_ino,
        "mtime_ns": status.st_mtime_ns,
        "ctime_ns": status.st_ctime_ns,
        "atime_ns": status.st_atime_ns,
        "link_target": from_bytes(node.link_target) if node.link_target is not None else None,
        "device": [os.major(status.st_rdev), os.minor(status.st_rdev)] if is_device else None,
        "whiteout": kind == "char-device" and status.st_rdev == 0,
        "xattrs": {from_bytes(name): encode_base64(value) for name, value in node.xattrs},
        "sha256": None,
    }
    return entry
