"""Data changed where it lay: originals gone beside copies with one new ending, or text that became noise."""

from __future__ import annotations

import re
from collections.abc import Iterator

from forensics.analyze.content import Kind
from forensics.analyze.evidence_view import CaseView
from forensics.analyze.files import Artifact
from forensics.analyze.rule import Rule
from forensics.model import ChangeKind, EntryType, EvidenceRef, Finding, Severity
from forensics.text import show, show_path

RENAMED = Rule(
    "impact.files-renamed-and-changed",
    "Many files were replaced by copies with a new ending",
    Severity.CRITICAL,
    ("T1486",),
    "Ransomware encrypts each file into a new one with its own ending and removes the original.",
    "Compressing or backing up in place (endings of packers and backups are left out).",
    "Do not delete anything; look for the program that did it and for its key in process memory.",
)
SCRAMBLED = Rule(
    "impact.files-scrambled",
    "Many text files became noise under their own names",
    Severity.HIGH,
    ("T1486", "T1485"),
    "Files whose ending promises text hold bytes without structure: encrypted or overwritten.",
    "Applications that keep binary data under such names.",
    "Compare with backups; look for the program that wrote them.",
)
_FEWEST = 5
_SHOWN = 4
_HARMLESS = re.compile(
    rb"^(?:gz|bz2|xz|zst|lz4|lzma|zip|7z|br|Z|bak|old|orig|save|backup|tmp|swp|log|sum|sha\d*|md5|asc|sig|map|pyc|meta"
    rb"|dpkg-\w+|ucf-\w+|rpm\w+|\d+|part|crc|json|d|lock|min|new|gpg)$",
    re.IGNORECASE,
)
_TEXTS = re.compile(
    rb"\.(?:txt|csv|tsv|json|xml|ya?ml|html?|css|js|py|php|rb|pl|sh|md|sql|ini|conf|cfg|log|java|c|h|go|rs|ts)$",
    re.IGNORECASE,
)


def analyze_scrambled(view: CaseView) -> Iterator[Finding]:
    """Judge groups of files: five with one new ending whose originals are gone, or five that lost their text."""
    yield from _judge_renamed(view)
    noise = [a for a in view.files.candidates if a.before is not None and a.is_runtime and _is_noise(a)]
    noise = [artifact for artifact in noise if _TEXTS.search(artifact.path)]
    if len(noise) >= _FEWEST:
        shown = ", ".join(show_path(artifact.path) for artifact in noise[:_SHOWN])
        yield SCRAMBLED.found(f"{len(noise)} files: {shown}", [artifact.reference for artifact in noise])


def _judge_renamed(view: CaseView) -> Iterator[Finding]:
    gone = {
        change.path
        for change in view.files.changes
        if change.kind is ChangeKind.DELETED and change.before and change.before.type is EntryType.FILE
    }
    if len(gone) < _FEWEST:
        return
    groups: dict[bytes, list[Artifact]] = {}
    for artifact in view.files.candidates:
        stem, dot, ending = artifact.path.rpartition(b".")
        told = b"." in stem.rpartition(b"/")[2]  # by :mod:`forensics.analyze.impact`
        if dot and b"/" not in ending and stem in gone and not told and not _HARMLESS.match(ending):
            groups.setdefault(ending, []).append(artifact)
    for ending, group in sorted(groups.items()):
        if len(group) < _FEWEST:
            continue
        noise = sum(map(_is_noise, group)) * 2 >= len(group)
        shown = ", ".join(show_path(artifact.path) for artifact in group[:_SHOWN])
        references = [*(artifact.reference for artifact in group)]
        references += [EvidenceRef(view.files.item, path=artifact.path.rpartition(b".")[0]) for artifact in group]
        yield RENAMED.found(
            f"{len(group)} files with .{show(ending)}: {shown}", references, severity=None if noise else Severity.HIGH
        )


def _is_noise(artifact: Artifact) -> bool:
    """Whether the content has no form that anything knows."""
    return artifact.kind is Kind.DATA and artifact.entry.size_bytes > 0
