"""Collects what changed in the file system, names and digests, before the slow snapshot: by the engine and the disk.

The disk's word is the overlay2 upper directory, read on the host without following a link. The two are compared in
analysis; a disagreement is a finding.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from typing import Any

from forensics.collect.context import CollectContext, collected, empty, failed, not_applicable
from forensics.collect.namespace import read_mounts
from forensics.collect.walk import Node, explain, hash_content, open_directory, walk
from forensics.errors import EngineError
from forensics.model import JsonObject, LedgerLine
from forensics.text import encode_base64, from_bytes, show_path, to_bytes

HASH_LIMIT_BYTES = 64 << 20
"""Larger files are listed without a digest here; the snapshot has them whole."""

_NAMED_AT_MOST = 20

_TYPES = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "char-device",
    stat.S_IFBLK: "block-device",
}


def collect_changes(context: CollectContext) -> Iterator[LedgerLine]:
    """Keep the writable layer as it lies on the disk, each file with its SHA-256, then the engine's diff.

    The engine reads directories without sparing their access times: what they were is in the former by then.
    """
    yield from _collect_upper(context)
    yield _collect_engine_diff(context)


def _collect_engine_diff(context: CollectContext) -> LedgerLine:
    try:
        changes = context.engine.diff(context.container)
    except EngineError as error:
        return failed("engine-diff", error.message)
    document = {"changes": [{"path": path, "kind": kind.value} for path, kind in sorted(changes)]}
    source = f"container {context.container.id}"
    item = context.keep_json("engine-diff", document, source=source, method="engine API: changes")
    if not changes:
        return empty("engine-diff", "the engine sees no change", item)
    return collected("engine-diff", item, disturbed="access times of directories, which the engine reads")


def _collect_upper(context: CollectContext) -> Iterator[LedgerLine]:
    if not context.info.is_local:
        yield not_applicable("changed-files", "remote engine")
        return
    upper = find_upper_directory(context)
    if upper is None:
        driver = context.info.storage_driver
        yield not_applicable("changed-files", f"the storage driver {driver} has no upper directory; see the snapshot")
        return
    listing = _Listing(upper)
    try:
        item = context.case.add(
            "changed-files",
            listing.stream(),
            source=from_bytes(upper),
            method="read on the host: upper directory of the writable layer",
            filename="content.json",
        )
    except OSError as error:
        yield failed("changed-files", explain(error))
        return
    reason = f"{listing.entries} entries"
    yield collected("changed-files", item, reason=reason) if listing.entries else empty("changed-files", "none", item)
    for omission in listing.omissions[:_NAMED_AT_MOST]:
        yield failed(f"changed-files {show_path(to_bytes(omission['path']))}", omission["reason"])
    if (more := len(listing.omissions) - _NAMED_AT_MOST) > 0:
        yield failed("changed-files, the rest", f"{more} more could not be read; they are named in {item.id}")


def find_upper_directory(context: CollectContext) -> bytes | None:
    """Return the host's path of the writable layer: from inspect, or from the mount table of the first process."""
    data = (context.container.raw.get("GraphDriver") or {}).get("Data") or {}
    if data.get("UpperDir"):
        return os.fsencode(str(data["UpperDir"]))
    for mount in read_mounts(context.container.pid) if context.container.is_running else ():
        if mount.path == b"/" and mount.type == "overlay":
            for option in mount.super_options.split(","):
                if option.startswith("upperdir="):
                    return os.fsencode(option.removeprefix("upperdir="))
    return None


class _Listing:
    """Streams the listing as one JSON document, so that a million changed files need no memory."""

    def __init__(self, upper: bytes) -> None:
        self._upper = upper
        self.entries = 0
        self.omissions: list[JsonObject] = []

    def stream(self) -> Iterator[bytes]:
        root = open_directory(self._upper)
        try:
            yield b'{"entries": ['
            for node in walk(root, self.omit):
                if node.path:
                    yield b",\n" if self.entries else b"\n"
                    yield _dump(_describe(node, self.omissions))
                    self.entries += 1
        finally:
            os.close(root)
        yield b'],\n"omissions": ' + _dump(self.omissions) + b',\n"root": ' + _dump(from_bytes(self._upper)) + b"}\n"

    def omit(self, path: bytes, reason: str, size_bytes: int) -> None:
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
        omissions.append({"path": from_bytes(node.path), "reason": explain(error), "size": node.status.st_size})
        return None
