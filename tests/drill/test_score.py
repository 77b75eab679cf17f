"""Scoring: pointing at the right thing is not enough, the technique has to fit too; noise that alerts counts.

The second half attacks the scoring: what an analyzer that knows nothing could claim must not pass.
"""

import pytest

from forensics.drill.placeholders import Peers
from forensics.drill.schema import ScenarioModel, TruthModel
from forensics.drill.score import ProcessFact, Score, score
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
        "noise": {"files": [{"path": "/var/log/noise.log", "content": "x"}]},
        "truth": [
            {"id": "cron", "what": "cron line", "match": {"path": "/etc/cron.d/x"}, "attack": ["T1053.003"]},
            {"id": "miner", "what": "miner", "match": {"argv": "pool @PEER@"}, "attack": ["T1496"]},
        ],
        "related": [{"path": "/tmp/helper"}],
        "benign": [{"argv": "sleep 86400"}],
    }
)
PEERS = Peers("192.0.2.9", "2001:db8::9")
PROCESSES = (ProcessFact(7, "x --pool 192.0.2.9", "/x"), ProcessFact(8, "sleep 86400", "/bin/busybox"))
EVERYTHING = tuple(f"T1{number:03}" for number in range(1000))


def finding(
    *attack: str,
    path: bytes | None = None,
    pid: int | None = None,
    severity: str = "high",
    matched: str = "",
    more: tuple[bytes, ...] = (),
) -> Finding:
    refs = (EvidenceRef("E0001", path=path, pid=pid), *(EvidenceRef("E0001", path=other) for other in more))
    return Finding("r", "t", Severity(severity), Confidence.HIGH, attack, matched, refs, "", "", "")


def analysis(*findings: Finding, recovered: tuple[RecoveredFile, ...] = ()) -> Analysis:
    return Analysis(Verdict.COMPROMISED, (), findings, (), recovered, (), (), (), ())


def judge(*findings: Finding, model: ScenarioModel = SCENARIO) -> Score:
    return score(model, analysis(*findings), PROCESSES, PEERS)


@pytest.mark.parametrize(
    ("findings", "found"),
    [
        ((finding("T1053.003", path=b"etc/cron.d/x"),), ("cron line",)),
        ((finding("T1053", path=b"/etc/cron.d/x"),), ("cron line",)),
        ((finding("T1053.003", matched="in /etc/cron.d/x: a line"),), ("cron line",)),
        ((finding("T1496.001", pid=7),), ("miner",)),
        ((finding("T1053.003", path=b"etc/cron.d/y"),), ()),
        ((finding("T1059", path=b"etc/cron.d/x"),), ()),
        ((finding("T1053.003", matched="/etc/cron.d/xy"),), ()),
        ((finding("T1053.003", matched="/srv/etc/cron.d/x"),), ()),
        ((finding("T1053.003", path=b"etc/cron.d/x", severity="low"),), ()),
        ((finding(path=b"etc/cron.d/x"),), ()),
    ],
    ids=[
        *("exact", "parent technique", "named in words", "process by its arguments", "other path", "other technique"),
        *("longer name", "inside another path", "a whisper", "no technique"),
    ],
)
def test_found_needs_place_technique_and_an_alert(findings: tuple[Finding, ...], found: tuple[str, ...]) -> None:
    result = judge(*findings)
    assert (result.found, result.recall) == (found, len(found) / 2)


def test_a_process_of_another_peer_is_not_the_planted_one() -> None:
    assert score(SCENARIO, analysis(finding("T1496", pid=7)), PROCESSES, Peers("203.0.113.1")).found == ()


@pytest.mark.parametrize(
    ("address", "matched", "shown"),
    [
        ("@PEER@:44", "pid 5 192.0.2.9:44 x", True),
        ("@PEER@:44", "192.0.2.9:4444", False),
        ("@PEER@", "8192.0.2.9", False),
        ("@PEER@", "192.0.2.99", False),
        ("@PEER6@", "[2001:db8::9]:44", True),
        ("@PEER6@", "2001:db8::9a", False),
        ("@PEER6@", "1:2001:db8::9", False),
    ],
)
def test_an_address_is_a_whole_address(address: str, matched: str, shown: bool) -> None:
    truth = TruthModel.model_validate({"id": "a", "what": "abc", "match": {"address": address}, "attack": ["T1071"]})
    model = SCENARIO.model_copy(update={"truth": [truth]})
    assert bool(judge(finding("T1071", matched=matched), model=model).found) is shown


