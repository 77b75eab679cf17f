"""One ordered stream with our own acts, times that cannot be true, and how long the intruder was there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from analyze_cases import ELF, F, layer, make_case, process

from forensics.analyze import build_analysis
from forensics.model import Analysis, Outcome

CREATED = "2025-06-20T00:00:00Z"
START = 1_750_500_000


def examine(root: Path, *, cut: bool = True, **more: Any) -> Analysis:
    table = [process(7, ["/tmp/x"], "/tmp/x", start_time_utc="2025-06-21T12:00:00Z", **more)]
    documents = {"inspect": {"Created": CREATED, "Config": {}, "HostConfig": {}}, "processes": {"processes": table}}
    changed = {"tmp/x": F(ELF, 0o755, mtime=START), "tmp/y": F(ELF + b"y", 0o755, mtime=1_000)}
    with make_case(root, [layer({"a": "1"}), layer(changed)], documents) as case:
        if cut:
            case.record("containment", purpose="cut", result="failed", details={"event": "cut"})
            case.record("containment", purpose="proved", result="ok", details={"event": "proof"})
        return build_analysis(case, yara=False)


def test_dwell_time_runs_from_the_first_true_sign_to_the_proved_cut(tmp_path: Path) -> None:
    analysis = examine(tmp_path / "case")
    line = next(line for line in analysis.ledger if line.artefact == "dwell time")
    assert line.outcome is Outcome.COLLECTED
    assert "from 2025-06-21T10:00:00.000000Z to " in line.reason
    assert "(contained)" in line.reason
    assert "first sign: /tmp/x: content changed" in line.reason
    assert "days" in line.reason


def test_without_a_cut_that_is_said(tmp_path: Path) -> None:
    line = next(part for part in examine(tmp_path / "case", cut=False).ledger if part.artefact == "dwell time")
    assert "not contained; until the collection ended" in line.reason


def test_own_acts_stand_in_the_same_ordered_stream(tmp_path: Path) -> None:
    analysis = examine(tmp_path / "case")
    assert [event.at for event in analysis.timeline] == sorted(event.at for event in analysis.timeline)
    own = [event for event in analysis.timeline if event.kind == "own act"]
    assert any(event.description.startswith("acquire E0001") for event in own)
    assert any(event.description == "containment proof: proved" for event in own)
    assert all(not event.doubt for event in own)
    assert {"process", "file", "own act", "container"} <= {event.kind for event in analysis.timeline}


def test_times_that_cannot_be_true_are_marked(tmp_path: Path) -> None:
    analysis = examine(tmp_path / "case")
    doubts = {event.description: event.doubt for event in analysis.timeline}
    assert doubts["/tmp/y: content changed"] == "older than Linux"
    assert doubts["/tmp/x: content changed"] == ""
