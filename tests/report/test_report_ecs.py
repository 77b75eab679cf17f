"""ECS lines hold fields of the schema only, in its types and with its allowed values."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from report_samples import build_analysis, build_case

from forensics.model import Indicator
from forensics.report.build import build
from forensics.report.document import Report
from forensics.report.ecs import render_ecs

FIELDS = {
    "@timestamp": "date",
    "message": "match_only_text",
    "tags": "keyword",
    "labels.case_id": "keyword",
    "ecs.version": "keyword",
    "event.id": "keyword",
    "event.kind": "keyword",
    "event.category": "keyword",
    "event.type": "keyword",
    "event.module": "keyword",
    "event.dataset": "keyword",
    "event.action": "keyword",
    "event.reason": "keyword",
    "event.severity": "long",
    "event.risk_score": "float",
    "rule.id": "keyword",
    "rule.name": "keyword",
    "rule.category": "keyword",
    "observer.product": "keyword",
    "observer.version": "keyword",
    "observer.type": "keyword",
    "container.id": "keyword",
    "container.name": "keyword",
    "container.image.name": "keyword",
    "file.path": "keyword",
    "file.name": "keyword",
    "process.pid": "long",
    "threat.framework": "keyword",
    "threat.technique.id": "keyword",
    "threat.technique.name": "keyword",
    "threat.technique.subtechnique.id": "keyword",
    "threat.technique.subtechnique.name": "keyword",
    "threat.indicator.type": "keyword",
    "threat.indicator.provider": "keyword",
    "threat.indicator.description": "keyword",
    "threat.indicator.ip": "ip",
    "threat.indicator.url.original": "wildcard",
    "threat.indicator.url.domain": "keyword",
    "threat.indicator.file.path": "keyword",
    "threat.indicator.file.hash.sha256": "keyword",
    "threat.indicator.email.address": "keyword",
}
"""Those that are used, with their types, from the field reference of ECS 8.17."""
ALLOWED = {
    "event.kind": {"alert", "asset", "enrichment", "event", "metric", "state", "pipeline_error", "signal"},
    "event.category": {"configuration", "file", "host", "intrusion_detection", "network", "process", "threat"},
    "event.type": {"info", "indicator"},
}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return build(build_case(tmp_path_factory.mktemp("ecs") / "case"), build_analysis())


def flatten(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, member in value.items():
            yield from flatten(member, f"{name}.{key}" if name else key)
    elif isinstance(value, list):
        for member in value:
            yield from flatten(member, name)
    else:
        yield name, value


def fits(kind: str, value: Any) -> bool:
    match kind:
        case "long":
            return type(value) is int
        case "float":
            return isinstance(value, int | float)
        case "ip":
            return bool(ipaddress.ip_address(value))
        case "date":
            return datetime.fromisoformat(value).tzinfo is not None
        case _:
            return isinstance(value, str) and value != ""


def test_every_line_has_fields_of_the_schema_only(report: Report) -> None:
    lines = [json.loads(line) for line in render_ecs(report).splitlines()]
    wrong = [
        (name, value)
        for line in lines
        for name, value in flatten(line)
        if name not in FIELDS or not fits(FIELDS[name], value) or value not in ALLOWED.get(name, {value})
    ]

    assert wrong == []
    assert {line["event"]["kind"] for line in lines} == {"alert", "event", "enrichment"}
    analysis = report.analysis
    assert len(lines) >= len(analysis.findings) + len(analysis.indicators)
    assert len({line["event"]["id"] for line in lines}) == len(lines)


def test_an_indicator_that_is_no_address_costs_no_line(report: Report) -> None:
    odd = (Indicator("ipv4", "999.1.1.1<script>"), Indicator("wallet", "bc1qxy"))
    text = render_ecs(replace(report, analysis=replace(report.analysis, findings=(), timeline=(), indicators=odd)))
    found = [json.loads(line)["threat"]["indicator"] for line in text.splitlines()]

    assert found == [
        {"type": "artifact", "provider": "ir", "description": "ipv4 999.1.1.1<script>"},
        {"type": "artifact", "provider": "ir", "description": "wallet bc1qxy"},
    ]
