"""Sorts the files of the merged trees into artifacts by the stage at which they came. Reads no archive."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from forensics.analyze.examine import Examiner
from forensics.analyze.files import Artifact, Baseline, FileView, Origin, Stage
from forensics.analyze.packages import Packages, is_database_path, read_database
from forensics.archive.tree import Tree, compare
from forensics.model import Change, ChangeKind, EntryType, FileEntry


@dataclass(frozen=True, slots=True)
class Trees:
    """The merged file system, the baseline's (if any), and the first layer's where the baseline has several.

    ``built`` counts the layers that the image's own history made: the last one of a snapshot is the container's.
    """

    baseline: Baseline
    final: Tree
    before: Tree | None
    first: Tree | None
    built: int


def read_packages(trees: Trees, texts: Mapping[str, bytes]) -> Packages:
    """Read the package databases of the baseline and of the merged file system."""
    return Packages(
        base=read_database(*_database_of(trees.before, texts)) if trees.before else Packages().base,
        final=read_database(*_database_of(trees.final, texts)),
    )


def _database_of(tree: Tree, texts: Mapping[str, bytes]) -> tuple[list[bytes], Callable[[bytes], bytes | None]]:
    paths = {entry.path: entry.sha256 for entry in tree.entries() if is_database_path(entry.path)}
    return sorted(paths), lambda path: texts.get(paths.get(path) or "")


def collect_artifacts(view: FileView, trees: Trees, examiner: Examiner) -> Iterator[Artifact]:
    """Yield what is to be judged: newcomers, what the build added, what matched a rule, what was deleted on the way."""
    seen: set[bytes] = set()
    runtime = trees.baseline.is_runtime
    for change in view.changes:
        if artifact := _of_change(view, change, Stage.RUNTIME if runtime else Stage.BUILD, examiner):
            seen.add(change.path)
            yield artifact
    if trees.first is not None and trees.before is not None:
        for change in compare(trees.first, trees.before):
            if change.path not in seen and (artifact := _of_change(view, change, Stage.BUILD, examiner)):
                seen.add(change.path)
                yield artifact
    for entry in trees.final.entries():
        if entry.path in seen or entry.type is not EntryType.FILE:
            continue
        facts = examiner.facts.get(entry.sha256 or "")
        if facts and (facts.matches or facts.failure or trees.baseline is Baseline.NONE):
            yield _make(view, entry, Stage.BASE, examiner)
    for recovered in trees.final.recovered:
        yield _make(view, recovered.entry, _stage_of_layer(recovered.entry, trees), examiner, Origin.RECOVERED)
    for _, hidden in trees.final.hidden:
        if hidden.entry.type is EntryType.FILE:
            yield _make(view, hidden.entry, Stage.BUILD, examiner, Origin.RECOVERED)


def _stage_of_layer(entry: FileEntry, trees: Trees) -> Stage:
    return Stage.BASE if entry.layer == 0 and trees.baseline is not Baseline.NONE else Stage.BUILD


def _of_change(view: FileView, change: Change, stage: Stage, examiner: Examiner) -> Artifact | None:
    after = change.after
    if after is None or change.kind is ChangeKind.DELETED or after.type is not EntryType.FILE:
        return None
    if change.kind is ChangeKind.MODIFIED and not {"content", "type"} & set(change.fields):
        return None
    return replace(_make(view, after, stage, examiner), before=change.before)


def _make(
    view: FileView,
    entry: FileEntry,
    stage: Stage,
    examiner: Examiner,
    origin: Origin = Origin.LAYER,
) -> Artifact:
    facts = examiner.facts.get(entry.sha256 or "")
    text = examiner.texts.get(entry.sha256 or "")
    packaged = bool(facts and view.packages.is_packages_content(entry.path, facts.md5, facts.sha1))
    layer = next((layer.diff_id for layer in view.layers if layer.index == entry.layer), None)
    return Artifact(
        item=view.item,
        origin=origin,
        entry=entry,
        facts=facts,
        stage=stage,
        layer=layer,
        is_packaged=packaged,
        text=text,
    )
