"""Sorts the files of the merged trees into artifacts by the stage at which they came. Reads no archive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from forensics.analyze.content import ContentFacts
from forensics.analyze.examine import Examiner
from forensics.analyze.files import Artifact, Baseline, FileView, Origin, Stage, brings_content
from forensics.analyze.package_reader import PackageReader
from forensics.archive.compare import iterate_changes, make_change
from forensics.archive.tree import Tree
from forensics.model import Change, ChangeKind, EntryType, FileEntry


@dataclass(frozen=True, slots=True)
class Trees:
    """The merged file system, the baseline's (if any), and the first layer's where the baseline has several.

    ``built`` counts the layers that the image's own history made: the last one of a snapshot is the container's.
    ``below`` read the packages of a baseline that was given from outside.
    """

    baseline: Baseline
    final: Tree
    before: Tree | None
    first: Tree | None
    built: int
    below: PackageReader | None = None


def collect_artifacts(view: FileView, trees: Trees, examiner: Examiner) -> Iterator[Artifact]:
    """Yield what is to be judged: newcomers, what the build added, what matched a rule, what was deleted on the way."""
    make = _Maker(view, examiner)
    stage = Stage.RUNTIME if trees.baseline.is_runtime else Stage.BUILD
    for change in view.changes:
        if artifact := make.of_change(change, stage):
            yield artifact
    if trees.first is not None and trees.before is not None:
        for change in iterate_changes(trees.first, trees.before):
            if not _is_brought_later(view, change) and (artifact := make.of_change(change, Stage.BUILD)):
                yield artifact
    yield from _find_telling(view, trees, make)
    for recovered in trees.final.recovered:
        yield make.of_entry(recovered.entry, _stage_of_layer(recovered.entry, trees), Origin.RECOVERED)
    for _, hidden in trees.final.hidden:
        if hidden.entry.type is EntryType.FILE:
            yield make.of_entry(hidden.entry, Stage.BUILD, Origin.RECOVERED)


def _find_telling(view: FileView, trees: Trees, make: _Maker) -> Iterator[Artifact]:
    """Yield the files of the base whose content matched a rule or could not be examined; all where there is no base."""
    for entry in trees.final.entries():
        facts = make.facts_of(entry) if entry.type is EntryType.FILE else None
        if not facts or not (facts.matches or facts.failure or trees.baseline is Baseline.NONE):
            continue
        if trees.baseline is Baseline.NONE or not _is_seen(view, trees, entry):
            yield make.of_entry(entry, Stage.BASE)


def _is_seen(view: FileView, trees: Trees, entry: FileEntry) -> bool:
    """Whether a file is an artifact already, because it came after the first layer or after the baseline."""
    if (change := view.changed.get(entry.path)) is not None and brings_content(change):
        return True
    if trees.first is None or trees.before is None:
        return False
    built = make_change(trees.first.get(entry.path), trees.before.get(entry.path))
    return built is not None and brings_content(built)


def _is_brought_later(view: FileView, change: Change) -> bool:
    later = view.changed.get(change.path)
    return later is not None and brings_content(later)


def _stage_of_layer(entry: FileEntry, trees: Trees) -> Stage:
    return Stage.BASE if entry.layer == 0 and trees.baseline is not Baseline.NONE else Stage.BUILD


class _Maker:
    """Makes artifacts of entries and changes."""

    def __init__(self, view: FileView, examiner: Examiner) -> None:
        self._view = view
        self._texts = examiner.texts
        self._contents = examiner.contents
        self._layers = {layer.index: layer.diff_id for layer in reversed(view.layers)}

    def facts_of(self, entry: FileEntry) -> ContentFacts | None:
        """Return what is known of an entry's content."""
        return self._contents.facts_of(entry.sha256)

    def of_change(self, change: Change, stage: Stage) -> Artifact | None:
        """Return the artifact of a change that brought a file's content."""
        if change.kind is ChangeKind.DELETED or change.after is None or not brings_content(change):
            return None
        return self.of_entry(change.after, stage, before=change.before)

    def of_entry(
        self, entry: FileEntry, stage: Stage, origin: Origin = Origin.LAYER, before: FileEntry | None = None
    ) -> Artifact:
        """Return the artifact of a file."""
        facts = self.facts_of(entry)
        packages = self._view.packages
        packaged = bool(facts and packages.is_packages_content(entry.path, facts.md5, facts.sha1, facts.sha256))
        packaged = packaged or packages.is_maintainer_script(entry.path, is_runtime=stage is Stage.RUNTIME)
        layer = self._layers.get(entry.layer)
        text = self._texts.get(entry.sha256 or "")
        return Artifact(self._view.item, origin, entry, facts, stage, layer, before, None, packaged, text)
