"""Collects what changed in the file system, names and digests, before the slow snapshot: by the engine and the disk.

The disk's word is the overlay2 upper directory, read on the host without following a link. The two are compared in
analysis; a disagreement is a finding.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from functools import partial

from forensics.collect.context import CollectContext, collected, empty, failed, name_some, not_applicable
from forensics.collect.file_listing import FileListing
from forensics.collect.first_look import look_at
from forensics.collect.namespace import read_mounts
from forensics.collect.streams import peek
from forensics.collect.walk import Node, Report, describe, explain, open_directory, walk
from forensics.engine.openat2 import open_path, open_root
from forensics.errors import EngineError
from forensics.model import ChangeKind, LedgerLine
from forensics.text import from_bytes, show_path, to_bytes

_NAMED_AT_MOST = 20


def collect_changes(context: CollectContext) -> Iterator[LedgerLine]:
    """Keep the writable layer as it lies on the disk, each file with its SHA-256, then the engine's diff.

    The engine reads directories without sparing their access times: what they were is in the former by then.
    """
    if context.info.is_local:
        yield from _collect_files(context)
    else:
        yield not_applicable("changed-files", "remote engine")
    yield _collect_engine_diff(context)


def _collect_engine_diff(context: CollectContext) -> LedgerLine:
    counted = itertools.count()
    try:
        chunks = peek(_render_diff(context, counted)) or ()
        item = context.case.add(
            "engine-diff", chunks, source=f"container {context.container.id}", method="engine API: changes",
            filename="content.json",
        )  # fmt: skip
    except EngineError as error:
        return failed("engine-diff", error.message)
    if not next(counted):
        return empty("engine-diff", "the engine sees no change", item)
    return collected("engine-diff", item, disturbed="access times of directories, which the engine reads")


def _render_diff(context: CollectContext, counted: Iterator[int]) -> Iterator[bytes]:
    """Yield the document in pieces, in the engine's order (by path)."""
    changes = context.engine.iterate_diff(context.container)
    first = next(changes, None)  # what the engine refuses leaves no item
    yield b'{"changes": ['
    for path, kind in itertools.chain([first] if first else [], changes):
        yield b",\n" if next(counted) else b"\n"
        yield json.dumps({"path": path, "kind": kind.value}, ensure_ascii=True).encode("ascii")
    yield b"]}\n"


def _collect_files(context: CollectContext) -> Iterator[LedgerLine]:
    upper = find_upper_directory(context)
    if upper is not None:
        find, root = partial(_walk_upper, upper), from_bytes(upper)
        yield from _keep(
            context, FileListing(root, find, context.budget("digests")), "upper directory of the writable layer", root
        )
        yield from look_at(context, find(_forget), root)
    elif context.container.is_running:
        find, root = partial(_look_up_diff, context), f"/proc/{context.container.pid}/root"
        way = "the paths of the engine's diff, below the first process's root"
        yield from _keep(context, FileListing(root, find, context.budget("digests")), way, root)
        yield from look_at(context, find(_forget), root)
    else:
        driver = context.info.storage_driver
        yield not_applicable("changed-files", f"the storage driver {driver} has no upper directory; see the snapshot")


def _forget(_path: bytes, _reason: str, _size_bytes: int) -> None:
    """What cannot be looked at stands among the omissions of the listing already."""


def _keep(context: CollectContext, listing: FileListing, method: str, source: str) -> Iterator[LedgerLine]:
    try:
        item = context.case.add(
            "changed-files", listing.stream(), source=source, method=f"read on the host: {method}",
            filename="content.json",
        )  # fmt: skip
    except OSError as error:
        yield failed("changed-files", explain(error))
        return
    reason = f"{listing.entries} entries; the first files: {name_some(listing.first_files)}"
    yield collected("changed-files", item, reason=reason) if listing.entries else empty("changed-files", "none", item)
    for omission in listing.omissions[:_NAMED_AT_MOST]:
        yield failed(f"changed-files {show_path(to_bytes(omission['path']))}", omission["reason"])
    if (more := listing.omitted - _NAMED_AT_MOST) > 0:
        yield failed("changed-files, the rest", f"{more} more could not be read; they are named in {item.id}")


def _walk_upper(upper: bytes, report: Report) -> Iterator[Node]:
    root = open_directory(upper)
    try:
        yield from (node for node in walk(root, report) if node.path)
    finally:
        os.close(root)


def _look_up_diff(context: CollectContext, report: Report) -> Iterator[Node]:
    """Yield what the engine says was added or modified, looked up inside the container's root without links."""
    root = open_root(context.container.pid)
    try:
        for name, kind in sorted(context.engine.diff(context.container)):
            path = to_bytes(name).lstrip(b"/")
            if kind is not ChangeKind.DELETED:
                yield from _look_up(root, path, report)
    finally:
        os.close(root)


def _look_up(root: int, path: bytes, report: Report) -> Iterator[Node]:
    try:
        handle = open_path(root, path)
    except OSError as error:
        report(path, explain(error), 0)
        return
    try:
        yield describe(path, handle)
    finally:
        os.close(handle)


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
