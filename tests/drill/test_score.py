"""Scoring: pointing at the right thing is not enough, the technique has to fit too; noise that alerts counts."""

from datetime import UTC, datetime

import pytest

from forensics.drill.run import count_escaped
from forensics.drill.schema import ScenarioModel, TruthModel
from forensics.drill.score import ProcessFact, score
from forensics.model import (
    Analysis,
    Confidence,
    EntryType,
    EvidenceRef,
    FileEntry,
    Finding,
    RecoveredFile,
    Severity,
    Verdict,
)

SCENARIO = ScenarioModel.model_validate(
    {
        "apiVersion": "ir/v1",
        "kind": "Drill",
        "id": "s",
        "name": "S",
        "description": "d",
        "truth": [
            {"id": "cron", "what": "cron line", "match": {"path": "/etc/cron.d/x"}, "attack": ["T1053.003"]},
            {"id": "miner", "what": "miner", "match": {"argv": "pool @PEER@"}, "attack": ["T1496"]},
        ],
        "related": [{"path": "/tmp/helper"}],
    }
)


def finding(attack: str, *, path: bytes | None = None, pid: int | None = None, severity: str = "high") -> Finding:
    ref = EvidenceRef("E0001", path=path, pid=pid)
    return Finding("r", "t", Severity(severity), Confidence.HIGH, (attack,), "", (ref,), "", "", "")


def analysis(*findings: Finding, recovered: tuple[RecoveredFile, ...] = ()) -> Analysis:
    return Analysis(Verdict.COMPROMISED, (), findings, (), recovered, (), (), (), ())


PROCESSES = (ProcessFact(7, "x --pool 192.0.2.9", "/x"),)


@pytest.mark.parametrize(
    ("findings", "found", "recall"),
    [
        ((finding("T1053.003", path=b"etc/cron.d/x"),), ("cron line",), 0.5),
        ((finding("T1053", path=b"/etc/cron.d/x"),), ("cron line",), 0.5),
        ((finding("T1496.001", pid=7),), (), 0.0),
        ((finding("T1053.003", path=b"etc/cron.d/y"),), (), 0.0),
        ((finding("T1059", path=b"etc/cron.d/x"),), (), 0.0),
    ],
    ids=["exact", "parent technique", "other peer", "other path", "other technique"],
)
def test_found_needs_place_and_technique(findings: tuple[Finding, ...], found: tuple[str, ...], recall: float) -> None:
    result = score(SCENARIO, analysis(*findings), PROCESSES, "203.0.113.1")
    assert (result.found, result.recall) == (found, recall)


def test_a_process_is_found_by_its_arguments_and_the_peers_address() -> None:
    processes = (ProcessFact(7, "x --pool 192.0.2.9", "/x"),)
    assert score(SCENARIO, analysis(finding("T1496.001", pid=7)), processes, "192.0.2.9").found == ("miner",)


def test_only_alerting_findings_away_from_the_plant_are_false_positives() -> None:
    found = analysis(
        finding("T1053.003", path=b"etc/cron.d/x"),
        finding("T1105", path=b"tmp/helper"),
        finding("T1105", path=b"srv/innocent", severity="medium"),
        finding("T1105", path=b"srv/harmless", severity="low"),
    )
    result = score(SCENARIO, found, (), "")
    assert len(result.false_positives) == 1
    assert result.precision == pytest.approx(2 / 3)


def test_nothing_planted_and_nothing_found_is_a_full_score() -> None:
    empty = SCENARIO.model_copy(update={"truth": [], "related": []})
    result = score(empty, analysis(), (), "")
    assert (result.recall, result.precision) == (1.0, 1.0)


def test_a_recovered_file_counts_where_the_scenario_says_so() -> None:
    truth = TruthModel.model_validate({"id": "k", "what": "key", "match": {"path": "/k"}, "recovered": True})
    model = SCENARIO.model_copy(update={"truth": [truth]})
    entry = FileEntry(b"k", EntryType.FILE, 0o600, 0, 0, 1, 0)
    assert score(model, analysis(recovered=(RecoveredFile(entry, 2, "", ""),)), (), "").found == ("key",)


def test_escaped_packets_are_those_after_containment_and_its_grace() -> None:
    at = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
    stamps = (
        "2026-01-01T11:59:59.999999999Z",
        "2026-01-01T12:00:00.049Z",
        "2026-01-01T12:00:00.051Z",
        "2026-01-01T12:00:01Z",
    )
    assert count_escaped(stamps, at) == 2
    assert count_escaped(stamps, None) == 4
