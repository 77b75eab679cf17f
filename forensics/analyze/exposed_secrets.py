"""Credentials in files that were added: by what the text holds, not by the file's name alone. Values never appear."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from forensics.analyze.configuration import Area, area_of
from forensics.analyze.evidence_view import CaseView
from forensics.analyze.files import Artifact, Baseline, Origin, Stage
from forensics.analyze.places import may_hold_secrets
from forensics.analyze.rule import Rule
from forensics.model import Confidence, Finding, Severity
from forensics.text import show_path

SECRET_FILE = Rule(
    "secret.file-added",
    "A file with credentials was added",
    Severity.MEDIUM,
    ("T1552.001", "T1552.004"),
    "Keys and tokens in a container can be read by whoever breaks in or pulls the image; they must be rotated now.",
    "Applications that are configured by such files on purpose; examples and test data.",
    "",
)
_OF_THE_HOST = re.compile(
    rb"^etc/(?:ssh/ssh_host_|ssl/private/|letsencrypt/|pki/)|/(?:server|snakeoil|selfsigned)[^/]*\.(?:key|pem)$"
)
_CONFIGURED = re.compile(
    rb"(?:^|/)(?:\.env[^/]*|[^/]*\.env|[^/]*(?:credential|secret|password)[^/]*|wp-config\.php|\.htpasswd|[^/]*\.tfvars"
    rb"|[^/]*\.tfstate|kubeconfig|appsettings[^/]*\.json|application[^/]*\.(?:properties|ya?ml)|database\.ya?ml)$",
    re.IGNORECASE,
)
_MOST_NAMED = 8


def secrets_of(artifact: Artifact) -> tuple[str, ...]:
    """Return what kinds of secrets the content holds."""
    found = artifact.facts.extra.get("secrets", ()) if artifact.facts else ()
    return tuple(str(what) for what in found)


def is_key_of_host(path: bytes) -> bool:
    """Whether a private key there is a server's own, made when it was installed."""
    return bool(_OF_THE_HOST.search(path))


def analyze_secrets(view: CaseView) -> Iterator[Finding]:
    """Name files with credentials that were added, what kinds they hold, and so what to rotate."""
    groups: dict[Severity, list[tuple[Artifact, tuple[str, ...]]]] = {}
    for artifact in view.files.artifacts:
        if not _is_asked(artifact, view):
            continue
        kinds = secrets_of(artifact)
        if kinds:
            groups.setdefault(_grade(artifact, kinds), []).append((artifact, kinds))
        elif area_of(artifact.path) is Area.SECRET and artifact.is_runtime and artifact.entry.size_bytes:
            groups.setdefault(Severity.MEDIUM, []).append((artifact, ("what a file of that name holds",)))
    for severity, group in groups.items():
        shown = "; ".join(f"{show_path(artifact.path)}: {', '.join(kinds)}" for artifact, kinds in group[:_MOST_NAMED])
        rule = replace(SECRET_FILE, next=f"Rotate: {shown}. Keep secrets in the orchestrator's secret store.")
        more = f" and {len(group) - _MOST_NAMED} more files" if len(group) > _MOST_NAMED else ""
        confidence = Confidence.HIGH if severity is Severity.MEDIUM else Confidence.MEDIUM
        yield rule.found(
            shown + more, [artifact.reference for artifact, _ in group], severity=severity, confidence=confidence
        )


def _is_asked(artifact: Artifact, view: CaseView) -> bool:
    if artifact.is_packaged or artifact.origin not in {Origin.LAYER, Origin.TMPFS, Origin.VOLUME}:
        return False
    if not may_hold_secrets(artifact.path):
        return False
    return artifact.stage is not Stage.BASE or view.files.baseline is Baseline.NONE


def _grade(artifact: Artifact, kinds: tuple[str, ...]) -> Severity:
    """A key that a server makes for itself, and an assignment in code, weigh less than a token that opens a service."""
    path = artifact.path
    if kinds == ("private key",) and is_key_of_host(path):
        return Severity.LOW
    strong = any(not what.startswith("value of ") for what in kinds)
    named = area_of(path) is Area.SECRET or bool(_CONFIGURED.search(path))
    return Severity.MEDIUM if (strong or named) and not path.startswith(b"var/log/") else Severity.LOW
