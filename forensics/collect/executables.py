"""Collects what actually runs: the bytes of /proc/PID/exe of every process, deleted and memory-only ones included.

The kernel's link leads to the running file itself, whatever happened to its name; nothing is executed or looked up in
the container. The same content is kept once, with all its processes.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field

from forensics.collect.context import CollectContext, collected, empty, failed
from forensics.collect.image_files import compare_with_image, find_layers
from forensics.collect.walk import explain
from forensics.engine.host import HostProcess
from forensics.model import JsonObject, LedgerLine
from forensics.text import from_bytes

_NAMED_AT_MOST = 5
LIMIT_BYTES = 1 << 30
"""A larger executable is kept up to here, and its line says so."""


@dataclass(slots=True)
class _Running:
    """One file that runs, and who runs it."""

    sha256: str
    processes: list[HostProcess] = field(default_factory=list)


def collect_executables(context: CollectContext) -> Iterator[LedgerLine]:
    """Keep each distinct executable once (by device and inode, then by content)."""
    found: dict[str, _Running] = {}
    digests: dict[tuple[int, int], str] = {}
    for process in context.processes:
        if not process.exe and process.state in "ZX":
            continue  # a zombie has no executable any more
        try:
            sha256 = _identify(context, process, digests)
        except OSError as error:
            yield failed(f"executable of pid {process.pid}", explain(error))
            continue
        found.setdefault(sha256, _Running(sha256)).processes.append(process)
    if not found:
        yield empty("executables", "no process runs")
    layers = find_layers(context)
    for running in found.values():
        yield _keep(context, running, layers)


def _identify(context: CollectContext, process: HostProcess, digests: dict[tuple[int, int], str]) -> str:
    with _open(process) as handle:
        status = context.reader.stat(handle)
        identity = (status.device, status.inode)
        if identity not in digests:
            digests[identity] = context.reader.sha256(handle, LIMIT_BYTES)
        return digests[identity]


@contextlib.contextmanager
def _open(process: HostProcess) -> Iterator[int]:
    """Open the executable for looking (``O_PATH``); the pid must still be the process that was listed."""
    path = f"/proc/{process.pid}/exe"
    handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if os.readlink(os.fsencode(path)) != process.exe:  # noqa: PTH115 - bytes in, bytes out
            raise ProcessLookupError("the process ended or runs something else by now")
        yield handle
    finally:
        os.close(handle)


def _name_pids(processes: list[HostProcess]) -> str:
    named = "pid " + ", ".join(str(process.pid) for process in processes[:_NAMED_AT_MOST])
    more = len(processes) - _NAMED_AT_MOST
    return f"{named} and {more} more" if more > 0 else named


def _describe(processes: list[HostProcess]) -> JsonObject:
    """Return what the item says of itself; the flags hold if they hold for any process."""
    return {
        "pids": [process.pid for process in processes],
        "exe": from_bytes(processes[0].exe),
        "exes": sorted({from_bytes(process.exe) for process in processes}),
        "deleted": any(process.exe_deleted for process in processes),
        "memfd": any(process.exe_memfd for process in processes),
    }


def _keep(context: CollectContext, running: _Running, layers: tuple[str, ...]) -> LedgerLine:
    artefact = f"executable of {_name_pids(running.processes)}"
    attributes = _describe(running.processes)
    paths = tuple(dict.fromkeys(process.exe for process in running.processes))
    attributes |= compare_with_image(layers, paths, running.sha256, LIMIT_BYTES)
    reason = ""
    for process in running.processes:
        try:
            with _open(process) as handle:
                size_bytes = context.reader.stat(handle).size_bytes
                item = context.case.add(
                    "executable", context.reader.chunks(handle, LIMIT_BYTES), source=f"/proc/{process.pid}/exe",
                    method="read on the host through the kernel's link", attributes=attributes,
                )  # fmt: skip
        except OSError as error:
            reason = explain(error)
            continue
        if size_bytes > LIMIT_BYTES:
            return failed(artefact, f"cut at {LIMIT_BYTES} of {size_bytes} bytes", item)
        return collected(artefact, item)
    return failed(artefact, reason)
