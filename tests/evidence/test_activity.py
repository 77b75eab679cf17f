"""An act without an end is named until one that did all of it says so; who acts stands in every entry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from evidence_cases import ACTOR, Anchors, make_case, make_light

from forensics.cli import cli
from forensics.cli.frame import run
from forensics.evidence.activity import find_open
from forensics.evidence.case import Case
from forensics.evidence.verify import check_case

BEGIN = ("begin", {"activity": "collect#3", "plan": ["clock", "memory"]}, "t")


@pytest.fixture(scope="module")
def anchors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Anchors]:
    with Anchors.make(tmp_path_factory.mktemp("anchors")) as made:
        yield made


@pytest.mark.parametrize(
    ("later", "still_open"),
    [
        ([], True),
        ([("ok", {"activity": "collect#3"}, "t")], False),
        ([("failed", {"activity": "collect#3"}, "t")], False),
        ([("ok", {"activity": "collect#9"}, "t")], True),
        ([("ok", {"activity": "collect#9", "finishes": ["collect#3"]}, "t")], False),
        ([("failed", {"activity": "collect#9", "finishes": ["collect#3"]}, "t")], True),
        ([("begin", {"activity": "collect#9", "finishes": ["collect#3"]}, "t")], True),
        ([("ok", {"finishes": ["collect#3"]}, "t")], True),
        ([("ok", {"activity": "collect#9", "finishes": "collect#3"}, "t")], True),
        ([("ok", {"activity": "collect#9", "finishes": [["collect#3"], None]}, "t"), ("ok", [], "t")], True),
    ],
)
def test_what_settles_an_act(later: list[tuple[object, object, object]], still_open: bool) -> None:
    assert ("collect#3" in find_open([BEGIN, *later])) is still_open


def test_an_interrupted_act_is_settled_by_name_only_when_the_later_one_succeeds(tmp_path: Path) -> None:
    with make_case(tmp_path / "case") as case:
        case.record("acquire", result="begin", details={"activity": "collect#1"})
        with pytest.raises(ValueError, match="boom"), case.activity("acquire", "collect", finishes=["collect#1"]):
            raise ValueError("boom")
        assert list(case.open_activities()) == ["collect#1"]
        with case.activity("acquire", "collect", plan=["clock"], finishes=case.open_activities()):
            assert len(case.open_activities()) == 2
        assert not case.open_activities()
        assert not check_case(case.root).unfinished


@pytest.mark.usefixtures("own_folders")
def test_every_command_names_the_operator(tmp_path: Path, anchors: Anchors, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_light(tmp_path / "case", anchors)
    already = len(Case.open(root, read_only=True).custody())
    key, packed = str(anchors.key.path), str(tmp_path / "case.tar.zst")
    monkeypatch.setenv("IR_OPERATOR", "Mia Sato")
    monkeypatch.setenv("IR_ORGANIZATION", "Example CERT")
    commands = {
        "verify": ["verify", str(root)],
        "note": ["custody", "note", str(root), "seen"],
        "access": ["custody", "certificate", str(root)],
        "copy": ["custody", "export", str(root), "-o", packed],
        "transfer_out": ["custody", "transfer", str(root), "--to", "Ben", "--key", key],
        "transfer_in": ["custody", "receive", str(root), "--key", key],
        "seal": ["seal", str(root), "--key", key],
        "analyze": ["analyze", str(root), "--no-yara"],
        "report": ["report", str(root)],
        "scan": ["scan", str(root)],
        "layers": ["layers", str(root)],
    }
    codes = {name: run(cli, command) for name, command in commands.items()}
    assert {name for name, code in codes.items() if code not in {0, 1}} == set()
    entries = Case.open(root, read_only=True).custody()[already:]
    assert {(entry.actor.name, entry.actor.org) for entry in entries} == {("Mia Sato", "Example CERT")}
    assert {"verify", "note", "access", "copy", "transfer_out", "transfer_in", "seal", "analyze"} <= {
        entry.action for entry in entries
    }
    purposes = {entry.purpose for entry in entries}
    assert {"ir scan", "ir layers or ir diff", "draft of a certificate"} <= purposes
    assert run(cli, ["custody", "import", packed, "-o", str(tmp_path / "back")]) == 0
    assert Case.open(tmp_path / "back", read_only=True).custody()[-1].actor.name == "Mia Sato"


def test_reading_a_case_that_this_process_has_open_is_recorded_too(tmp_path: Path) -> None:
    from forensics.cli.session import read_case

    with make_case(tmp_path / "case") as case:
        before = case.head
        with read_case(case.root, "looking") as reader:
            assert len(reader.items()) == 3
        assert case.head[0] == before[0] + 1
        assert case.actor == ACTOR
