"""Builds the :class:`FileView` of a case: trees, changes, packages, the content of every file read once.

The snapshot image gives the file system; tmpfs, volumes, executables and deleted files that were collected beside it
are joined to it. What cannot be read is a named failure, never an empty result.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.analyze.artifact_table import ArtifactTable
from forensics.analyze.build_stage import Trees, collect_artifacts
from forensics.analyze.bulk import NamedFailures, keep_or_spool
from forensics.analyze.configuration import is_kept
from forensics.analyze.examine import Examiner
from forensics.analyze.extras import read_extras
from forensics.analyze.files import Artifact, Baseline, FileView, Origin, Stage
from forensics.analyze.package_stage import read_packages
from forensics.analyze.runtime import object_of, text_of, texts_of
from forensics.archive.compare import decode_change, encode_change, iterate_changes
from forensics.archive.image import Image, ImageSource, open_image
from forensics.archive.leftovers import read_leftovers
from forensics.archive.limits import DAMAGE, Anomaly
from forensics.archive.tree import Content, merge, read_layers
from forensics.errors import ArchiveError, UsageError
from forensics.model import Change, EvidenceItem, FileEntry, Outcome
from forensics.text import show_path

if TYPE_CHECKING:
    from forensics.evidence.case import Case

_MOST_ANOMALIES = 2000


@dataclass
class Loading:
    """What is gathered while a case's files are read."""

    examiner: Examiner
    failures: NamedFailures = field(default_factory=NamedFailures)
    warnings: NamedFailures = field(default_factory=NamedFailures)

    @cached_property
    def artifacts(self) -> ArtifactTable:
        """The table that every artifact goes to."""
        table = ArtifactTable(is_kept, self.examiner.texts)
        table.judge_base = True
        return table


def load_files(case: Case, examiner: Examiner, base: Path | None = None) -> FileView:
    """Read every file of the case once.

    Raises:
        ArchiveError, UsageError: *base* was given and cannot be read.
    """
    loading = Loading(examiner)
    items = [item for item in case.items() if item.outcome is Outcome.COLLECTED]
    images = [item for item in items if item.kind == "image"]
    view = _read_image(case, images[-1], loading, base) if images else FileView()
    loading.artifacts.extend(read_extras(case, items, examiner, loading.failures, loading.warnings))
    failures = (*view.failures, *loading.failures, *examiner.failures)
    return replace(
        view,
        artifacts=loading.artifacts,
        texts=examiner.texts,
        kind_of=examiner.contents.kind_of,
        failures=tuple(dict.fromkeys(failures)),
        limited=tuple(examiner.limited),
        warnings=(*view.warnings, *loading.warnings),
        scanned=examiner.scanner is not None and examiner.scanner.rule_count > 0,
        other_digests=examiner.digest_hits,
        refused_rules=examiner.scanner.refused if examiner.scanner is not None else (),
    )


def _read_image(case: Case, item: EvidenceItem, loading: Loading, base: Path | None) -> FileView:
    with ExitStack() as stack:
        try:
            source = stack.enter_context(open_image(case.path_of(item)))
            image = source.select(**read_choice(item))
        except (ArchiveError, UsageError) as error:
            return FileView(item=item.id, reason=error.message, failures=(f"{item.id}: {error.message}",))
        if base is None:
            return _read_layers(case, item, source, image, loading)
        base_source = stack.enter_context(open_image(base))
        return _read_against(item, source, image, base_source, loading)


def read_choice(item: EvidenceItem) -> dict[str, str | None]:
    """Return which image of a file with several was chosen when the file became evidence."""
    return {name: str(item.attributes[name]) if item.attributes.get(name) else None for name in ("tag", "platform")}


def _read_layers(case: Case, item: EvidenceItem, source: ImageSource, image: Image, loading: Loading) -> FileView:
    baseline, count = _choose_baseline(case, image)
    examiner = loading.examiner

    def visit(entry: FileEntry, content: Content) -> None:
        examiner.examine(entry, content, is_new=baseline is Baseline.NONE or entry.layer >= 1 or count == 0)

    layers = read_layers(source, image, visit)
    built = count if baseline is Baseline.IMAGE else len(layers)
    final = merge(layers, source.limits)
    before = merge(layers[:count], source.limits) if baseline is not Baseline.NONE else None
    first = merge(layers[:1], source.limits) if count > 1 else None
    return _assemble(
        item,
        source,
        image,
        loading,
        Trees(baseline, final, before, first, built),
    )