def test_a_peer_that_is_not_known_matches_nothing() -> None:
    truth = TruthModel.model_validate({"id": "a", "what": "abc", "match": {"address": "@PEER@"}, "attack": ["T1071"]})
    model = SCENARIO.model_copy(update={"truth": [truth]})
    assert score(model, analysis(finding("T1071", matched="anything")), (), Peers()).found == ()


def test_only_alerts_away_from_the_plant_are_false_positives() -> None:
    result = judge(
        finding("T1053.003", path=b"etc/cron.d/x"),
        finding("T1105", path=b"tmp/helper"),
        finding("T1105", path=b"srv/innocent", severity="medium"),
        finding("T1105", path=b"srv/harmless", severity="low"),
    )
    assert len(result.false_positives) == 1
    assert result.precision == pytest.approx(2 / 3)


def test_nothing_planted_and_nothing_found_is_a_full_score() -> None:
    empty = SCENARIO.model_copy(update={"truth": [], "related": []})
    result = judge(model=empty)
    assert (result.recall, result.precision) == (1.0, 1.0)


def test_nothing_found_is_no_recall() -> None:
    result = judge()
    assert (result.recall, result.missed) == (0.0, ("cron line", "miner"))


@pytest.mark.parametrize(
    ("attack", "recovered", "findings", "found"),
    [
        ([], True, (), True),
        ([], False, (), False),
        (["T1552"], True, (finding("T1552.001", path=b"k"),), True),
        (["T1552"], True, (), False),
        (["T1552"], False, (finding("T1552.001", path=b"k"),), False),
    ],
    ids=["recovered", "lost", "recovered and told", "recovered, not told", "told, not recovered"],
)
def test_what_must_be_recovered_is_recovered_and_told_where_asked(
    attack: list[str], recovered: bool, findings: tuple[Finding, ...], found: bool
) -> None:
    given = {"id": "k", "what": "key", "match": {"path": "/k"}, "recovered": True, "attack": attack}
    model = SCENARIO.model_copy(update={"truth": [TruthModel.model_validate(given)]})
    entry = FileEntry(b"k", EntryType.FILE, 0o600, 0, 0, 1, 0)
    files = (RecoveredFile(entry, 2, "", ""),) if recovered else ()
    result = score(model, analysis(*findings, recovered=files), (), PEERS)
    assert bool(result.found) is found


def test_repeating_what_is_right_hides_nothing_that_is_wrong() -> None:
    right = [finding("T1053.003", path=b"etc/cron.d/x") for _ in range(50)]
    result = judge(*right, finding("T1105", path=b"srv/innocent"))
    assert result.precision == pytest.approx(1 / 2)


def test_one_false_alarm_told_twice_is_one() -> None:
    alarm = finding("T1105", path=b"srv/innocent", matched="x")
    assert len(judge(alarm, alarm).false_positives) == 1


def test_a_finding_may_stand_for_two_planted_things() -> None:
    both = finding("T1053.003", "T1496.001", path=b"etc/cron.d/x", pid=7)
    result = judge(both)
    assert (result.recall, result.precision, result.false_positives) == (1.0, 1.0, ())


@pytest.mark.parametrize("severity", ["info", "low", "high"])
def test_one_finding_that_claims_everything_passes_nothing(severity: str) -> None:
    every = finding(*EVERYTHING, path=b"etc/cron.d/x", pid=7, severity=severity, more=(b"var/log/noise.log",))
    assert judge(every).recall == 0.0


def test_pointing_at_everything_points_at_the_noise_too() -> None:
    wide = finding("T1053.003", "T1496", path=b"etc/cron.d/x", pid=7, more=(b"var/log/noise.log",))
    result = judge(wide)
    assert (result.recall, result.precision) == (1.0, pytest.approx(2 / 3))
    assert result.false_positives == ("r: it also points at the harmless /var/log/noise.log",)


def test_a_harmless_process_beside_a_planted_one_is_a_false_alarm() -> None:
    both = Finding(
        "r", "t", Severity.HIGH, Confidence.HIGH, ("T1496",), "",
        (EvidenceRef("E1", pid=7), EvidenceRef("E1", pid=8)), "", "", "",
    )  # fmt: skip
    assert judge(both).false_positives == ("r: it also points at the harmless sleep 86400",)
