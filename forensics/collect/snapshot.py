"""Collects the container's file system: one commit without touching its freeze, streamed once into the case.

Has no volumes, bind mounts or tmpfs in it (no engine puts them there): those have collectors of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from forensics.collect.context import CollectContext, collected, failed
from forensics.errors import ArchiveError, EngineError
from forensics.evidence.custody import SourceAltered
from forensics.model import LedgerLine

_RUNNING = "taken while the container ran: files that were being written may be torn"
_STILL = frozenset({"paused", "exited", "created", "dead"})
_UNAVOIDABLE = "engines save images, not containers"
_RESPONSIBLE = "ir collect"


def collect_snapshot(context: CollectContext) -> Iterator[LedgerLine]:
    """Commit with pause off (moby#10932: with it on, a frozen container would run again), save, remove the image.

    The custody log has a line before the temporary image is made and one after it is gone.
    """
    context.case.record("acquire", purpose="snapshot: commit to a temporary image without pausing", result="begin")
    try:
        image_id = context.engine.commit(context.container, pause=False)
    except EngineError as error:
        context.case.record("error", purpose="snapshot: commit", result="failed", error=error.message)
        yield failed("snapshot", error.message)
        return
    try:
        line = _save(context, image_id)
    finally:
        complaint = _remove(context, image_id)
    disturbed = f"made and removed the temporary image {image_id}; the engine's event log shows both"
    yield replace(line, disturbed=disturbed)
    if complaint:
        yield failed("snapshot cleanup", f"the temporary image {image_id} is still in the engine: {complaint}")


def _save(context: CollectContext, image_id: str) -> LedgerLine:
    try:
        item = context.case.add_image(
            context.engine.save(image_id),
            source=f"container {context.container.id}",
            method=f"engine API: commit (pause=0) to {image_id}, save",
        )
    except (ArchiveError, EngineError) as error:
        return failed("snapshot", error.message)
    return collected("snapshot", item, reason="" if context.container.status in _STILL else _RUNNING)


def _remove(context: CollectContext, image_id: str) -> str:
    """Remove the temporary image, record it, and return what went wrong, or nothing."""
    what = f"temporary image {image_id} removed from the engine"
    try:
        context.engine.remove_image(image_id)
    except EngineError as error:
        context.case.record("error", purpose=what, result="failed", error=error.message)
        return error.message
    context.case.record("acquire", purpose=what, source_altered=SourceAltered(what, _UNAVOIDABLE, _RESPONSIBLE))
    return ""
