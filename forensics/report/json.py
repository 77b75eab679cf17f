"""The report for programs: schema ``ir.report/1``. Keys are added, never changed.

Every text is shown (:func:`forensics.text.show`), so the document is ASCII and valid I-JSON; ``path_b64`` carries the
exact bytes of a path as the archive holds it (no leading slash).
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from forensics.model import (
    Change,
    EvidenceRef,
    Finding,
    Indicator,
    JsonObject,
    LedgerLine,
    RecoveredFile,
    TimelineEvent,
)
from forensics.report.document import Report
from forensics.text import encode_base64, show, show_path

SCHEMA = "ir.report/1"


def render_json(report: Report) -> str:
    """Return the report as one JSON document, ending with a newline."""
    return json.dumps(to_document(report), ensure_ascii=True, indent=1) + "\n"


def to_document(report: Report) -> JsonObject:
    """Return the report as a JSON object of schema ``ir.report/1``."""
    analysis = report.analysis
    containment = report.containment
    return {
        "schema": SCHEMA,
        "tool": {fact.name: show(fact.value) for fact in report.tool},
        "case": {"id": report.case.id, "created_at": report.case.created_at, "operator": show(report.case.operator)},
        "verdict": analysis.verdict.value,
        "reasons": _shown(analysis.reasons),
        "not_examined": [_ledger(line) for line in report.gaps],
        "subject": _shown(asdict(report.subject)),
        "findings": [_finding(finding) for finding in analysis.findings],
        "changes": [_change(change) for change in analysis.changes],
        "deleted_recovered": [_recovered(row) for row in analysis.recovered],
        "layers": _shown([asdict(layer) for layer in analysis.layers]),
        "ledger": [_ledger(line) for line in report.ledger],
        "containment": {
            "attempted": containment.attempted,
            "proved": containment.proved,
            "released": containment.released,
            "at": containment.at,
            "seconds": containment.seconds,
            "actions": [{"effect": show(fact.name), "result": show(fact.value)} for fact in containment.actions],
            "proof": {show(fact.name): show(fact.value) for fact in containment.proof},
        },
        "steps": _shown([asdict(step) for step in report.steps]),
        "attack_story": _shown([asdict(tactic) for tactic in report.story]),
        "timeline": [_event(event) for event in analysis.timeline],
        "indicators": [_indicator(indicator) for indicator in analysis.indicators],
        "processes": _shown([asdict(process) for process in report.processes]),
        "connections": _shown([asdict(connection) for connection in report.connections]),
        "settings": _shown([asdict(setting) for setting in report.settings]),
        "blast_radius": _shown([asdict(exposure) for exposure in report.exposures]),
        "secrets": _shown([asdict(secret) for secret in report.secrets]),
        "items": _shown([asdict(item) for item in report.items]),
        "custody": {
            "entries": report.custody.entries,
            "head": report.custody.head,
            "seals": [
                {"number": seal.number, "signed": seal.signed, "timestamped": seal.timestamped}
                | {show(fact.name): show(fact.value) for fact in seal.facts}
                for seal in report.custody.seals
            ],
        },
        "warnings": _shown(analysis.warnings),
    }


def _shown(value: Any) -> Any:  # noqa: ANN401 - JSON in, JSON out
    """Return JSON with every string shown; an enum becomes its value."""
    if isinstance(value, str):
        return show(str(value))
    if isinstance(value, dict):
        return {show(str(key)): _shown(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(member) for member in value]
    return value


def _reference(ref: EvidenceRef) -> JsonObject:
    return {"item": ref.item, "layer": ref.layer, **_path(ref.path), "pid": ref.pid, "offset": ref.offset}


def _path(path: bytes | None) -> JsonObject:
    if path is None:
        return {"path": None, "path_b64": None}
    return {"path": show_path(path), "path_b64": encode_base64(path)}


def _finding(finding: Finding) -> JsonObject:
    return {
        "rule": finding.rule,
        "title": show(finding.title),
        "severity": finding.severity.value,
        "confidence": finding.confidence.value,
        "attack": list(finding.attack),
        "matched": show(finding.matched),
        "details": [show(line) for line in finding.details],
        "evidence": [_reference(ref) for ref in finding.evidence],
        "why": show(finding.why),
        "benign": show(finding.benign),
        "next": show(finding.next),
    }


def _change(change: Change) -> JsonObject:
    return {
        **_path(change.path),
        "kind": change.kind.value,
        "fields": list(change.fields),
        "layer": change.layer,
    }


def _recovered(row: RecoveredFile) -> JsonObject:
    entry = row.entry
    return {
        **_path(entry.path),
        "sha256": entry.sha256,
        "size_bytes": entry.size_bytes,
        "layer": entry.layer,
        "layer_diff_id": row.layer_diff_id,
        "deleted_in_layer": row.deleted_in_layer,
        "created_by": show(row.created_by),
    }


def _ledger(line: LedgerLine) -> JsonObject:
    return {
        "artefact": show(line.artefact),
        "outcome": line.outcome.value,
        "reason": show(line.reason),
        "bytes": line.size_bytes,
        "seconds": line.seconds,
        "disturbed": show(line.disturbed),
        "items": list(line.items),
    }


def _event(event: TimelineEvent) -> JsonObject:
    return {
        "at": show(event.at),
        "kind": show(event.kind),
        "description": show(event.description),
        "evidence": _reference(event.evidence) if event.evidence else None,
        "doubt": show(event.doubt),
    }


def _indicator(indicator: Indicator) -> JsonObject:
    return {
        "type": indicator.type,
        "value": show(indicator.value),
        "evidence": [_reference(ref) for ref in indicator.evidence],
    }
