"""Collects process memory, region by region, from /proc/PID/mem: only what is really there, bounded, nothing stopped.

Never attaches (gcore hangs on a frozen process and leaves it stopped). A page that the process would have to fault in
is not touched: /proc/PID/pagemap tells which are present or swapped. A read that blocks (userfaultfd) is given up.
"""

from __future__ import annotations

import array
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

from forensics.collect.context import CollectContext, collected, empty, failed
from forensics.collect.namespace import Region, describe_region, read_maps
from forensics.collect.streams import peek
from forensics.collect.treetar import Budget
from forensics.collect.walk import explain
from forensics.engine.host import HostProcess
from forensics.engine.procfs import with_deadline
from forensics.model import JsonObject, LedgerLine

_PAGE = os.sysconf("SC_PAGE_SIZE")
_CHUNK_BYTES = 1 << 20
_PAGES_AT_ONCE = 1 << 16
_PATIENCE = 3
_THERE = 0b11 << 62
"""Bits of a pagemap entry: page present in RAM (63), page swapped (62)."""
_NOT_MEMORY = frozenset({b"[vvar]", b"[vvar_vclock]", b"[vsyscall]"})


@dataclass(slots=True)
class _Dump:
    """What of one process has been written so far, and what has not."""

    process: HostProcess
    budget: Budget
    runs: list[JsonObject] = field(default_factory=list)
    problems: list[JsonObject] = field(default_factory=list)
    written: int = 0
    blocked: int = 0


def collect_memory(context: CollectContext) -> Iterator[LedgerLine]:
    """Keep the present pages of every process, one item each, with its address map in an item ``memory-map``."""
    if not context.processes:
        yield empty("memory", "no process runs")
    for process in context.processes:
        if process.state in "ZX":
            continue
        try:
            yield from _collect_process(context, _Dump(process, context.budget("memory")))
        except OSError as error:
            yield failed(f"memory of pid {process.pid}", explain(error))


def _collect_process(context: CollectContext, dump: _Dump) -> Iterator[LedgerLine]:
    pid = dump.process.pid
    artefact = f"memory of pid {pid}"
    regions = read_maps(pid)
    stream = peek(_read_regions(dump, regions))
    if stream is None and not dump.problems:
        yield empty(artefact, "no page is present")
        return
    source, method = f"/proc/{pid}/mem", "read on the host, present pages only, ascending addresses"
    item = context.case.add("memory", stream or (), source=source, method=method, attributes={"pid": pid})
    document = {
        "pid": pid,
        "memory_item": item.id,
        "page_bytes": _PAGE,
        "regions": [describe_region(region) for region in regions],
        "runs": dump.runs,
        "problems": dump.problems,
    }
    index = context.keep_json("memory-map", document, source=f"/proc/{pid}/maps", method="read on the host")
    frozen = context.container.status == "paused"
    yield collected(artefact, item, index, reason="" if frozen else "taken while the process ran: not of one moment")
    if dump.problems:
        first = dump.problems[0]["reason"]
        yield failed(f"{artefact}, parts", f"{len(dump.problems)} ranges missing, the first: {first}; see {index.id}")


def _read_regions(dump: _Dump, regions: tuple[Region, ...]) -> Iterator[bytes]:
    base = f"/proc/{dump.process.pid}"
    memory = os.open(f"{base}/mem", os.O_RDONLY | os.O_CLOEXEC)
    try:
        pagemap = os.open(f"{base}/pagemap", os.O_RDONLY | os.O_CLOEXEC)
        try:
            for region in regions:
                if region.path not in _NOT_MEMORY:
                    for start, end in _find_runs(pagemap, region):
                        yield from _read_run(dump, memory, start, end)
        finally:
            os.close(pagemap)
    finally:
        os.close(memory)


def _find_runs(pagemap: int, region: Region) -> Iterator[tuple[int, int]]:
    """Yield ranges of addresses whose pages exist, proc_pid_pagemap(5)."""
    run_start: int | None = None
    address = region.start
    while address < region.end:
        count = min(_PAGES_AT_ONCE, (region.end - address) // _PAGE)
        entries = array.array("Q", os.pread(pagemap, count * 8, address // _PAGE * 8))
        if not entries:
            break
        for entry in entries:
            if entry & _THERE and run_start is None:
                run_start = address
            elif not entry & _THERE and run_start is not None:
                yield run_start, address
                run_start = None
            address += _PAGE
    if run_start is not None:
        yield run_start, address


def _read_run(dump: _Dump, memory: int, start: int, end: int) -> Iterator[bytes]:
    if not dump.budget.take(end - start):
        dump.problems.append({"start": start, "end": end, "reason": "over the budget"})
        return
    if dump.blocked >= _PATIENCE:
        dump.problems.append({"start": start, "end": end, "reason": "given up: earlier reads blocked"})
        return
    address, offset = start, dump.written
    while address < end:
        size = min(_CHUNK_BYTES, end - address)
        try:
            chunk = with_deadline(partial(os.pread, memory, size, address))
        except OSError as error:
            dump.blocked += isinstance(error, TimeoutError)
            dump.problems.append({"start": address, "end": end, "reason": explain(error)})
            break
        if not chunk:
            dump.problems.append({"start": address, "end": end, "reason": "the process has ended"})
            break
        address += len(chunk)
        dump.written += len(chunk)
        yield chunk
    if address > start:
        dump.runs.append({"start": start, "end": address, "offset": offset})
