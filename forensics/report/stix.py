"""Indicators and techniques as a STIX 2.1 bundle (OASIS), ready for a threat-intelligence platform. Deterministic ids.

An indicator here says "seen in this incident", never "malicious everywhere": each carries that in its description.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from datetime import UTC, datetime

from forensics.model import Indicator, JsonObject
from forensics.report.document import Report, TechniqueUse
from forensics.report.timeline import parse_time
from forensics.text import show

_NAMESPACE = uuid.UUID("00abedb4-aa42-466c-9c01-fed23315a9b7")
_PATTERNS = {
    "ipv4": "[ipv4-addr:value = '{}']",
    "ipv6": "[ipv6-addr:value = '{}']",
    "domain": "[domain-name:value = '{}']",
    "url": "[url:value = '{}']",
    "email": "[email-addr:value = '{}']",
    "sha256": "[file:hashes.'SHA-256' = '{}']",
    "path": "[file:name = '{}']",
}
_EPOCH = "1970-01-01T00:00:00.000Z"


def render_stix(report: Report) -> str:
    """Return a bundle: the reporting identity, indicators, ATT&CK techniques, and a report object that holds them."""
    at = _timestamp(report.case.created_at)
    identity = _object(
        "identity",
        report.case.id,
        at,
        name=show(report.case.organization) or "incident response",
        identity_class="organization",
    )
    indicators = [_indicator(report, row, at) for row in report.analysis.indicators if row.type in _PATTERNS]
    techniques = [_technique(use, at) for tactic in report.story for use in tactic.techniques]
    contents = list({entry["id"]: entry for entry in (*indicators, *techniques)}.values())
    objects = [identity, *contents]
    for entry in contents:
        entry["created_by_ref"] = identity["id"]
    if contents:
        name = f"Container incident {report.case.id}: {show(report.subject.name)}"
        refs = [entry["id"] for entry in contents]
        objects.append(
            _object(
                "report",
                report.case.id,
                at,
                name=name,
                report_types=["threat-report"],
                published=at,
                object_refs=refs,
                created_by_ref=identity["id"],
            )
        )
    bundle = {"type": "bundle", "id": f"bundle--{_identify(json.dumps(objects))}", "objects": objects}
    return json.dumps(bundle, ensure_ascii=True, indent=1) + "\n"


def _identify(key: str) -> uuid.UUID:
    """Return the same id for the same key, in the form that STIX recommends (STIX 2.1, 2.9: a UUID of version 4)."""
    return uuid.UUID(bytes=hashlib.sha256(_NAMESPACE.bytes + key.encode()).digest()[:16], version=4)


def _object(kind: str, key: str, at: str, **properties: object) -> JsonObject:
    identifier = f"{kind}--{_identify(f'{kind}:{key}')}"
    return {"type": kind, "spec_version": "2.1", "id": identifier, "created": at, "modified": at, **properties}


def _indicator(report: Report, row: Indicator, at: str) -> JsonObject:
    value = show(row.value)
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    return _object(
        "indicator",
        f"{report.case.id}:{row.type}:{value}",
        at,
        name=f"{row.type} {value}",
        description=f"Seen in case {report.case.id}; judge it before blocking.",
        indicator_types=["unknown"],
        pattern=_PATTERNS[row.type].format(quoted),
        pattern_type="stix",
        valid_from=at,
    )


def _technique(use: TechniqueUse, at: str) -> JsonObject:
    reference = {"source_name": "mitre-attack", "external_id": show(use.id)}
    return _object("attack-pattern", use.id, at, name=show(use.name), external_references=[reference])


def _timestamp(text: str) -> str:
    seconds = parse_time(text)
    if seconds is None:
        return _EPOCH
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
