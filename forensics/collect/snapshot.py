"""Collects the container's file system: one commit without touching its freeze, its layers read once into the case.

On the engine's own host the layers come straight from its store, each checked against its ``diff_id``; from anywhere
else, and where the store is not as expected, through the engine's `save`.

Has no volumes, bind mounts or tmpfs in it (no engine puts them there): those have collectors of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from forensics.collect.context import CollectContext, collected, failed
from forensics.collect.patience import finish
from forensics.engine.layer_store import LayerStoreError, find_image, find_store, read_layer
from forensics.errors import ArchiveError, ContainerNotFoundError, EngineError
from forensics.evidence.custody import SourceAltered
from forensics.evidence.image_parts import ImageParts, LayerPart
from forensics.model import EvidenceItem, LedgerLine, Outcome

_RUNNING = "taken while the container ran: files that were being written may be torn"
_STILL = frozenset({"paused", "exited", "created", "dead"})
_DIRECTLY = "layers read from overlay2 and tar-split on the engine's host, each checked against its diff_id"
_UNAVOIDABLE = "engines save images, not containers"
_RESPONSIBLE = "ir collect"


def collect_snapshot(context: CollectContext) -> Iterator[LedgerLine]:
    """Commit with pause off (moby#10932: with it on, a frozen container would run again), save, remove the image.

    The temporary image carries the case's id in its name, and stands in the custody log before it exists and after it
    is gone, so that one left behind by a crash can be found. An interruption waits until the engine has made it: only
    then can it be removed.
    """
    name = f"ir-snapshot:{context.case.id}"
    if _was_left(context, name):
        _remove(context, name)
    details = {"image": name}
    context.case.record("acquire", purpose="snapshot: commit without pausing", result="begin", details=details)
    try:
        line = _commit_and_save(context, name)
    finally:
        complaint = _remove(context, name)
    if line.outcome is Outcome.COLLECTED or not complaint:
        line = replace(line, disturbed=f"made and removed the temporary image {name}; the engine's events show both")
    yield line
    if complaint and line.outcome is Outcome.COLLECTED:
        yield failed("snapshot cleanup", f"the temporary image {name} is still in the engine: {complaint}")
    yield from _check_freeze(context)


def _was_left(context: CollectContext, name: str) -> bool:
    """Tell whether a run that was killed made the temporary image, and the engine still has it."""
    if not any(
        entry.result == "begin" and (entry.details or {}).get("image") == name for entry in context.case.custody()
    ):
        return False
    try:
        context.engine.inspect_image(name)
    except (ContainerNotFoundError, EngineError):
        return False
    return True


def _commit_and_save(context: CollectContext, name: str) -> LedgerLine:
    try:
        image_id = finish(partial(context.engine.commit, context.container, pause=False, ref=name))
        item, detour = _read_image(context, image_id)
    except (ArchiveError, EngineError) as error:
        return failed("snapshot", error.message)
    running = "" if context.container.status in _STILL else _RUNNING
    return collected("snapshot", item, reason="; ".join(filter(None, (running, detour))))


def _read_image(context: CollectContext, image_id: str) -> tuple[EvidenceItem, str]:
    """Add the image to the case, the quickest way that is right; return why the engine's store was not, if so."""
    source, method = f"container {context.container.id}", f"engine API: commit (pause=0) to {image_id}"
    detour = ""
    if store := find_store(context.info):
        try:
            parts = _open_parts(store, image_id)
            return context.case.add_image_parts(parts, source=source, method=f"{method}; {_DIRECTLY}"), ""
        except (ArchiveError, LayerStoreError) as error:
            detour = f"saved through the engine's API, because its own store did not serve: {error.message}"
    return context.case.add_image(context.engine.save(image_id), source=source, method=f"{method}, save"), detour


def _open_parts(store: Path, image_id: str) -> ImageParts:
    image = find_image(store, image_id)
    return ImageParts(image.config, (LayerPart(layer.diff_id, read_layer(layer)) for layer in image.layers))


def _remove(context: CollectContext, name: str) -> str:
    """Remove the temporary image, record it, and return what went wrong, or nothing."""
    what = f"temporary image {name} removed from the engine"
    details = {"image": name}
    try:
        context.engine.remove_image(name)
    except EngineError as error:
        context.case.record("acquire", purpose=what, result="failed", error=error.message, details=details)
        return error.message
    altered = SourceAltered(what, _UNAVOIDABLE, _RESPONSIBLE)
    context.case.record("acquire", purpose=what, source_altered=altered, details=details)
    return ""


def _check_freeze(context: CollectContext) -> Iterator[LedgerLine]:
    """Say so if a container that was frozen is not any more."""
    if context.container.status != "paused":
        return
    try:
        status = context.engine.find_container(context.container.id).status
    except (ContainerNotFoundError, EngineError) as error:
        status = error.message
    if status != "paused":
        yield failed("snapshot, freeze", f"the container was frozen before the snapshot and is not any more: {status}")
