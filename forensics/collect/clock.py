"""Collects what the clocks said, so that every other time in the case can be judged. Sets nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from forensics.collect.context import CollectContext, collected
from forensics.evidence.clock import read_clock
from forensics.evidence.custody import format_utc
from forensics.model import LedgerLine


def collect_clock(context: CollectContext) -> Iterator[LedgerLine]:
    """Keep this host's clock, what the kernel knows of its error, and what the engine's clock said when asked."""
    monotonic_ns, now_ns = time.monotonic_ns(), time.time_ns()
    clock = context.case.clock = read_clock()
    document = {
        "utc": format_utc(now_ns),
        "monotonic_ns": monotonic_ns,
        "boot_id": _read_boot_id(),
        "time_zone": time.strftime("%z"),
        "offset_ms": clock.offset_ms,
        "source": clock.source,
        "engine_utc_at_info": str(context.info.raw.get("SystemTime") or "") or None,
    }
    item = context.keep_json("clock", document, source="this host", method="clock_gettime, adjtimex")
    yield collected("clock", item)


def _read_boot_id() -> str | None:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return None