def _read_against(
    item: EvidenceItem, source: ImageSource, image: Image, base_source: ImageSource, loading: Loading
) -> FileView:
    """Compare with an image that was given from outside: everything that is not in it counts as new."""
    examiner = loading.examiner
    base_image = base_source.select()
    quiet = replace(examiner, scanner=None, packages=examiner.packages.fork())
    below = read_layers(base_source, base_image, lambda entry, content: quiet.examine(entry, content, is_new=False))
    before = merge(below, base_source.limits)
    known = {layer.diff_id for layer in below if layer.diff_id}
    shared = {layer.index for layer in image.layers if layer.diff_id in known}

    def visit(entry: FileEntry, content: Content) -> None:
        examiner.examine(entry, content, is_new=entry.layer not in shared)

    final = merge(read_layers(source, image, visit), source.limits)
    return _assemble(
        item, source, image, loading, Trees(Baseline.GIVEN, final, before, None, len(image.layers), quiet.packages)
    )


def _choose_baseline(case: Case, image: Image) -> tuple[Baseline, int]:
    """Return what to compare with, and how many layers that is."""
    count = len(image.layers)
    if case.subject.kind == "container":
        original = _original_layers(case)
        claimed = [layer.diff_id for layer in image.layers]
        if original and claimed[: len(original)] == original:
            return Baseline.IMAGE, len(original)
        return (Baseline.IMAGE, count - 1) if count > 1 else (Baseline.NONE, 0)
    return (Baseline.LAYERS, 1) if count > 1 else (Baseline.NONE, 0)


def _original_layers(case: Case) -> list[str]:
    for item in case.find("image-inspect"):
        if item.outcome is Outcome.COLLECTED:
            return list(texts_of(object_of(case.read_json(item).get("RootFS")).get("Layers")))
    return []


def _assemble(item: EvidenceItem, source: ImageSource, image: Image, loading: Loading, trees: Trees) -> FileView:
    examiner = loading.examiner
    packages = read_packages(trees, examiner, {layer.index: layer.diff_id for layer in trees.final.layers})
    for unread in packages.unread:
        examiner.limited.append(unread)
    for note in packages.notes:
        loading.warnings.append(note)
    anomalies = (*source.anomalies, *image.anomalies, *trees.final.anomalies)
    reasons = list(_failures_of(anomalies))
    if not any(layer.entries for layer in trees.final.layers):
        reasons.append("the image holds nothing at all, not even a folder")
    view = FileView(
        item=item.id,
        baseline=trees.baseline,
        final=trees.final,
        base=trees.before,
        changes=_compare(trees),
        recovered=trees.final.recovered,
        layers=trees.final.layers,
        packages=packages,
        history=tuple(line.created_by for line in image.history if line.layer is None or line.layer < trees.built),
        image_config=image.config,
        image=image,
        created_at=text_of(image.config.get("created")),
        anomalies=tuple((a.code, a.message, a.path) for a in anomalies[:_MOST_ANOMALIES]),
        failures=tuple(reasons),
        reason="",
    )
    loading.artifacts.judge_base = view.baseline is Baseline.NONE
    loading.artifacts.extend(collect_artifacts(view, trees, examiner))
    loading.artifacts.extend(_read_leftovers(item, source, loading))
    return view


def _read_leftovers(item: EvidenceItem, source: ImageSource, loading: Loading) -> Iterator[Artifact]:
    """Yield the files of parts that no image uses: nobody loads them, and something may be parked there."""
    examiner = loading.examiner
    read: dict[bytes, int] = {}
    for part, entry in read_leftovers(source, lambda entry, content: examiner.examine(entry, content, is_new=True)):
        read[part] = read.get(part, 0) + 1
        facts, text = examiner.contents.facts_of(entry.sha256), examiner.texts.get(entry.sha256 or "")
        yield Artifact(item.id, Origin.LEFTOVER, entry, facts, Stage.BUILD, text=text)
    for part, files in read.items():
        loading.warnings.append(
            f"{show_path(part)} belongs to no image of the archive; its {files} files were examined"
        )


def _compare(trees: Trees) -> Sequence[Change]:
    before, final = trees.before, trees.final
    return () if before is None else keep_or_spool(iterate_changes(before, final), encode_change, decode_change)


def _failures_of(anomalies: Iterable[Anomaly]) -> Iterable[str]:
    for anomaly in anomalies:
        if anomaly.code in DAMAGE:
            yield f"archive: {anomaly.message}"
