"""Joins what the readers saw of package databases with the trees they stand in. Reads no archive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from forensics.analyze.build_stage import Trees
from forensics.analyze.examine import Examiner
from forensics.analyze.files import Baseline
from forensics.analyze.package_check import FileSystem, check_files
from forensics.analyze.package_reader import is_database_path
from forensics.analyze.package_trust import resolve_packages
from forensics.analyze.packages import Packages
from forensics.archive.index import make_path
from forensics.model import FileEntry


def read_packages(trees: Trees, examiner: Examiner, diff_ids: Mapping[int, str]) -> Packages:
    """Return the packages of the file system, whom to believe about them, and which files do not agree."""
    kept = [path for row in trees.final.rows() if is_database_path(path := make_path(row.key))]
    given = trees.baseline is Baseline.GIVEN
    readers = [(examiner.packages, 0 if given else trees.built)]
    if trees.below is not None:
        readers.insert(0, (trees.below, len(trees.below.seen) and max(trees.below.seen) + 1))
    packages = resolve_packages(readers, kept, diff_ids=diff_ids, is_container=trees.baseline is Baseline.IMAGE)
    return replace(packages, checked=check_files(_describe(trees, examiner), packages))


def _describe(trees: Trees, examiner: Examiner) -> FileSystem:
    before = trees.before if trees.baseline.is_runtime else None

    def sums(sha256: str) -> tuple[str, str]:
        facts = examiner.contents.facts_of(sha256)
        return (facts.md5, facts.sha1) if facts else examiner.packages.sums.get(sha256, ("", ""))

    def is_runtime(entry: FileEntry) -> bool:
        if before is None:
            return False
        old = before.get(entry.path)
        return old is None or old.sha256 != entry.sha256

    def is_runtime_deletion(path: bytes) -> bool:
        return before is not None and any(before.get(name) for name in (path, path.removeprefix(b"usr/")))

    return FileSystem(trees.final.entries, sums, examiner.contents.kind_of, is_runtime, is_runtime_deletion)
