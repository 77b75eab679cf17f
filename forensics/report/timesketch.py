"""The timeline for Timesketch: JSON lines with its required fields (message, datetime, timestamp_desc).

Times carry six fraction digits and ``+00:00``. Source: Timesketch documentation, "Import JSONL".
"""

from __future__ import annotations

import json
from datetime import UTC, datetime

from forensics.model import JsonObject, TimelineEvent
from forensics.report.document import Report
from forensics.report.timeline import parse_time
from forensics.text import encode_base64, show, show_path


def render_timesketch(report: Report) -> str:
    """Return one JSON object a line, in order of time; an event without a usable time cannot be among them."""
    dated = [(at, event) for event in report.analysis.timeline if (at := parse_time(event.at)) is not None]
    dated.sort(key=lambda pair: (pair[0], pair[1].kind, pair[1].description))
    return "".join(json.dumps(_line(report, event), ensure_ascii=True) + "\n" for _, event in dated)


def _line(report: Report, event: TimelineEvent) -> JsonObject:
    moment = datetime.fromisoformat(event.at).astimezone(UTC)
    line: JsonObject = {
        "message": show(event.description) or show(event.kind),
        "datetime": moment.strftime("%Y-%m-%dT%H:%M:%S.%f+00:00"),
        "timestamp_desc": show(event.kind),
        "data_type": "container:incident:event",
        "case_id": report.case.id,
        "container": show(report.subject.name),
        "container_id": report.subject.id,
    }
    if event.doubt:
        line["doubt"] = show(event.doubt)
    if event.evidence:
        line["evidence_item"] = show(event.evidence.item)
        if event.evidence.path is not None:
            line["path"], line["path_b64"] = show_path(event.evidence.path), encode_base64(event.evidence.path)
        if event.evidence.pid is not None:
            line["pid"] = event.evidence.pid
    return line
