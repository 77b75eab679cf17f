"""The changed files three ways: the engine's list, the writable layer on the disk, the snapshot. Reads evidence only.

The three are read one after the other: in a container that was not frozen they may differ because it went on working,
so the same disagreement weighs less there.
"""

from __future__ import annotations

from collections.abc import Iterator

from forensics.analyze.evidence_view import CaseView
from forensics.analyze.rule import Rule
from forensics.analyze.runtime import object_of, objects_of, text_of
from forensics.model import Confidence, EvidenceRef, Finding, JsonObject, Severity
from forensics.text import show_path, to_bytes

NOT_IN_DIFF = Rule(
    "views.change-not-in-diff",
    "A changed file on the disk is not in the engine's list of changes",
    Severity.MEDIUM,
    ("T1564",),
    "What the engine does not list is missed by everybody who asks the engine.",
    "Files that were made, or taken away, between the two looks.",
    "Look at the file in the listing of the writable layer.",
    Confidence.MEDIUM,
)
NOT_ON_DISK = Rule(
    "views.change-not-on-disk",
    "The engine lists a change that the disk does not have",
    Severity.MEDIUM,
    ("T1564",),
    "The two look at the same layer; a difference means that one of them is deceived, or that the file has gone.",
    "Files that were made, or taken away, between the two looks.",
    "Look for the file in the snapshot.",
    Confidence.MEDIUM,
)
NOT_IN_SNAPSHOT = Rule(
    "views.change-not-in-snapshot",
    "A changed file on the disk is not in the snapshot, or has other content there",
    Severity.HIGH,
    ("T1564",),
    "What is changed at the right moment, or damaged on its way, is examined as something that it was not.",
    "Files that the running container was writing.",
    "Take the file from the writable layer on the host; the listing has its digest.",
    Confidence.MEDIUM,
)
_NAMED_AT_MOST = 10


def analyze_file_views(view: CaseView) -> Iterator[Finding]:
    """Compare the three; directories are left out, whose times change with every look."""
    listings = view.documents("changed-files")
    if not listings:
        return
    item, document = listings[-1]
    entries = {text_of(entry.get("path")): entry for entry in objects_of(object_of(document).get("entries"))}
    disk = {path: entry for path, entry in entries.items() if text_of(entry.get("type")) != "directory"}
    weight = Severity.LOW if _was_working(view) else None
    here = EvidenceRef(item.id)
    yield from _compare_diff(view, entries, disk, here, weight)
    lost = [show_path(to_bytes(path)) for path, entry in disk.items() if _is_lost(view, path, entry)]
    if lost and view.files.final is not None:
        yield NOT_IN_SNAPSHOT.found(_name(lost), [here, view.reference("image")], severity=weight)


def _compare_diff(
    view: CaseView,
    entries: dict[str, JsonObject],
    disk: dict[str, JsonObject],
    here: EvidenceRef,
    weight: Severity | None,
) -> Iterator[Finding]:
    diffs = view.documents("engine-diff")
    if not diffs:
        return
    item, document = diffs[-1]
    listed = {
        text_of(change.get("path")).lstrip("/"): text_of(change.get("kind"))
        for change in objects_of(object_of(document).get("changes"))
    }
    places = [here, EvidenceRef(item.id)]
    hidden = [show_path(to_bytes(path)) for path in disk if path not in listed]
    if hidden:
        yield NOT_IN_DIFF.found(_name(hidden), places, severity=weight)
    gone = [
        show_path(to_bytes(path))
        for path, kind in listed.items()
        if path not in entries or (kind == "deleted") != bool(entries[path].get("whiteout"))
    ]
    if gone:
        yield NOT_ON_DISK.found(_name(gone), places, severity=weight)


def _is_lost(view: CaseView, path: str, entry: JsonObject) -> bool:
    tree = view.files.final
    if tree is None or entry.get("whiteout") or text_of(entry.get("type")) == "socket":
        return False  # no engine saves sockets
    kept = tree.get(to_bytes(path))
    digest = text_of(entry.get("sha256"))
    return kept is None or bool(digest and kept.sha256 and kept.sha256 != digest)


def _was_working(view: CaseView) -> bool:
    state = object_of(view.inspect.get("State"))
    return bool(state.get("Running")) and not state.get("Paused")


def _name(paths: list[str]) -> str:
    named = ", ".join(paths[:_NAMED_AT_MOST])
    return f"{named} and {len(paths) - _NAMED_AT_MOST} more" if len(paths) > _NAMED_AT_MOST else named
