"""Data made unusable: many ordinary files that all got the same second extension, and whose content is noise now."""

from __future__ import annotations

from collections.abc import Iterator

from forensics.analyze.content import Kind
from forensics.analyze.evidence_view import CaseView
from forensics.analyze.file_types import list_paths
from forensics.analyze.files import Artifact
from forensics.analyze.rule import Rule
from forensics.model import EntryType, Finding, Severity

ENCRYPTED = Rule(
    "impact.files-encrypted",
    "Many files were encrypted in place",
    Severity.CRITICAL,
    ("T1486",),
    "Ransomware keeps a file's name and adds an extension of its own; the content is no known type any more.",
    "A tool of yours that stores encrypted or packed copies under one extension (usual ones are left out).",
    "Stop whatever writes to this storage; keep the volume as it is, and look for the newest backup that is older.",
)
_FEWEST = 5
_LONGEST_EXTENSION = 24
_ORDINARY = frozenset(
    b"""
    7z avi bak bin bmp bz2 c cfg conf cpp css csv dat db doc docx gif go gz h htm html ini java jpeg jpg js json
    jsonl key log md mdb mov mp3 mp4 odp ods odt pdf pem php png ppt pptx ps py rar rb rs rtf sh sql sqlite sqlite3
    svg tar tgz tif tiff toml ts tsv txt vmdk vsd wav xls xlsx xml yaml yml zip
    """.split()
)
_USUAL_SECOND = frozenset(
    b"""
    1 2 3 age aes asc bak backup br bz2 cache crc crt diff dist d etag gpg gz idx index info jks lck lock
    lst lz4 lzma lzo map md5 meta min new old orig p12 part patch pgp prev pyc rej s3 sample save sha1 sha256 sha512 sig
    sign snap swp tmp torrent wal xz zst
    """.split()
)


def analyze_impact(view: CaseView) -> Iterator[Finding]:
    """Find groups of files that were encrypted in place while the container ran; names and types only, bounded."""
    groups: dict[bytes, list[Artifact]] = {}
    for artifact in view.files.candidates:
        if artifact.entry.type is not EntryType.FILE or not artifact.is_runtime:
            continue
        added = _added_extension(artifact.path)
        if added and artifact.kind is Kind.DATA and artifact.entry.size_bytes:
            groups.setdefault(added, []).append(artifact)
    for added, members in sorted(groups.items()):
        if len(members) >= _FEWEST:
            matched = f"{len(members)} files ending in .{added.decode('ascii')}: {list_paths(members)}"
            yield ENCRYPTED.found(matched, [artifact.reference for artifact in members])


def _added_extension(path: bytes) -> bytes:
    """Return the extension that stands behind an ordinary one; empty where it is usual, or there is none."""
    parts = path.rpartition(b"/")[2].lower().split(b".")
    if len(parts) < 3 or parts[-2] not in _ORDINARY:  # noqa: PLR2004 - a name and two extensions
        return b""
    added = parts[-1]
    strange = added not in _USUAL_SECOND and added not in _ORDINARY and not added.isdigit()
    return added if strange and added.isalnum() and len(added) <= _LONGEST_EXTENSION else b""
