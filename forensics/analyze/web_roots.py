"""Programs that appeared where a web server serves files."""

from __future__ import annotations

import re
from collections.abc import Iterator

from forensics.analyze.content import Kind
from forensics.analyze.evidence_view import CaseView
from forensics.analyze.file_types import list_paths
from forensics.analyze.files import Artifact, Origin
from forensics.analyze.places import in_upload_place, in_web_root
from forensics.analyze.rule import Rule
from forensics.model import Confidence, EntryType, Finding, Severity

SCRIPT = Rule(
    "web.executable-newcomer",
    "A program appeared below a web root while the container ran",
    Severity.MEDIUM,
    ("T1505.003",),
    "Who can place a script where the web server executes it owns the server: a web shell.",
    "Applications that install or update themselves at start (content management systems).",
    "Read the script; look for requests to it in the server's log.",
    Confidence.MEDIUM,
)
UPLOAD = Rule(
    "web.executable-in-data-folder",
    "A program lies in a folder for uploads or pictures below a web root",
    Severity.HIGH,
    ("T1505.003",),
    "Folders for data hold no programs; web shells arrive through upload forms.",
    "Guard files ('silence is golden') of content management systems, which are nearly empty.",
    "Read the script; look for requests to it in the server's log.",
)
_EXTENSIONS = (
    b".php", b".php3", b".php5", b".php7", b".phtml", b".phar", b".pht", b".jsp", b".jspx", b".war", b".asp", b".aspx",
    b".ashx", b".cgi", b".pl", b".cfm", b".shtml",
)  # fmt: skip
_GUARD = re.compile(rb"^(?:.*/)?index\.(?:php|html?)$")
_GUARD_BYTES = 64


def analyze_web_roots(view: CaseView) -> Iterator[Finding]:
    """Judge candidates below web roots: newness counts in a running container, the place always."""
    newcomers: list[Artifact] = []
    misplaced: list[Artifact] = []
    for artifact in view.files.candidates:
        if not in_web_root(artifact.path) or artifact.entry.type is not EntryType.FILE:
            continue
        if artifact.origin is Origin.RECOVERED or not _is_program(artifact):
            continue
        if artifact.is_runtime and in_upload_place(artifact.path) and not _is_guard(artifact):
            misplaced.append(artifact)
        elif artifact.is_runtime and artifact.origin is Origin.LAYER:
            newcomers.append(artifact)
    for rule, artifacts in ((UPLOAD, misplaced), (SCRIPT, newcomers)):
        if artifacts:
            yield rule.found(list_paths(artifacts), [artifact.reference for artifact in artifacts])


def _is_guard(artifact: Artifact) -> bool:
    return bool(_GUARD.match(artifact.path)) and artifact.entry.size_bytes <= _GUARD_BYTES


def _is_program(artifact: Artifact) -> bool:
    if artifact.path.lower().endswith(_EXTENSIONS):
        return True
    return artifact.kind in {Kind.PHP, Kind.ELF, Kind.SCRIPT} and (
        artifact.is_executable or artifact.kind is not Kind.SCRIPT
    )
