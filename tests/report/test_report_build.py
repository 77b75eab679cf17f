from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from report_samples import ACTIONS, SECRET, build_analysis, build_case

from forensics.evidence.case import Case
from forensics.model import Severity
from forensics.report.build import build
from forensics.report.html import render_html
from forensics.report.json import render_json


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return build_case(tmp_path / "case")


def test_same_case_gives_the_same_bytes_even_after_a_report_is_on_record(case: Case) -> None:
    first = build(case, build_analysis())
    case.record("report", hash_after="sha256:" + "0" * 64)
    again = build(case, build_analysis())
    assert render_html(again) == render_html(first)
    assert render_json(again) == render_json(first)


def test_another_custody_entry_does_change_the_report(case: Case) -> None:
    before = build(case, build_analysis()).custody
    entry = case.record("transfer_out", purpose="to the laboratory")
    after = build(case, build_analysis()).custody
    assert (after.entries, after.head) == (before.entries + 1, entry.sha256)


def test_no_renderer_ever_sees_a_credential(case: Case) -> None:
    report = build(case, build_analysis())
    assert [secret.name for secret in report.secrets] == ["DATABASE_URL", "DB_PASSWORD"]
    assert SECRET not in repr(report)
    assert "hunt•••• (24 characters)" in report.processes[2].command


def test_findings_are_ranked_worst_first_and_numbered_alike_everywhere(case: Case) -> None:
    report = build(case, build_analysis())
    assert [finding.severity.value for finding in report.analysis.findings] == [
        "critical", "critical", "high", "high", "medium", "info",
    ]  # fmt: skip
    miner = next(process for process in report.processes if process.pid == 4402)
    assert miner.findings == (1, 2)
    assert miner.signals == ("executable deleted",)


def test_process_tree_is_in_pre_order(case: Case) -> None:
    report = build(case, build_analysis())
    assert [(row.pid, row.depth) for row in report.processes] == [(4242, 0), (4300, 1), (4390, 1), (4402, 2), (4417, 3)]


def test_processes_that_claim_to_be_each_others_parents_are_shown_once(tmp_path: Path) -> None:
    case = _case_with(
        tmp_path, "processes", {"processes": [{"pid": 5, "ppid": 6}, {"pid": 6, "ppid": 5}, {"pid": 7, "ppid": 7}]}
    )
    assert sorted(row.pid for row in build(case, build_analysis()).processes) == [5, 6, 7]


@pytest.mark.parametrize(
    "document",
    [{}, {"processes": None}, {"processes": [1, None, "x", {"pid": "no"}, {"pid": True}]}, {"processes": {"pid": 1}}],
)
def test_documents_of_another_shape_are_no_crash(tmp_path: Path, document: dict[str, object]) -> None:
    case = _case_with(tmp_path, "clock", {})
    for kind in ("processes", "sockets", "inspect", "containment", "network-inspect", "blast-radius"):
        odd = {
            **document,
            "sockets": [3, {"remote_addr": 9}],
            "HostConfig": [],
            "Mounts": {},
            "actions": "x",
            "proof": 1,
        }
        case.add_json(kind, odd, source="test", method="test")
    assert render_html(build(case, build_analysis()))


def test_evidence_that_cannot_be_read_is_a_gap(tmp_path: Path) -> None:
    case = _case_with(tmp_path, "clock", {})
    case.add("processes", [b"{not json"], source="host", method="test", filename="content.json")
    gap = build(case, build_analysis()).gaps[1]
    assert (gap.artefact, gap.outcome.value, gap.items) == ("report: processes", "failed", ("E0002",))


def test_story_is_told_in_the_order_of_the_life_cycle(case: Case) -> None:
    analysis = build_analysis()
    assert "Other" not in {tactic.name for tactic in build(case, analysis).story}, "information is no part of an attack"
    worse = (*analysis.findings[:-1], replace(analysis.findings[-1], severity=Severity.LOW))
    story = build(case, replace(analysis, findings=worse)).story
    assert [tactic.name for tactic in story] == [
        "Initial Access", "Execution", "Persistence", "Privilege Escalation", "Stealth", "Credential Access",
        "Command and Control", "Impact", "Other",
    ]  # fmt: skip
    impact = story[7].techniques[0]
    assert (impact.name, impact.findings, impact.first_at) == (
        "Resource Hijacking: Compute Hijacking", (1, 2), "2026-03-14T02:41:11.400000Z",
    )  # fmt: skip


def test_failed_comes_before_not_applicable_among_the_gaps(case: Case) -> None:
    gaps = build(case, build_analysis()).gaps
    assert [(gap.artefact, gap.outcome.value) for gap in gaps] == [
        ("executable of pid 4300", "failed"),
        ("analysis: packages", "failed"),
        ("process memory", "not applicable"),
    ]


def test_networks_of_before_the_cut_are_part_of_the_blast_radius(case: Case) -> None:
    rows = {(row.kind, row.name): row for row in build(case, build_analysis()).exposures}
    assert rows["network", "shop_metrics"].detail == "172.20.0.9"
    assert rows["network", "shop_backend"].others == ("shop-db-1", "shop-queue-1")
    assert rows["volume", "shop_uploads"].others == ("shop-db-1",)
    assert rows["host path", "/var/run/docker.sock"].others == ("every container and the host, through the engine",)


def test_the_playbook_that_renders_this_report_is_under_way_and_not_interrupted(case: Case) -> None:
    case.record("playbook", purpose="run default", result="begin", details={"run": "r1"})
    case.record("step", purpose="render", result="begin", details={"run": "r1", "uses": "report.render"})
    assert [step.outcome for step in build(case, build_analysis()).steps[-2:]] == ["under way", "under way"]
    case.record("step", purpose="verify", details={"run": "r1"})
    assert [step.outcome for step in build(case, build_analysis()).steps[-3:]] == ["interrupted", "interrupted", "ok"]


def test_containment_is_told_from_the_journal_and_its_proof(case: Case) -> None:
    cut = build(case, build_analysis()).containment
    assert (cut.attempted, cut.proved, cut.released) == (True, True, False)
    assert [(fact.name, fact.value) for fact in cut.actions] == [(effect, "ok") for effect in ACTIONS]
    proof = {fact.name: fact.value for fact in cut.proof}
    assert proof["interfaces up before"] == "eth0 (172.19.0.4/16)"
    assert (proof["interfaces up after"], proof["ways out after"]) == ("none", "none")


def test_a_release_or_a_failed_proof_is_not_told_as_contained(case: Case) -> None:
    case.record("containment", details={"event": "released"})
    assert build(case, build_analysis()).containment.released
    case.record("containment", result="failed", error="eth1 is still up", details={"event": "proof"})
    cut = build(case, build_analysis()).containment
    assert (cut.proved, cut.released) == (False, False)


def test_a_step_that_began_and_never_ended_is_interrupted(case: Case) -> None:
    action = {"id": "A3", "effect": "disconnect it from network other"}
    case.record("containment", result="begin", details={"event": "apply", "action": action})
    steps = [(step.detail, step.outcome) for step in build(case, build_analysis()).steps]
    assert steps[:2] == [(effect, "ok") for effect in ACTIONS]
    assert steps[-1] == ("disconnect it from network other", "interrupted")


def _case_with(root: Path, kind: str, document: dict[str, object]) -> Case:
    from report_samples import Actor, Subject

    case = Case.create(root / "case", subject=Subject("container", "web"), actor=Actor("tester"))
    case.add_json(kind, document, source="test", method="test")
    return case
