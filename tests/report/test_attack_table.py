"""The ATT&CK table against the ids that the product uses, and against what the release it names changed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from report_samples import build_analysis

from forensics.analyze.rule import ATTACK_VERSION
from forensics.model import Confidence, Finding, Severity
from forensics.report.attack import TACTICS, TECHNIQUES, name_technique, tell_story
from forensics.report.attack_table import REPLACED

CHECKOUT = Path(__file__).resolve().parent.parent.parent
_ID = re.compile(r"\bT1\d{3}(?:\.\d{3})?\b")


def _used() -> dict[str, str]:
    files = [*CHECKOUT.glob("forensics/analyze/**/*.py"), *CHECKOUT.glob("forensics/scanning/**/*.py")]
    files += [*CHECKOUT.glob("forensics/rules/*.yar"), *CHECKOUT.glob("playbooks/**/*.yaml")]
    return {name: file.name for file in files for name in _ID.findall(file.read_text("utf-8"))}


def test_every_id_in_use_is_current_and_named() -> None:
    used = _used()
    assert len(used) > 60
    assert {name: file for name, file in used.items() if name not in TECHNIQUES} == {}


def test_parents_are_listed_and_nothing_revoked_is() -> None:
    assert {name for name in TECHNIQUES if name.partition(".")[0] not in TECHNIQUES} == set()
    assert set(REPLACED).isdisjoint(TECHNIQUES)
    assert {new for new in REPLACED.values() if new not in TECHNIQUES} == set()
    assert all(set(tactics) <= set(TACTICS) for _, tactics in TECHNIQUES.values())


@pytest.mark.parametrize(
    ("technique", "name", "tactic"),
    [
        ("T1685", "Disable or Modify Tools", "defense-impairment"),
        ("T1690", "Prevent Command History Logging", "defense-impairment"),
        ("T1222.002", "File and Directory Permissions Modification: Linux and Mac Permissions", "defense-impairment"),
        ("T1574.006", "Hijack Execution Flow: Dynamic Linker Hijacking", "stealth"),
        ("T1610", "Deploy Container", "execution"),
        ("T1546.017", "Event Triggered Execution: Udev Rules", "persistence"),
        ("T1562.001", "Disable or Modify Tools", "defense-impairment"),
        ("T1070.002", "Disable or Modify Tools: Clear Linux or Mac System Logs", "defense-impairment"),
        ("T9999", "T9999", ""),
    ],
)
def test_names_are_those_of_the_release(technique: str, name: str, tactic: str) -> None:
    assert ATTACK_VERSION.startswith("19")
    assert name_technique(technique) == name
    known = TECHNIQUES.get(REPLACED.get(technique, technique))
    assert (known[1][0] if known else "") == tactic


def test_a_revoked_id_of_somebody_elses_rule_is_told_under_its_successor() -> None:
    finding = Finding("yara.old", "t", Severity.HIGH, Confidence.HIGH, ("T1562.001", "T1685"), "m", (), "w", "b", "n")
    story = tell_story([finding], build_analysis().timeline)
    assert [(tactic.name, [use.id for use in tactic.techniques]) for tactic in story] == [
        ("Defense Impairment", ["T1685"])
    ]
