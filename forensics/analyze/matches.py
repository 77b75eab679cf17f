"""Turns YARA matches into findings; a match in a package's own unchanged file is shown, but hardly counts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from forensics.analyze.content import Match
from forensics.analyze.evidence_view import CaseView
from forensics.analyze.file_types import list_paths
from forensics.analyze.files import Artifact, Baseline, Origin, Stage
from forensics.analyze.rule import Rule
from forensics.analyze.runtime import number_of, object_of, objects_of, text_of
from forensics.model import Confidence, EvidenceRef, Finding, Severity
from forensics.risk import mask_secrets
from forensics.text import show, show_path

_SEVERITIES = {severity.value: severity for severity in Severity}
_CONFIDENCES = {confidence.value: confidence for confidence in Confidence}
_HIGH_SCORE, _MEDIUM_SCORE = 75, 50
_TECHNIQUE = re.compile(r"^T\d{4}(?:\.\d{3})?$")
_MOST_STRINGS = 4
_SHOWN_BYTES = 60
_SHOWN_HEX = 48
_MOST_DETAILED = 5
_ATTRIBUTION = ("author", "reference", "license", "licence", "source", "source_url", "license_url", "date", "version")
Addresses = dict[str, Callable[[int], str]]


def analyze_matches(view: CaseView) -> Iterator[Finding]:
    """Report each rule once with all files that it matched; packages' own files separately and low."""
    groups: dict[tuple[str, str, bool], list[tuple[Artifact, Match]]] = {}
    for artifact in view.files.artifacts.telling():
        for match in artifact.facts.matches if artifact.facts else ():
            excused = _is_excused(artifact, view)
            groups.setdefault((match.namespace, match.rule, excused), []).append((artifact, match))
    addresses = _read_addresses(view)
    for (_, _, excused), found in groups.items():
        yield _make(found, addresses, excused=excused)


def _is_excused(artifact: Artifact, view: CaseView) -> bool:
    """Whether the file is a package's own, or stood unchanged in an image that serves as the trusted baseline."""
    if artifact.is_packaged:
        return True
    executes = artifact.origin in {Origin.EXECUTABLE, Origin.DELETED, Origin.RECOVERED}
    trusted = view.files.baseline is Baseline.GIVEN
    return trusted and artifact.stage is Stage.BASE and not executes


def _make(found: list[tuple[Artifact, Match]], addresses: Addresses, *, excused: bool) -> Finding:
    match = found[0][1]
    details = [line for artifact, hit in found[:_MOST_DETAILED] for line in detail_match(artifact, hit, addresses)]
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
        [_refer(artifact, hit) for artifact, hit in found],
        confidence=Confidence.LOW if excused else None,
        details=[*_credit(match), *details],
    )


def _refer(artifact: Artifact, match: Match) -> EvidenceRef:
    """Return where the first string matched."""
    return replace(artifact.reference, offset=match.strings[0].offset if match.strings else None)


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


def detail_match(artifact: Artifact, match: Match, addresses: Addresses) -> Iterator[str]:
    """Yield where each string matched, with the bytes around it as text and as hexadecimal; masked where secret."""
    for part in match.strings:
        before, after = show(part.before), show(part.after)
        text = mask_secrets(f"{before}\u00bb{show(part.data)}\u00ab{after}")
        is_open = text == f"{before}\u00bb{show(part.data)}\u00ab{after}"
        raw = (
            part.data[:_SHOWN_HEX].hex(" ") + (" \u2026" if len(part.data) > _SHOWN_HEX else "")
            if is_open
            else "masked"
        )
        place = addresses[artifact.item](part.offset) if artifact.item in addresses else ""
        length = part.length or len(part.data)
        yield f"{show_path(artifact.path)} {part.identifier} at {part.offset:#x}{place}, {length} bytes: {text} | {raw}"


def _credit(match: Match) -> Iterator[str]:
    """Yield whom to name for a rule that is not ours: author, reference and licence, as some sets demand."""
    names = {name.lower(): value for name, value in match.meta.items()}
    if not match.is_own:
        yield f"rule {show(match.rule, 120)} of {show(match.namespace.partition(':')[2], 120)}"
        yield from (f"{name}: {show(names[name], 200)}" for name in _ATTRIBUTION if names.get(name))


def _attribute(match: Match) -> str:
    """Return the credit in one phrase."""
    if match.is_own:
        return ""
    names = {name.lower(): value for name, value in match.meta.items()}
    parts = [f"{name}: {show(names[name], 120)}" for name in _ATTRIBUTION if names.get(name)]
    return f" [{'; '.join(parts)}]" if parts else ""


def _read_addresses(view: CaseView) -> Addresses:
    """Return, by item of memory, what turns an offset of the dump into an address of the process."""
    found: Addresses = {}
    for _, document in view.documents("memory-map"):
        part = object_of(document)
        runs = [(number_of(r.get("offset")), number_of(r.get("start")), number_of(r.get("end")))
                for r in objects_of(part.get("runs"))]  # fmt: skip
        found[text_of(part.get("memory_item"))] = partial(_show_address, tuple(sorted(runs)))
    return found


def _show_address(runs: tuple[tuple[int, int, int], ...], offset: int) -> str:
    for begin, start, end in runs:
        if begin <= offset < begin + end - start:
            return f" (address {start + offset - begin:#x})"
    return ""
