"""Collects the address map of every process: what is mapped where, with which rights, from which file.

Memory that is executable and belongs to no file is where injected code lives; nothing of the memory itself is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

from forensics.collect.context import CollectContext, collected, empty, failed
from forensics.collect.namespace import Region, describe_region, read_maps
from forensics.collect.walk import explain
from forensics.engine.procfs import with_deadline
from forensics.model import LedgerLine


class _Maps:
    """Streams one JSON document; keeps only counters and what failed."""

    def __init__(self, context: CollectContext) -> None:
        self._context = context
        self.regions = 0
        self.failures: list[LedgerLine] = []

    def stream(self) -> Iterator[bytes]:
        separator = b'{"processes": [\n'
        for process in self._context.processes:
            try:
                regions = with_deadline(partial(read_maps, process.pid))
            except OSError as error:
                self.failures.append(failed(f"maps of pid {process.pid}", explain(error)))
                continue
            self.regions += len(regions)
            yield separator + _render(process.pid, regions)
            separator = b",\n"
        yield b"]}\n" if separator == b",\n" else b'{"processes": []}\n'


def collect_address_maps(context: CollectContext) -> Iterator[LedgerLine]:
    """Keep the regions of all processes as one item."""
    maps = _Maps(context)
    item = context.case.add(
        "maps",
        maps.stream(),
        source=f"container {context.container.id}",
        method="/proc/PID/maps on the host",
        filename="content.json",
    )
    yield collected("maps", item, reason=f"{maps.regions} regions") if maps.regions else empty("maps", "none", item)
    yield from maps.failures


def _render(pid: int, regions: tuple[Region, ...]) -> bytes:
    document = {"pid": pid, "regions": [describe_region(region) for region in regions]}
    return json.dumps(document, ensure_ascii=True, sort_keys=True).encode("ascii")
