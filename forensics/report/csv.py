"""Findings for a spreadsheet: RFC 4180, and no cell that a spreadsheet would run (CWE-1236)."""

from __future__ import annotations

import csv
import io

from forensics.model import EvidenceRef
from forensics.report.document import Report
from forensics.text import csv_cell, show, show_path

_COLUMNS = (
    "number",
    "severity",
    "confidence",
    "title",
    "matched",
    "attack",
    "evidence",
    "why",
    "benign",
    "next",
    "rule",
)


def render_csv(report: Report) -> str:
    """Return the findings, worst first, one a row, with a header."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, quoting=csv.QUOTE_ALL)
    writer.writerow(_COLUMNS)
    for number, finding in enumerate(report.analysis.findings, start=1):
        evidence = "; ".join(map(_reference, finding.evidence))
        cells = (finding.severity.value, finding.confidence.value, finding.title, finding.matched)
        more = (" ".join(finding.attack), evidence, finding.why, finding.benign, finding.next, finding.rule)
        writer.writerow([number, *map(csv_cell, (*cells, *more))])
    return buffer.getvalue()


def _reference(ref: EvidenceRef) -> str:
    parts = [show(ref.item)]
    if ref.path is not None:
        parts.append(show_path(ref.path))
    if ref.pid is not None:
        parts.append(f"pid {ref.pid}")
    return " ".join(parts)
