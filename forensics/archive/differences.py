"""What a comparison means to a reader: moves by content, aspects, filters, counts by folder, text differences.

Reads nothing itself; contents of text files are handed in.
"""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from forensics.archive.compare import compare_entries
from forensics.model import Change, ChangeKind, EntryType, FileEntry
from forensics.text import show, show_path

ASPECTS = ("added", "deleted", "moved", "content", "type", "target", "device", "mode", "owner", "xattrs", "mtime")
"""What a difference can be; ``mode``, ``owner``, ``xattrs`` and ``mtime`` alone leave the content as it was."""

_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_MAX_LINES = 2000
"""Lines of one side; difflib is quadratic, and the text is the attacker's."""
_MAX_DIFF_LINES = 400
_MAX_LINE = 400


@dataclass(frozen=True, slots=True)
class Difference:
    """One change, or a move: a deleted and an added file of the same content. ``path`` is the newer one."""

    change: Change
    moved_from: FileEntry | None = None

    @property
    def path(self) -> bytes:
        """Where it is now, or was if it is gone."""
        return self.change.path

    @property
    def aspects(self) -> tuple[str, ...]:
        """What kind of difference it is, in words of :data:`ASPECTS`."""
        if self.moved_from is not None:
            return ("moved", *self.change.fields)
        if self.change.kind is ChangeKind.MODIFIED:
            return self.change.fields
        return (self.change.kind.value,)


def find_moves(changes: Iterable[Change]) -> list[Difference]:
    """Return the differences, in the order of paths, with renamed and moved files found by their content.

    Empty files are never taken for moved. Of several candidates, one with the same name, then the first, is taken.
    """
    changes = list(changes)
    deleted: dict[str, list[Change]] = {}
    for change in changes:
        if change.kind is ChangeKind.DELETED and change.before is not None and is_movable(change.before):
            deleted.setdefault(change.before.sha256 or "", []).append(change)
    gone: set[bytes] = set()
    found = []
    for change in changes:
        source = _take_source(change, deleted)
        if source is None or source.before is None or change.after is None:
            found.append(Difference(change))
            continue
        gone.add(source.path)
        found.append(Difference(describe_move(change, source.before, change.after), source.before))
    return [item for item in found if item.change.kind is not ChangeKind.DELETED or item.path not in gone]


def is_movable(entry: FileEntry) -> bool:
    """Tell whether an entry can be known again by its content."""
    return entry.type is EntryType.FILE and entry.size_bytes > 0 and entry.sha256 is not None


def _take_source(change: Change, deleted: dict[str, list[Change]]) -> Change | None:
    if change.kind is not ChangeKind.ADDED or change.after is None or not is_movable(change.after):
        return None
    candidates = deleted.get(change.after.sha256 or "")
    if not candidates:
        return None
    name = change.path.rpartition(b"/")[2]
    position = next((n for n, item in enumerate(candidates[:50]) if item.path.rpartition(b"/")[2] == name), 0)
    return candidates.pop(position)


def describe_move(change: Change, before: FileEntry, after: FileEntry) -> Change:
    """Return the change that a move is: the same content, and what else differs."""
    return Change(ChangeKind.MODIFIED, change.path, before, after, compare_entries(before, after))


class Selection:
    """The chosen ones among differences; may be walked again and again."""

    def __init__(self, differences: Iterable[Difference], only: tuple[str, ...], paths: tuple[bytes, ...]) -> None:
        """Take the choice of :func:`select`."""
        self._differences = differences
        self._only = only
        self._paths = paths

    def __iter__(self) -> Iterator[Difference]:
        return select(self._differences, self._only, self._paths)


def select(
    differences: Iterable[Difference], only: tuple[str, ...] = (), paths: tuple[bytes, ...] = ()
) -> Iterator[Difference]:
    """Yield the differences with one of the aspects *only* and a path that fits one of the patterns *paths*.

    A pattern is a shell glob over the whole path without its leading slash, or a folder and everything below it.
    """
    matchers = [_compile(pattern.strip(b"/")) for pattern in paths]
    for difference in differences:
        if only and not set(only).intersection(difference.aspects):
            continue
        if matchers and not any(matcher.match(difference.path) for matcher in matchers):
            continue
        yield difference


def _compile(pattern: bytes) -> re.Pattern[bytes]:
    glob = fnmatch.translate(pattern.decode("latin-1")).encode("latin-1")
    return re.compile(glob + b"|" + re.escape(pattern) + rb"(?:/.*)?\Z", re.DOTALL)


def count_by_folder(differences: Iterable[Difference], depth: int = 2) -> list[tuple[bytes, Counter[str]]]:
    """Return the counts of each folder (at most *depth* components), busiest first."""
    folders: dict[bytes, Counter[str]] = {}
    for difference in differences:
        parts = difference.path.split(b"/")[:-1][:depth]
        folders.setdefault(b"/".join(parts), Counter())[name_kind(difference)] += 1
    return sorted(folders.items(), key=lambda item: (-item[1].total(), item[0]))


def name_kind(difference: Difference) -> str:
    """Return added, deleted, moved or modified."""
    return "moved" if difference.moved_from is not None else difference.change.kind.value


def is_text(content: bytes) -> bool:
    """Tell whether a reader would call it text: no control bytes but tabs, line ends and escapes."""
    return not _BINARY.search(content[:65536])


def render_text_difference(difference: Difference, before: bytes, after: bytes) -> str:
    """Return a unified diff in which every hostile character is escaped; empty where either side is no text."""
    if not (is_text(before) and is_text(after)):
        return ""
    old, new = (_split(content) for content in (before, after))
    if max(len(old), len(new)) > _MAX_LINES:
        return ""
    old_name = "a" + show_path((difference.moved_from or difference.change).path)
    lines = list(difflib.unified_diff(old, new, old_name, "b" + show_path(difference.path), lineterm=""))
    if len(lines) > _MAX_DIFF_LINES:
        lines = [*lines[:_MAX_DIFF_LINES], f"… {len(lines) - _MAX_DIFF_LINES} more lines"]
    return "\n".join(lines)


def _split(content: bytes) -> list[str]:
    return [show(line, _MAX_LINE) for line in content.split(b"\n")]
