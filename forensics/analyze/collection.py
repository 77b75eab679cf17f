"""Data gathered for the way out: copies of credential files, archives staged in temporary or hidden places."""

from __future__ import annotations

from collections.abc import Iterator

from forensics.analyze.configuration import Area, area_of
from forensics.analyze.content import Kind
from forensics.analyze.evidence_view import CaseView
from forensics.analyze.file_types import list_paths
from forensics.analyze.files import Artifact
from forensics.analyze.places import in_hidden_place, in_temp
from forensics.analyze.rule import Rule
from forensics.model import Confidence, EntryType, FileEntry, Finding, Severity
from forensics.text import show_path

COPY = Rule(
    "collection.copy-of-credentials",
    "A credential file was copied to another place",
    Severity.HIGH,
    ("T1003.008", "T1552.001", "T1074.001"),
    "Password files and keys have one place each; a copy is made to be taken away or cracked.",
    "Backups that a tool makes beside the original (left out).",
    "Treat every password and key in it as known to the intruder; look for transfers to the outside.",
)
STAGED = Rule(
    "collection.archive-staged",
    "An archive lies in a hidden temporary place",
    Severity.MEDIUM,
    ("T1560.001", "T1074.001", "T1564.001"),
    "What is to be stolen is packed and parked where nobody looks.",
    "Installers that unpack themselves below a hidden temporary folder.",
    "List what the archive holds; look for transfers to the outside.",
    Confidence.MEDIUM,
)
_ORIGINALS = (b"etc/shadow", b"etc/gshadow", b"etc/sudoers")
_SMALLEST_BYTES = 16


def analyze_collection(view: CaseView) -> Iterator[Finding]:
    """Find copies of credential files by content, and archives staged while the container ran."""
    originals = _read_originals(view)
    staged: list[Artifact] = []
    for artifact in view.files.candidates:
        if artifact.entry.type is not EntryType.FILE or not artifact.is_runtime:
            continue
        original = originals.get(artifact.entry.sha256 or "")
        if original and not _is_beside(artifact.path, original.path):
            places = [artifact.reference, view.files.reference(original.path)]
            yield COPY.found(f"{show_path(artifact.path)} is {show_path(original.path)}", places)
        elif artifact.kind is Kind.ARCHIVE and in_temp(artifact.path) and in_hidden_place(artifact.path):
            staged.append(artifact)
    if staged:
        yield STAGED.found(list_paths(staged), [artifact.reference for artifact in staged])


def _read_originals(view: CaseView) -> dict[str, FileEntry]:
    """Return the credential files of the image and of the container by digest."""
    found: dict[str, FileEntry] = {}
    for tree in (view.files.base, view.files.final):
        for path in _ORIGINALS:
            entry = tree.get(path) if tree else None
            if entry and entry.sha256 and entry.size_bytes >= _SMALLEST_BYTES:
                found.setdefault(entry.sha256, entry)
    for artifact in view.files.artifacts:
        digest = artifact.entry.sha256
        if digest and area_of(artifact.path) is Area.SECRET and artifact.entry.size_bytes >= _SMALLEST_BYTES:
            found.setdefault(digest, artifact.entry)
    return found


def _is_beside(path: bytes, original: bytes) -> bool:
    """Whether it is the original, or a copy in the same folder, as account tools make (``shadow-``)."""
    return path == original or path.rpartition(b"/")[0] == original.rpartition(b"/")[0]
