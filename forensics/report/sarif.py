"""Findings as SARIF 2.1.0 (OASIS), for code-scanning dashboards and build pipelines."""

from __future__ import annotations

import json
from urllib.parse import quote

from forensics import __version__
from forensics.model import EvidenceRef, Finding, JsonObject, Severity
from forensics.report.document import Report
from forensics.text import show, show_path

_LEVELS = {Severity.CRITICAL: "error", Severity.HIGH: "error", Severity.MEDIUM: "warning"}
_SCORES = {"critical": "9.5", "high": "8.0", "medium": "5.5", "low": "3.0", "info": "0.0"}
_RANKS = {"high": 90.0, "medium": 60.0, "low": 30.0}


def render_sarif(report: Report) -> str:
    """Return one run; a failed artefact is a tool notification, so that a partial scan never reads as a whole one."""
    rules: dict[str, Finding] = {}
    for finding in report.analysis.findings:
        rules.setdefault(finding.rule, finding)
    order = sorted(rules)
    run = {
        "tool": {"driver": {"name": "ir", "version": __version__, "rules": [_rule(rules[name]) for name in order]}},
        "automationDetails": {"id": f"ir/{report.case.id}"},
        "invocations": [_invocation(report)],
        "results": [_result(finding, order.index(finding.rule)) for finding in report.analysis.findings],
    }
    document = {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}
    return json.dumps(document, ensure_ascii=True, indent=1) + "\n"


def _invocation(report: Report) -> JsonObject:
    failed = [line for line in report.gaps if line.outcome.value == "failed"]
    notes = [{"level": "error", "message": {"text": show(f"{line.artefact}: {line.reason}")}} for line in failed]
    return {"executionSuccessful": not failed, "toolExecutionNotifications": notes}


def _rule(finding: Finding) -> JsonObject:
    return {
        "id": finding.rule,
        "shortDescription": {"text": show(finding.title)},
        "fullDescription": {"text": show(finding.why) or show(finding.title)},
        "help": {"text": show(" ".join(filter(None, (finding.benign, finding.next)))) or show(finding.title)},
        "properties": {
            "tags": ["security", *map(show, finding.attack)],
            "security-severity": _SCORES[finding.severity],
        },
    }


def _result(finding: Finding, index: int) -> JsonObject:
    return {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": _LEVELS.get(finding.severity, "note"),
        "rank": _RANKS[finding.confidence],
        "message": {"text": f"{show(finding.title)}: {show(finding.matched)}"},
        "locations": [_location(ref) for ref in finding.evidence],
    }


def _location(ref: EvidenceRef) -> JsonObject:
    names = [ref.item, f"pid {ref.pid}"] if ref.pid is not None else [ref.item]
    location: JsonObject = {"logicalLocations": [{"fullyQualifiedName": show(" ".join(names)), "kind": "resource"}]}
    if ref.path is not None:
        artifact: JsonObject = {
            "uri": quote(ref.path.lstrip(b"/")),
            "uriBaseId": "CONTAINER",
            "description": {"text": show_path(ref.path)},
        }
        location["physicalLocation"] = {"artifactLocation": artifact}
    return location
