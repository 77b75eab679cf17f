"""What an upper layer deleted and a lower one still holds: dropped programs, keys, secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator

from forensics.analyze.configuration import Area, area_of
from forensics.analyze.content import Kind
from forensics.analyze.evidence_view import CaseView
from forensics.analyze.exposed_secrets import is_key_of_host, secrets_of
from forensics.analyze.file_types import list_paths
from forensics.analyze.files import Artifact, Origin
from forensics.analyze.places import in_hidden_place, in_system_bin, in_temp
from forensics.analyze.rule import Rule
from forensics.model import Confidence, Finding, Severity

DROPPED = Rule(
    "layer.program-dropped-and-deleted",
    "A program was put into one layer and deleted in a later one",
    Severity.HIGH,
    ("T1525", "T1070.004"),
    "Whoever builds an image that way runs something and hides it; the layer still holds the program.",
    "Installers and build tools that are removed in a later step instead of the same one.",
    "Examine the recovered program and the history line that made its layer.",
    Confidence.MEDIUM,
)
KEY = Rule(
    "layer.secret-deleted-but-present",
    "A key or credential was deleted, but a lower layer still holds it",
    Severity.HIGH,
    ("T1552.001",),
    "Everyone who pulls the image has the secret.",
    "None: deleting in a later layer does not remove.",
    "Rotate it; rebuild the image without it.",
)
_INSTALLER = re.compile(
    rb"(?:install|setup|configure|build|make|test|bootstrap|get-pip|entrypoint)[^/]*$", re.IGNORECASE
)
_BUILD = re.compile(rb"^(?:build|src|usr/src|root/\.cache|var/lib|var/cache|usr/share|workspace|app/node_modules)/")


def analyze_recovered(view: CaseView) -> Iterator[Finding]:
    """Judge recovered deletions by kind and place; a package's own files are left out."""
    programs: list[Artifact] = []
    secrets: list[Artifact] = []
    for artifact in view.files.artifacts:
        if artifact.origin is not Origin.RECOVERED or artifact.is_packaged:
            continue
        if _is_secret(artifact):
            secrets.append(artifact)
        elif _is_dropped(artifact):
            programs.append(artifact)
    if programs:
        yield DROPPED.found(list_paths(programs), [artifact.reference for artifact in programs])
    if secrets:
        yield KEY.found(list_paths(secrets), [artifact.reference for artifact in secrets])


def _is_secret(artifact: Artifact) -> bool:
    """Whether it opens something: by its place or by what it holds; a server's own key is made anew at every start."""
    if area_of(artifact.path) in {Area.SECRET, Area.KEYS}:
        return artifact.entry.size_bytes > 0
    strong = any(not kind.startswith("value of ") for kind in secrets_of(artifact))
    return strong and not is_key_of_host(artifact.path)


def _is_dropped(artifact: Artifact) -> bool:
    path = artifact.path
    if artifact.kind in {Kind.ELF, Kind.PE}:
        return not _BUILD.match(path) and not path.endswith((b".o", b".a", b".so"))
    if artifact.kind is not Kind.SCRIPT or _INSTALLER.search(path):
        return False
    return in_temp(path) or in_hidden_place(path) or (in_system_bin(path) and artifact.is_executable)
