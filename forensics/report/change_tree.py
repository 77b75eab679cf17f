"""File-system changes as a tree with counts, cut to what a page can show. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from forensics.model import Change, ChangeKind, EntryType, Finding

_DEEPEST = 16
_MOST_PER_FOLDER = 60
_MOST_LEAVES = 1500
_OPEN_WHEN_UNDER = 60
_MOST_KEPT_LEAVES, _MOST_KEPT_FOLDERS = 100, 3_000
_MOST_DRAFTS = 20_000
"""Folders that are told apart while the tree grows; far more than are listed. Beyond, changes are only counted."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many paths below a folder changed."""

    added: int
    modified: int
    deleted: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.added + self.modified + self.deleted


@dataclass(frozen=True, slots=True)
class Folder:
    """One folder; ``name`` joins folders that hold only one another; ``hidden`` counts changes that are not listed.

    ``own`` is the change of the folder itself, where it was added, modified or deleted.
    """

    name: bytes
    own: Leaf | None
    counts: Counts
    folders: tuple[Folder, ...]
    changes: tuple[Leaf, ...]
    hidden: int
    open: bool


@dataclass(frozen=True, slots=True)
class Leaf:
    """One changed path within its folder, with the numbers of the findings that cite it."""

    name: bytes
    change: Change
    findings: tuple[int, ...]


@dataclass(slots=True)
class _Draft:
    folders: dict[bytes, _Draft] = field(default_factory=dict)
    changes: list[Leaf] = field(default_factory=list)
    counts: dict[ChangeKind, int] = field(default_factory=dict)
    cited: bool = False
    only_counted: int = 0


def cite_paths(findings: Iterable[Finding]) -> dict[bytes, tuple[int, ...]]:
    """Return the finding numbers (from 1) by the path that they cite, without leading slashes."""
    cited: dict[bytes, list[int]] = {}
    for number, finding in enumerate(findings, start=1):
        for path in {ref.path.lstrip(b"/") for ref in finding.evidence if ref.path}:
            cited.setdefault(path, []).append(number)
    return {path: tuple(numbers) for path, numbers in cited.items()}


def grow_tree(changes: Iterable[Change], cited: Mapping[bytes, tuple[int, ...]]) -> Folder:
    """Return the tree of *changes*: every folder counted in full, cited paths always first in line to be listed."""
    root = _Draft()
    drafts = 0
    for change in changes:
        path = change.path.lstrip(b"/")
        drafts += _plant(root, path, change, cited.get(path, ()), room=drafts < _MOST_DRAFTS)
    budget = [_MOST_LEAVES]
    return _finish(b"", root, None, budget, opened=True)


def _plant(root: _Draft, path: bytes, change: Change, findings: tuple[int, ...], *, room: bool) -> int:
    """Put one change where it belongs; return how many folders that made. What is cited always has room."""
    *folders, name = path.split(b"/")
    if len(folders) > _DEEPEST:
        folders, name = folders[:_DEEPEST], b"/".join((*folders[_DEEPEST:], name))
    draft, made, kind = root, 0, change.kind
    for folder in (None, *folders):
        if folder is not None:
            if folder not in draft.folders:
                if not (room or findings):
                    draft.only_counted += 1
                    return made
                draft.folders[folder] = _Draft()
                made += 1
            draft = draft.folders[folder]
        draft.counts[kind] = draft.counts.get(kind, 0) + 1
        draft.cited = draft.cited or bool(findings)
    if findings or _has_room(draft, change):
        draft.changes.append(Leaf(name, change, findings))
    else:
        draft.only_counted += 1
    return made


def _has_room(draft: _Draft, change: Change) -> bool:
    """Whether *change* is kept by name; only a full folder is asked what the change is, which costs unpacking it."""
    kept = len(draft.changes)
    return kept < _MOST_KEPT_LEAVES or (kept < _MOST_KEPT_FOLDERS and _is_folder(change))


def _is_folder(change: Change) -> bool:
    entry = change.after or change.before
    return entry is not None and entry.type is EntryType.DIRECTORY


def _finish(name: bytes, draft: _Draft, own: Leaf | None, budget: list[int], *, opened: bool) -> Folder:
    counts = Counts(*(draft.counts.get(kind, 0) for kind in ChangeKind))
    while name and len(draft.folders) == 1 and all(leaf.name in draft.folders for leaf in draft.changes):
        own = draft.changes[0] if draft.changes else None
        inner, draft = next(iter(draft.folders.items()))
        name = name + b"/" + inner
    selves = {leaf.name: leaf for leaf in draft.changes if leaf.name in draft.folders}
    ranked = sorted(
        (leaf for leaf in draft.changes if leaf.name not in selves), key=lambda leaf: (not leaf.findings, leaf.name)
    )
    listed = ranked[: max(0, min(_MOST_PER_FOLDER, budget[0]))]
    budget[0] -= len(listed)
    order = sorted(draft.folders.items(), key=lambda pair: (not pair[1].cited, pair[0]))
    folders, unlisted = _finish_folders(order, selves, budget)
    is_open = opened or counts.total < _OPEN_WHEN_UNDER
    leaves = tuple(sorted(listed, key=lambda leaf: (not leaf.findings, leaf.name)))
    return Folder(
        name, own, counts, folders, leaves, len(ranked) - len(listed) + unlisted + draft.only_counted, is_open
    )


def _finish_folders(
    order: list[tuple[bytes, _Draft]], selves: Mapping[bytes, Leaf], budget: list[int]
) -> tuple[tuple[Folder, ...], int]:
    folders, unlisted = [], 0
    for name, draft in order:
        if budget[0] <= 0:
            unlisted += sum(draft.counts.values())
            continue
        budget[0] -= 1
        folders.append(_finish(name, draft, selves.get(name), budget, opened=draft.cited))
    return tuple(folders), unlisted
