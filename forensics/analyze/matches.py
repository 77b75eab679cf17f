"""Turns YARA matches into findings; a match in a package's own unchanged file is shown, but hardly counts."""

from __future__ import annotations

import re
from collections.abc import Iterator

from forensics.analyze.content import Match
from forensics.analyze.evidence_view import CaseView
from forensics.analyze.file_types import list_paths
from forensics.analyze.files import Artifact, Baseline, Origin, Stage
from forensics.analyze.rule import Rule
from forensics.model import Confidence, Finding, Severity
from forensics.text import show

_SEVERITIES = {severity.value: severity for severity in Severity}
_CONFIDENCES = {confidence.value: confidence for confidence in Confidence}
_HIGH_SCORE, _MEDIUM_SCORE = 75, 50
_TECHNIQUE = re.compile(r"^T\d{4}(?:\.\d{3})?$")
_MOST_STRINGS = 4
_SHOWN_BYTES = 60
_ATTRIBUTION = ("author", "reference", "license", "source", "date", "version")


def analyze_matches(view: CaseView) -> Iterator[Finding]:
    """Report each rule once with all files that it matched; packages' own files separately and low."""
    groups: dict[tuple[str, str, bool], list[tuple[Artifact, Match]]] = {}
    for artifact in view.files.artifacts.telling():
        for match in artifact.facts.matches if artifact.facts else ():
            excused = _is_excused(artifact, view)
            groups.setdefault((match.namespace, match.rule, excused), []).append((artifact, match))
    for (_, _, excused), found in groups.items():
        yield _make(found, excused=excused)


def _is_excused(artifact: Artifact, view: CaseView) -> bool:
    """Whether the file is a package's own, or stood unchanged in an image that serves as the trusted baseline."""
    if artifact.is_packaged:
        return True
    executes = artifact.origin in {Origin.EXECUTABLE, Origin.DELETED, Origin.RECOVERED}
    trusted = view.files.baseline is Baseline.GIVEN
    return trusted and artifact.stage is Stage.BASE and not executes


def _make(found: list[tuple[Artifact, Match]], *, excused: bool) -> Finding:
    match = found[0][1]
    severity = severity_of(match)
    if excused:
        severity = Severity.LOW if severity.rank < Severity.LOW.rank else severity
    rule = Rule(
        f"yara.{match.rule}",
        match.meta.get("title") or match.meta.get("description") or f"YARA rule {match.rule} matched",
        severity,
        techniques_of(match),
        match.meta.get("why")
        or match.meta.get("description")
        or "The rule's author considers such content suspicious.",
        match.meta.get("benign") or "Security tools, documentation and signature sets contain the same strings.",
        match.meta.get("next") or "Extract the file and look at the matched strings.",
        _CONFIDENCES.get(match.meta.get("confidence", ""), Confidence.MEDIUM),
    )
    matched = f"{list_paths(artifact for artifact, _ in found)}: {describe_strings(match)}{_attribute(match)}"
    if excused:
        matched = f"in files of the distribution's own packages: {matched}"
    return rule.found(
        matched,
        [artifact.reference for artifact, _ in found],
        confidence=Confidence.LOW if excused else None,
    )


def severity_of(match: Match) -> Severity:
    """Return what the rule's ``severity`` says, else what its ``score`` (0 to 100) or lack of both means."""
    named = _SEVERITIES.get(match.meta.get("severity", "").lower())
    if named:
        return named
    score = match.meta.get("score", "")
    if score.isdecimal():
        return (
            Severity.HIGH
            if int(score) >= _HIGH_SCORE
            else Severity.MEDIUM
            if int(score) >= _MEDIUM_SCORE
            else Severity.LOW
        )
    return Severity.HIGH


def techniques_of(match: Match) -> tuple[str, ...]:
    """Return the ATT&CK ids in the rule's meta data or tags."""
    words = re.split(r"[\s,;]+", match.meta.get("attack") or match.meta.get("mitre_attack") or "")
    return tuple(word for word in [*words, *match.tags] if _TECHNIQUE.match(word))


def describe_strings(match: Match) -> str:
    """Return the first matched strings with their offsets, safe to show."""
    shown = [f"{s.identifier}@{s.offset:#x}={show(s.data[:_SHOWN_BYTES])}" for s in match.strings[:_MOST_STRINGS]]
    return ", ".join(shown) or "condition without strings"


def _attribute(match: Match) -> str:
    """Return whom to name for a rule that is not ours."""
    if match.is_own:
        return ""
    parts = [f"{name}: {show(match.meta[name], 120)}" for name in _ATTRIBUTION if match.meta.get(name)]
    return f" [{'; '.join(parts)}]" if parts else ""
