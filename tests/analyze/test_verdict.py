"""The verdict where something could not be examined: what failed is never clean, what was left out is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from analyze_cases import layer, make_case

from forensics.analyze import build_analysis
from forensics.model import Confidence, LedgerLine, Outcome, Severity, Verdict

LAYERS = [layer({"etc/os-release": "x"}), layer({"srv/a": "1"}, later=600)]
FIRST = "not to be taken as clean: the image could not be examined as a whole ("


def line(artefact: str, outcome: Outcome, reason: str, run: str = "collect.snapshot#1") -> LedgerLine:
    return LedgerLine(artefact, outcome, reason, activity=run)


def test_a_snapshot_that_failed_is_suspicious(tmp_path: Path) -> None:
    with make_case(tmp_path / "case", documents={"inspect": {"Config": {}}}) as case:
        case.note(line("snapshot", Outcome.FAILED, "no space left on device"))
        analysis = build_analysis(case, yara=False)
    assert analysis.verdict is Verdict.SUSPICIOUS
    assert analysis.reasons[0] == f"{FIRST}snapshot: no space left on device)"


@pytest.mark.parametrize(
    ("noted", "gap"),
    [
        (line("snapshot", Outcome.NOT_APPLICABLE, "left out by --skip"), "snapshot: left out by --skip"),
        (line("processes", Outcome.FAILED, "needs root"), "file system: no file system in this case"),
    ],
)
def test_what_was_left_out_is_no_evidence_with_the_gap_named(tmp_path: Path, noted: LedgerLine, gap: str) -> None:
    with make_case(tmp_path / "case") as case:
        case.note(noted)
        analysis = build_analysis(case, yara=False)
    assert analysis.verdict is Verdict.NO_EVIDENCE
    assert f"could not be examined: {gap}" in analysis.reasons
    assert "could not be examined: yara scan: switched off" in analysis.reasons


def test_a_collection_that_was_killed_before_the_snapshot_is_suspicious(tmp_path: Path) -> None:
    with make_case(tmp_path / "case") as case:
        case.record("acquire", result="begin", details={"activity": "collect#2"})
        analysis = build_analysis(case, yara=False)
    assert analysis.verdict is Verdict.SUSPICIOUS
    assert "interrupted before the snapshot" in analysis.reasons[0]


def test_an_earlier_failure_that_a_later_run_made_good_is_no_gap(tmp_path: Path) -> None:
    with make_case(tmp_path / "case", LAYERS) as case:
        case.note(line("snapshot", Outcome.FAILED, "interrupted before it was collected"))
        case.note(line("snapshot", Outcome.COLLECTED, "", "collect.snapshot#2"))
        analysis = build_analysis(case)
    assert analysis.verdict is Verdict.NO_EVIDENCE
    assert not [reason for reason in analysis.reasons if "could not be examined:" in reason]


def test_an_image_of_the_case_that_is_no_archive_is_suspicious(tmp_path: Path) -> None:
    with make_case(tmp_path / "case") as case:
        case.add("image", [b"hello" * 200], source="test", method="test", filename="image.tar")
        analysis = build_analysis(case, yara=False)
    assert analysis.verdict is Verdict.SUSPICIOUS
    assert "no image, OCI layout or tar" in analysis.reasons[0]


def test_damage_is_a_finding_of_medium_severity_but_no_deed(tmp_path: Path) -> None:
    whole = layer({f"d/{n}": bytes(3000) for n in range(20)})
    with make_case(tmp_path / "case") as case:
        case.add("image", [whole[: len(whole) // 2 + 100]], source="test", method="test", filename="image.tar")
        analysis = build_analysis(case, yara=False)
    found = next(finding for finding in analysis.findings if "truncated-member" in finding.matched)
    assert (found.severity, found.confidence) == (Severity.MEDIUM, Confidence.MEDIUM)
    assert found.title == "The image's archive is damaged or incomplete"
    assert analysis.verdict is Verdict.SUSPICIOUS


def test_a_limit_of_ours_is_a_gap_and_no_suspicion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forensics.analyze.examine._MOST_SCANNED", 0)
    with make_case(tmp_path / "case", LAYERS) as case:
        analysis = build_analysis(case)
    assert analysis.verdict is Verdict.NO_EVIDENCE
    assert any("not scanned" in reason for reason in analysis.reasons)
