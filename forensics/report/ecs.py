"""Findings, indicators and the timeline for a SIEM: JSON lines in the Elastic Common Schema 8.

A finding is an *alert*, an indicator an *enrichment*, a dated thing an *event*. Only fields of the schema are used, so
that no mapping has to be made. Source: Elastic Common Schema reference, "Field sets" and "ECS categorization fields".
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
from collections.abc import Iterable

from forensics import __version__
from forensics.model import EvidenceRef, Finding, Indicator, JsonObject, Severity, TimelineEvent
from forensics.report.attack import current_technique, name_technique
from forensics.report.document import Report
from forensics.report.timeline import parse_time
from forensics.text import show, show_path

ECS_VERSION = "8.17.0"
_SEVERITIES = {Severity.CRITICAL: 99, Severity.HIGH: 73, Severity.MEDIUM: 47, Severity.LOW: 21, Severity.INFO: 1}
"""The numbers that Elastic's own detection rules give these words."""
_CATEGORIES = {"process": "process", "file": "file", "log": "host", "engine": "host", "layer": "configuration"}
_OBSERVABLES = {
    "ipv4": ("ipv4-addr", ("ip",)),
    "ipv6": ("ipv6-addr", ("ip",)),
    "domain": ("domain-name", ("url", "domain")),
    "url": ("url", ("url", "original")),
    "sha256": ("file", ("file", "hash", "sha256")),
    "path": ("file", ("file", "path")),
    "email": ("email-addr", ("email", "address")),
}
_ID_DIGITS = 32


def render_ecs(report: Report) -> str:
    """Return one JSON object a line: findings, indicators, then what is dated, in order of time."""
    base, at = _base(report), _parse(report.case.created_at)
    lines = [
        *(_finding(finding, at) for finding in report.analysis.findings),
        *(_indicator(indicator, at) for indicator in report.analysis.indicators),
        *(_event(event) for event in report.analysis.timeline if parse_time(event.at) is not None),
    ]
    return "".join(_dump(report, {**base, **line}) for line in lines)


def _dump(report: Report, line: JsonObject) -> str:
    """Return the line with an id that is the same whenever the same case is rendered: a second import adds nothing."""
    text = json.dumps(line, ensure_ascii=True, sort_keys=True)
    identity = hashlib.sha256(f"{report.case.id}\n{text}".encode("ascii")).hexdigest()[:_ID_DIGITS]
    return json.dumps({**line, "event": {**line["event"], "id": identity}}, ensure_ascii=True) + "\n"


def _base(report: Report) -> JsonObject:
    subject = report.subject
    container: JsonObject = {"id": show(subject.id), "name": show(subject.name)}
    if subject.image:
        container["image"] = {"name": show(subject.image)}
    return {
        "ecs": {"version": ECS_VERSION},
        "observer": {"product": "ir", "version": __version__, "type": "forensics"},
        "container": {key: value for key, value in container.items() if value},
        "labels": {"case_id": report.case.id},
    }


def _parse(text: str) -> str:
    """Return a time as Elasticsearch's ``strict_date_optional_time`` reads it; the epoch where there is none."""
    return text if parse_time(text) is not None else "1970-01-01T00:00:00.000000Z"


def _finding(finding: Finding, at: str) -> JsonObject:
    line: JsonObject = {
        "@timestamp": at,
        "message": show(f"{finding.title}: {finding.matched}" if finding.matched else finding.title),
        "event": {
            "kind": "alert",
            "category": ["intrusion_detection"],
            "type": ["info"],
            "module": "ir",
            "dataset": "ir.finding",
            "severity": _SEVERITIES[finding.severity],
            "risk_score": _SEVERITIES[finding.severity],
            "reason": show(finding.why),
        },
        "rule": {"id": finding.rule, "name": show(finding.title), "category": finding.severity.value},
        "tags": [f"severity:{finding.severity.value}", f"confidence:{finding.confidence.value}"],
        **_places(finding.evidence),
    }
    if finding.attack:
        line["threat"] = _threat(finding.attack)
    return line


def _threat(techniques: Iterable[str]) -> JsonObject:
    known = [current_technique(technique) for technique in techniques]
    roots = list(dict.fromkeys(technique.partition(".")[0] for technique in known))
    threat: JsonObject = {
        "framework": "MITRE ATT&CK",
        "technique": {"id": roots, "name": [name_technique(root) for root in roots]},
    }
    if parts := [technique for technique in known if "." in technique]:
        threat["technique"]["subtechnique"] = {"id": parts, "name": [name_technique(part) for part in parts]}
    return threat


def _places(evidence: Iterable[EvidenceRef]) -> JsonObject:
    """Return the first file and the first process that the evidence names, and every item as a reference."""
    references = tuple(evidence)
    path = next((ref.path for ref in references if ref.path is not None), None)
    pid = next((ref.pid for ref in references if ref.pid is not None), None)
    places: JsonObject = {}
    if path is not None:
        places["file"] = {"path": show_path(path), "name": show_path(path.rstrip(b"/").rpartition(b"/")[2])}
    if pid is not None:
        places["process"] = {"pid": pid}
    return places


def _event(event: TimelineEvent) -> JsonObject:
    line: JsonObject = {
        "@timestamp": event.at,
        "message": show(event.description) or show(event.kind),
        "event": {
            "kind": "event",
            "category": [next((to for word, to in _CATEGORIES.items() if word in event.kind), "host")],
            "type": ["info"],
            "module": "ir",
            "dataset": "ir.timeline",
            "action": show(event.kind),
        },
        **_places((event.evidence,) if event.evidence else ()),
    }
    if event.doubt:
        line["tags"] = ["doubtful-time"]
        line["event"]["reason"] = show(event.doubt)
    return line


def _indicator(indicator: Indicator, at: str) -> JsonObject:
    kind, field = _describe(indicator)
    return {
        "@timestamp": at,
        "message": show(f"indicator {indicator.type}: {indicator.value}"),
        "event": {
            "kind": "enrichment",
            "category": ["threat"],
            "type": ["indicator"],
            "module": "ir",
            "dataset": "ir.indicator",
        },
        "threat": {"indicator": {"type": kind, "provider": "ir", **field}},
    }


def _describe(indicator: Indicator) -> tuple[str, JsonObject]:
    """Return the STIX 2.0 cyber-observable type that ECS expects, and the field that holds the value."""
    kind, path = _OBSERVABLES.get(indicator.type, ("artifact", ("description",)))
    if path == ("ip",) and not _is_address(indicator.value):
        kind, path = "artifact", ("description",)
    holder: JsonObject = {}
    place = holder
    for name in path[:-1]:
        place = place.setdefault(name, {})
    place[path[-1]] = show(indicator.value) if kind != "artifact" else show(f"{indicator.type} {indicator.value}")
    return kind, holder


def _is_address(value: str) -> bool:
    """Return whether Elasticsearch's ``ip`` type takes it; one bad value would cost the whole line."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True
