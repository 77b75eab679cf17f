"""Acquires one item: stream to disk, hash in the same pass, publish, put on record. Knows no source."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable

from forensics.evidence import files
from forensics.evidence.activity import describe
from forensics.evidence.custody import format_utc
from forensics.evidence.door import Door
from forensics.frozen import replace
from forensics.model import EvidenceItem, JsonObject, Outcome

INCOMPLETE = ".incomplete"
"""The ending of a file that holds the part of an acquisition that came before it failed."""


def draft_item(kind: str, source: str, method: str, attributes: JsonObject | None) -> EvidenceItem:
    """Return the record of an item that is about to be acquired; it has no id yet."""
    now = format_utc(time.time_ns())
    return EvidenceItem("", kind, "", "", "", 0, source, method, now, now, attributes=dict(attributes or {}))


def finish_item(draft: EvidenceItem, written: files.Written, outcome: Outcome, reason: str = "") -> EvidenceItem:
    """Return the record of an item whose bytes are on disk."""
    return replace(
        draft,
        sha256=written.sha256,
        sha512=written.sha512,
        size_bytes=written.size_bytes,
        ended_at=format_utc(time.time_ns()),
        outcome=outcome,
        reason=reason,
    )


def acquire_file(door: Door, draft: EvidenceItem, chunks: Iterable[bytes], filename: str, purpose: str) -> EvidenceItem:
    """Write *chunks* as one file of a new item and put it on record.

    A stream or a disk that fails half-way leaves a *failed* item with what came; its error goes on to the caller.
    """
    claimed, folder = door.claim(draft)
    try:
        descriptor = files.create_file(filename + files.PARTIAL, folder)
        writer = files.HashingWriter(descriptor)
        try:
            for chunk in chunks:
                writer.write(chunk)
            os.fsync(descriptor)
        except BaseException as error:
            _keep_part(door, claimed, filename, folder, writer.written, describe(error))
            raise
        finally:
            os.close(descriptor)
        files.publish(filename + files.PARTIAL, filename, folder)
    finally:
        os.close(folder)
    outcome = Outcome.COLLECTED if writer.written.size_bytes else Outcome.EMPTY
    item = finish_item(replace(claimed, path=f"{claimed.path}/{filename}"), writer.written, outcome)
    return door.commit(item, purpose)


def _keep_part(  # noqa: PLR0913, PLR0917 - an inner step of acquire_file with its state
    door: Door, claimed: EvidenceItem, filename: str, folder: int, written: files.Written, reason: str
) -> None:
    name = filename + INCOMPLETE
    files.publish(filename + files.PARTIAL, name, folder)
    door.commit(finish_item(replace(claimed, path=f"{claimed.path}/{name}"), written, Outcome.FAILED, reason))
