"""The inventory of packages as a CycloneDX 1.6 document (OWASP, ECMA-424), for vulnerability scanners."""

from __future__ import annotations

import json
import re
import uuid

from forensics import __version__
from forensics.model import JsonObject, Package
from forensics.report.document import Report
from forensics.text import show, show_path

_NAMESPACE = uuid.UUID("6f0e3b4c-3a55-4d5e-9a3c-9f7f6d1f2a10")
"""Ours: the same case gives the same serial number."""
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")


def render_cyclonedx(report: Report) -> str:
    """Return one component for each installed package; what could not be read makes the inventory incomplete."""
    packages = report.analysis.packages
    document: JsonObject = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, report.case.id)}",
        "version": 1,
        "metadata": _describe_case(report),
        "components": [_describe(package, number) for number, package in enumerate(packages, 1)],
        "dependencies": [{"ref": "subject", "dependsOn": [f"package-{n}" for n in range(1, len(packages) + 1)]}],
        "compositions": [{"aggregate": "incomplete" if report.gaps else "unknown", "assemblies": ["subject"]}],
    }
    return json.dumps(document, ensure_ascii=True, indent=1) + "\n"


def _describe_case(report: Report) -> JsonObject:
    subject = report.subject
    component: JsonObject = {
        "type": "container",
        "bom-ref": "subject",
        "name": show(subject.image or subject.name) or "-",
    }
    if subject.image_id:
        component["version"] = show(subject.image_id)
    properties = [
        {"name": "ir:case", "value": show(report.case.id)},
        {"name": "ir:container", "value": show(subject.id)},
    ]
    metadata: JsonObject = {
        "tools": {"components": [{"type": "application", "name": "ir", "version": __version__}]},
        "component": component,
        "properties": [*properties, *({"name": "ir:not-verified", "value": show(w)} for w in report.analysis.warnings)],
    }
    if _RFC3339.fullmatch(report.case.created_at):
        metadata["timestamp"] = report.case.created_at
    return metadata


def _describe(package: Package, number: int) -> JsonObject:
    space, slash, name = package.name.partition("/")
    scoped = bool(slash) and package.name.startswith("@")
    component: JsonObject = {
        "type": "library",
        "bom-ref": f"package-{number}",
        "name": show(name if scoped else package.name),
        "version": show(package.version),
        "purl": package.purl,
        "properties": [{"name": "ir:path", "value": show_path(package.path)}],
    }
    if scoped:
        component["group"] = show(space)
    if package.layer:
        component["properties"].append({"name": "ir:layer", "value": package.layer})
    if package.licence:
        component["licenses"] = [{"license": {"name": show(package.licence)}}]
    return component
