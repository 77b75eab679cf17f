"""How an analysis and a scan look on the terminal and as JSON. Every hostile part goes through text.show, masked."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from forensics.analyze.store import to_plain
from forensics.cli.frame import say
from forensics.model import Outcome, Severity
from forensics.risk import mask_secrets
from forensics.text import encode_base64, show, show_path

if TYPE_CHECKING:
    from forensics.analyze.content import Match, StringMatch
    from forensics.analyze.scan import FileMatch, Scan
    from forensics.model import Analysis, EvidenceRef, Finding, JsonObject

_COLOURS = {Severity.CRITICAL: "red", Severity.HIGH: "red", Severity.MEDIUM: "yellow", Severity.LOW: "cyan"}
_MOST_LINES = 40
_SHOWN = 150
_REASON = 300
_COMPACT = 90
_SHOWN_STRING = 50


def find_failures(analysis: Analysis) -> list[str]:
    """Return what the analysis could not examine."""
    return [f"{line.artefact}: {line.reason}" for line in analysis.ledger if line.outcome is Outcome.FAILED]


def describe_analysis(analysis: Analysis) -> JsonObject:
    """Return the JSON form of what matters; the whole is below analysis/."""
    return {
        "verdict": analysis.verdict.value,
        "reasons": [mask_secrets(reason) for reason in analysis.reasons],
        "findings": [_describe_finding(finding) for finding in analysis.findings],
        "changes": dict(Counter(change.kind.value for change in analysis.changes)),
        "deleted_recovered": len(analysis.recovered),
        "indicators": to_plain(analysis.indicators),
        "failures": find_failures(analysis),
        "warnings": list(analysis.warnings),
    }


def _describe_finding(finding: Finding) -> JsonObject:
    document: JsonObject = to_plain(finding)
    document["matched"] = mask_secrets(document["matched"])
    document["evidence"] = [_describe_reference(reference) for reference in finding.evidence]
    return document


def _describe_reference(reference: EvidenceRef) -> JsonObject:
    return {
        "item": reference.item,
        "layer": reference.layer,
        "path": show_path(reference.path) if reference.path is not None else None,
        "path_b64": encode_base64(reference.path) if reference.path is not None else None,
        "pid": reference.pid,
        "offset": reference.offset,
    }


def say_analysis(analysis: Analysis, where: Path) -> None:
    """Show verdict, reasons, findings worst first, and what failed."""
    say(f"verdict: {analysis.verdict.value}")
    for reason in analysis.reasons:
        say(f"  {mask_secrets(reason)}")
    for finding in analysis.findings[:_MOST_LINES]:
        label = click.style(f"{finding.severity.value:9}", fg=_COLOURS.get(finding.severity))
        say(f"{label}{finding.rule}: {show(mask_secrets(finding.matched), _COMPACT)}")
    if len(analysis.findings) > _MOST_LINES:
        say(f"{len(analysis.findings) - _MOST_LINES} more in {where}/findings.jsonl")
    for failure in find_failures(analysis)[:_MOST_LINES]:
        say(f"failed: {show(failure, _SHOWN)}", err=True)
    say(f"analysis: {where}")


def _show_strings(match: Match) -> str:
    """Return the first string that matched and how many more there are; all of them are in the JSON form."""
    if not match.strings:
        return ""
    first, more = match.strings[0], len(match.strings) - 1
    text = mask_secrets(show(first.data, _SHOWN_STRING))
    return f": {first.identifier}@{first.offset:#x} {text}{f' and {more} more' if more else ''}"


def _credit(match: Match) -> str:
    """Return whom to name for a rule that is not ours."""
    credit = [show(match.meta[key], 60) for key in ("author", "license") if match.meta.get(key)]
    return f" ({', '.join(credit)})" if credit and not match.is_own else ""


def describe_scan(scan: Scan, path: Path) -> JsonObject:
    """Return the JSON form of a scan, schema ir.scan/1."""
    return {
        "schema": "ir.scan/1",
        "path": str(path),
        "rules": scan.rules,
        "scanned": scan.scanned,
        "complete": not scan.failures,
        "note": scan.note,
        "matches": [_describe_match(found) for found in scan.matches],
        "listed": [
            {
                "list": hit.list_name,
                "line": hit.entry.line,
                "kind": hit.entry.kind,
                "value": hit.entry.value,
                "label": hit.entry.label,
                **_describe_reference(hit.reference),
            }
            for hit in scan.listed
        ],
        "failures": [show(failure) for failure in scan.failures],
    }


def _describe_match(found: FileMatch) -> JsonObject:
    return {
        "rule": found.match.rule,
        "ruleset": found.match.namespace.partition(":")[2],
        "tags": list(found.match.tags),
        "meta": dict(found.match.meta),
        "path": show_path(found.path),
        "path_b64": encode_base64(found.path),
        "sha256": found.sha256,
        "layer": found.layer,
        "item": found.item or None,
        "strings": [_describe_string(part) for part in found.match.strings],
    }


def _describe_string(part: StringMatch) -> JsonObject:
    """Return a matched string; where the text shows a secret, its bytes stay out as well."""
    shown = show(part.data)
    masked = mask_secrets(shown)
    raw = part.data.hex() if masked == shown else None
    return {"id": part.identifier, "offset": part.offset, "text": masked, "hex": raw}


def say_scan(scan: Scan) -> None:
    """Show matches, then what could not be scanned."""
    for found in scan.matches:
        say(f"{show(found.match.rule)}: {show_path(found.path)}{_show_strings(found.match)}{_credit(found.match)}")
    for hit in scan.listed:
        label = f" ({show(hit.entry.label, 60)})" if hit.entry.label else ""
        say(f"{show(hit.list_name)}:{hit.entry.line}: {show(hit.where)} is {show(hit.entry.value, 80)}{label}")
    say(f"{len(scan.matches)} matches of {scan.rules} rules in {scan.scanned} different contents")
    if scan.note:
        say(scan.note)
    for failure in scan.failures[:_MOST_LINES]:
        say(f"failed: {show(failure, _REASON)}", err=True)
    if scan.failures:
        count = len(scan.failures)
        say(f"the scan is not complete: {count} failure{'s' if count > 1 else ''}", err=True)
