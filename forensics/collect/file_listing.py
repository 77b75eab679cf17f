"""Streams a listing of files with their digests as one JSON document, so that a million of them need no memory.

Reads what :mod:`forensics.collect.walk` found, never a path.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator
from typing import Any

from forensics.collect.walk import Node, Report, explain_source, hash_content
from forensics.model import JsonObject
from forensics.text import encode_base64, from_bytes

HASH_LIMIT_BYTES = 64 << 20
"""Larger files are listed without a digest here; the snapshot has them whole."""

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

    def __init__(self, root: str, find_nodes: Callable[[Report], Iterator[Node]]) -> None:
        """Take the name of the root, and what finds the nodes and reports what it could not look at."""
        self._root = root
        self._find_nodes = find_nodes
        self.entries = 0
        self.omissions: list[JsonObject] = []
        self.first_files: list[str] = []

    def stream(self) -> Iterator[bytes]:
        """Yield the document in pieces: ``entries``, ``omissions``, ``root``."""
        yield b'{"entries": ['
        for node in self._find_nodes(self.omit):
            yield b",\n" if self.entries else b"\n"
            yield _dump(_describe(node, self.omissions))
            self.entries += 1
            if node.is_file and len(self.first_files) < _FIRST_FILES:
                self.first_files.append("/" + from_bytes(node.path))
        yield b'],\n"omissions": ' + _dump(self.omissions) + b',\n"root": ' + _dump(self._root) + b"}\n"

    def omit(self, path: bytes, reason: str, size_bytes: int) -> None:
        """Keep what could not be looked at."""
        self.omissions.append({"path": from_bytes(path), "reason": reason, "size": size_bytes})


def _dump(value: Any) -> bytes:  # noqa: ANN401 - any JSON value
    return json.dumps(value, ensure_ascii=True, sort_keys=True).encode("ascii")


def _describe(node: Node, omissions: list[JsonObject]) -> JsonObject:
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
    if kind == "file":
        entry["sha256"] = _hash(node, omissions)
    return entry


def _hash(node: Node, omissions: list[JsonObject]) -> str | None:
    if node.status.st_size > HASH_LIMIT_BYTES:
        return None
    try:
        return hash_content(node.handle, HASH_LIMIT_BYTES)
    except OSError as error:
        omissions.append({"path": from_bytes(node.path), "reason": explain_source(error), "size": node.status.st_size})
        return None
