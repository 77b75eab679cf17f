"""The explicit table of report formats: file name, and the renderer that is imported only when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from forensics.report.document import Report


@dataclass(frozen=True, slots=True)
class Format:
    """One format. ``renderer`` is ``module:function``, taking a Report and returning text or bytes."""

    name: str
    filename: str
    renderer: str
    about: str


FORMATS = {
    entry.name: entry
    for entry in (
        Format("html", "report.html", "forensics.report.html:render_html", "one page for people"),
        Format("pdf", "report.pdf", "forensics.report.pdf:render_pdf", "that page, printed (needs Chromium)"),
        Format("json", "report.json", "forensics.report.json:render_json", "everything, schema ir.report/1"),
        Format(
            "timesketch", "timeline.jsonl", "forensics.report.timesketch:render_timesketch", "Timesketch JSON lines"
        ),
        Format("bodyfile", "bodyfile.txt", "forensics.report.bodyfile:render_bodyfile", "The Sleuth Kit's mactime"),
        Format("csv", "findings.csv", "forensics.report.csv:render_csv", "findings for a spreadsheet"),
        Format("sarif", "findings.sarif", "forensics.report.sarif:render_sarif", "SARIF 2.1.0"),
        Format("stix", "indicators.stix.json", "forensics.report.stix:render_stix", "STIX 2.1 bundle"),
        Format("ecs", "events.ecs.jsonl", "forensics.report.ecs:render_ecs", "Elastic Common Schema lines for a SIEM"),
        Format(
            "cyclonedx", "packages.cdx.json", "forensics.report.cyclonedx:render_cyclonedx", "CycloneDX 1.6 packages"
        ),
        Format("case", "case.jsonld", "forensics.report.case:render_case", "CASE/UCO JSON-LD"),
    )
}

_PAGES = frozenset({"html", "pdf"})


def render(report: Report, name: str, *, lang: str = "en", templates: Path | None = None) -> bytes:
    """Return *report* in the format *name* of :data:`FORMATS`; *lang* and *templates* concern the page only.

    Raises:
        UsageError: the language or a replaced template is not usable, or what the format needs is not there.
    """
    module, _, function = FORMATS[name].renderer.partition(":")
    renderer: Callable[..., str | bytes] = getattr(importlib.import_module(module), function)
    content = renderer(report, lang, templates=templates) if name in _PAGES else renderer(report)
    return content if isinstance(content, bytes) else content.encode("utf-8")
