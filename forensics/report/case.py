"""Evidence and its provenance as CASE/UCO JSON-LD (CASE 1.x, UCO 1.x), for other forensic tools. Deterministic ids.

Each item is a File with its digest and size, has a ProvenanceRecord with its exhibit number, and is the result of the
InvestigativeAction that acquired it. Source: https://caseontology.org, `case_validate` of case-utils is its checker.
"""

from __future__ import annotations

import json
import uuid

from forensics import __version__
from forensics.model import EvidenceItem, JsonObject
from forensics.report.document import Report, Step
from forensics.report.timeline import parse_time
from forensics.text import show

_NAMESPACE = uuid.UUID("5d9f4f0e-6d0e-4f0b-8f56-0ac2a0a5b6b1")
_CONTEXT = {
    "kb": "urn:ir-forensics:",
    "case-investigation": "https://ontology.caseontology.org/case/investigation/",
    "uco-action": "https://ontology.unifiedcyberontology.org/uco/action/",
    "uco-core": "https://ontology.unifiedcyberontology.org/uco/core/",
    "uco-identity": "https://ontology.unifiedcyberontology.org/uco/identity/",
    "uco-observable": "https://ontology.unifiedcyberontology.org/uco/observable/",
    "uco-tool": "https://ontology.unifiedcyberontology.org/uco/tool/",
    "uco-types": "https://ontology.unifiedcyberontology.org/uco/types/",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}


def render_case(report: Report) -> str:
    """Return the graph as one JSON-LD document."""
    operator = _node(
        report, "uco-identity:Person", "operator", {"uco-core:name": show(report.case.operator) or "unknown"}
    )
    tool = _node(report, "uco-tool:Tool", "tool", {"uco-core:name": "ir", "uco-tool:version": __version__})
    graph = [operator, tool]
    for item in report.items:
        graph.extend(_item_nodes(report, item, operator, tool))
    graph.extend(_step_node(report, step, operator, tool) for step in report.steps)
    graph.append(_investigation(report, graph))
    return json.dumps({"@context": _CONTEXT, "@graph": graph}, ensure_ascii=True, indent=1) + "\n"


def _node(report: Report, kind: str, key: str, properties: JsonObject) -> JsonObject:
    name = kind.partition(":")[2].lower()
    return {"@id": f"kb:{name}-{uuid.uuid5(_NAMESPACE, f'{report.case.id}/{kind}/{key}')}", "@type": kind, **properties}


def _reference(node: JsonObject) -> JsonObject:
    return {"@id": node["@id"]}


def _item_nodes(report: Report, item: EvidenceItem, operator: JsonObject, tool: JsonObject) -> list[JsonObject]:
    facets = [_file_facet(report, item), _content_facet(report, item)]
    file = _node(report, "uco-observable:File", item.id, {"uco-core:hasFacet": facets})
    record = _node(
        report,
        "case-investigation:ProvenanceRecord",
        item.id,
        {
            "uco-core:description": show(f"{item.kind}: {item.source}"),
            "case-investigation:exhibitNumber": item.id,
            "uco-core:object": [_reference(file)],
        },
    )
    action = _action(report, f"acquire {item.id}", show(item.method), item.started_at, item.ended_at)
    action |= {"uco-action:performer": _reference(operator), "uco-action:instrument": [_reference(tool)]}
    action["uco-action:result"] = [_reference(record), _reference(file)]
    return [file, record, action]


def _file_facet(report: Report, item: EvidenceItem) -> JsonObject:
    properties = {"uco-observable:filePath": item.path, "uco-observable:sizeInBytes": _integer(item.size_bytes)}
    return _node(report, "uco-observable:FileFacet", item.id, properties)


def _content_facet(report: Report, item: EvidenceItem) -> JsonObject:
    digest = {
        "uco-types:hashMethod": "SHA256",
        "uco-types:hashValue": {"@type": "xsd:hexBinary", "@value": item.sha256},
    }
    node = _node(report, "uco-types:Hash", item.id, digest)
    return _node(report, "uco-observable:ContentDataFacet", item.id, {"uco-observable:hash": [node]})


def _step_node(report: Report, step: Step, operator: JsonObject, tool: JsonObject) -> JsonObject:
    text = show(f"{step.action}: {step.detail} ({step.outcome})")
    action = _action(report, f"custody entry {step.seq}", text, step.at, "")
    return action | {"uco-action:performer": _reference(operator), "uco-action:instrument": [_reference(tool)]}


def _action(report: Report, name: str, description: str, start: str, end: str) -> JsonObject:
    properties: JsonObject = {"uco-core:name": name, "uco-core:description": description}
    for key, value in (("uco-action:startTime", start), ("uco-action:endTime", end)):
        if parse_time(value) is not None:
            properties[key] = {"@type": "xsd:dateTime", "@value": value}
    return _node(report, "case-investigation:InvestigativeAction", name, properties)


def _investigation(report: Report, graph: list[JsonObject]) -> JsonObject:
    properties = {
        "uco-core:name": report.case.id,
        "uco-core:description": show(f"{report.subject.kind} {report.subject.name}: {report.analysis.verdict.value}"),
        "case-investigation:focus": ["container incident"],
        "uco-core:object": [_reference(node) for node in graph],
    }
    return _node(report, "case-investigation:Investigation", report.case.id, properties)


def _integer(value: int) -> JsonObject:
    return {"@type": "xsd:integer", "@value": value}
