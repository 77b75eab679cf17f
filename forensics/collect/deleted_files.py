"""Collects files that have no name any more but are still held: open descriptors, and mappings of deleted files.

Looked at through the kernel's links in /proc/PID/fd and /proc/PID/map_files, never through a path of the container.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from forensics.collect.context import CollectContext, collected, empty, failed, not_applicable
from forensics.collect.namespace import read_maps
from forensics.collect.streams import peek
from forensics.collect.treetar import Tally, pack_file
from forensics.collect.walk import explain
from forensics.engine.host import HostProcess
from forensics.model import JsonObject, LedgerLine
from forensics.text import from_bytes, show

_DELETED = b" (deleted)"
MAX_FILES = 1000
"""One item each; a process can hold tens of thousands only to keep an investigator busy."""


@dataclass(frozen=True, slots=True)
class _Held:
    """One way to a deleted file; ``fd`` is None for a mapping."""

    pid: int
    link: str
    target: bytes
    fd: int | None


def collect_deleted_files(context: CollectContext) -> Iterator[LedgerLine]:
    """Keep each deleted file once (by device and inode) with the process and descriptor that hold it."""
    seen = {identity for process in context.processes if (identity := _identity_of_exe(context, process))}
    kept = left = 0
    for held in (held for process in context.processes for held in _find_held(process)):
        if kept == MAX_FILES:
            left += 1
        elif line := _collect_one(context, held, seen):
            kept += 1
            yield line
    if left:
        yield failed("deleted-files, the rest", f"{left} after the first {MAX_FILES}; the process table names them")
    if not kept:
        yield empty("deleted-files", "no process holds a deleted file beside its executable")


def _identity_of_exe(context: CollectContext, process: HostProcess) -> tuple[int, int] | None:
    if not process.exe_deleted:
        return None
    handle = -1
    try:
        handle = os.open(f"/proc/{process.pid}/exe", os.O_PATH | os.O_CLOEXEC)
        return context.reader.stat(handle)[:2]
    except OSError:
        return None
    finally:
        if handle >= 0:
            os.close(handle)


def _find_held(process: HostProcess) -> Iterator[_Held]:
    for file in process.fds:
        if file.is_deleted:
            yield _Held(process.pid, f"/proc/{process.pid}/fd/{file.fd}", file.target, file.fd)
    if not process.maps_deleted:
        return
    try:
        regions = read_maps(process.pid)
    except OSError:  # the process table has the reason
        return
    for region in regions:
        if region.path.endswith(_DELETED):
            name = f"{region.start:x}-{region.end:x}"
            yield _Held(process.pid, f"/proc/{process.pid}/map_files/{name}", region.path, None)


def _collect_one(context: CollectContext, held: _Held, seen: set[tuple[int, int]]) -> LedgerLine | None:
    artefact = f"deleted-file {show(held.target)} of pid {held.pid}"
    handle = -1
    try:
        handle = os.open(held.link, os.O_PATH | os.O_CLOEXEC)
        status = context.reader.stat(handle)
        identity = (status.device, status.inode)
        if identity in seen:
            return None
        seen.add(identity)
        if not stat.S_ISREG(status.mode):
            return not_applicable(artefact, "no regular file: it has no content, and is never opened")
        return _keep(context, held, handle, artefact, status.size_bytes)
    except OSError as error:
        return failed(artefact, explain(error))
    finally:
        if handle >= 0:
            os.close(handle)


def _keep(context: CollectContext, held: _Held, handle: int, artefact: str, size_bytes: int) -> LedgerLine:
    if size_bytes == 0:
        return empty(artefact, "the file is empty")
    attributes = {"pid": held.pid, "fd": held.fd, "target": from_bytes(held.target), "size": size_bytes}
    if not context.budget("deleted files").take(size_bytes):
        if context.reader.may_hang(handle):
            return failed(artefact, f"{size_bytes} bytes are over the budget")
        return _keep_packed(context, held, handle, artefact, attributes)
    item = context.case.add(
        "deleted-file", context.reader.chunks(handle, size_bytes), source=held.link,
        method="read on the host through the kernel's link", attributes=attributes,
    )  # fmt: skip
    return collected(artefact, item)


def _keep_packed(
    context: CollectContext, held: _Held, handle: int, artefact: str, attributes: JsonObject
) -> LedgerLine:
    """Keep a file that is over the budget with its holes filled as a tar without them, if what it holds is not."""
    tally = Tally()
    chunks = peek(pack_file(handle, context.budget("deleted files"), tally))
    if chunks is None:
        return failed(artefact, f"{tally.omitted_bytes} bytes are over the budget")
    item = context.case.add(
        "deleted-file", chunks, source=held.link,
        method="read on the host through the kernel's link; tar written by ir",
        filename="content.tar", attributes=attributes | {"packed": "tar"},
    )  # fmt: skip
    if tally.omitted:
        return failed(artefact, tally.omissions[0].reason, item)
    return collected(
        artefact, item, reason="a sparse file, over the budget as a whole: kept as a tar without its holes"
    )
