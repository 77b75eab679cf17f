"""Collects what the engine recorded about the container since it was created."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from forensics.collect.context import CollectContext, collected, empty
from forensics.model import LedgerLine

MAX_EVENTS = 100_000


def collect_events(context: CollectContext) -> Iterator[LedgerLine]:
    """Keep the engine's events of this container up to the start of the collection (its own doings are not in them).

    Engines remember only the last few hundred events, and none from before their own start.
    """
    container = context.container
    since = str(container.raw.get("Created") or container.started_at or "")
    events = []
    for event in context.engine.events(to_unix(since), to_unix(context.started_at), container):
        events.append(event)
        if len(events) == MAX_EVENTS:
            break
    item = context.keep_json(
        "events",
        {"since": since, "until": context.started_at, "events": events},
        source=f"container {container.id}",
        method="engine API: events",
    )
    reason = "the engine remembers the last few hundred events only, and none from before its own start"
    yield collected("events", item, reason=reason) if events else empty("events", reason, item)


def to_unix(moment: str) -> str:
    """Return an RFC 3339 UTC time as seconds with a fraction, which is all that the Engine API takes; "0" for none."""
    whole, _, fraction = moment.removesuffix("Z").partition(".")
    try:
        seconds = datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return "0"
    return f"{int(seconds)}.{fraction[:9]:0<9}"
