"""An act without an end is named until one that did all of it says so; who acts stands in every entry."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest
from evidence_cases import ACTOR, Anchors, make_case, make_light, run_script

from forensics.cli import cli
from forensics.cli.frame import run
from forensics.evidence.activity import find_open
from forensics.evidence.case import Case
from forensics.evidence.seal import seal_case
from forensics.evidence.verify import check_case


@pytest.fixture(scope="module")
def anchors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Anchors]:
    with Anchors.make(tmp_path_factory.mktemp("anchors")) as made:
        yield made


@pytest.mark.parametrize(
    ("later", "still_open"),
    [
        ([], True),
        ([("ok", {"activity": "collect#3"})], False),
        ([("failed", {"activity": "collect#3"})], False),
        ([("interrupted", {"activity": "collect#3"})], True),
        ([("interrupted", {"activity": "collect#3"}), ("ok", {"activity": "collect#3"})], False),
        ([("ok", {"activity": "collect#9"})], True),
        ([("ok", {"activity": "collect#9", "finishes": ["collect#3"]})], False),
        ([("failed", {"activity": "collect#9", "finishes": ["collect#3"]})], True),
        ([("interrupted", {"activity": "collect#9", "finishes": ["collect#3"]})], True),
        ([("begin", {"activity": "collect#9", "finishes": ["collect#3"]})], True),
        ([("ok", {"finishes": ["collect#3"]})], True),
        ([("ok", {"activity": "collect#9", "finishes": "collect#3"})], True),
        ([("ok", {"activity": "collect#9", "finishes": [["collect#3"], None]}), ("ok", [])], True),
    ],
)
def test_what_settles_an_act(later: list[tuple[object, object]], still_open: bool) -> None:
    entries = [("begin", {"activity": "collect#3"}), *later]
    found = find_open((result, details, "t", "why") for result, details in entries)
    assert ("collect#3" in found) is still_open


@pytest.mark.parametrize(
    ("action", "error", "said"),
    [
        ("acquire", KeyboardInterrupt(), "interrupted by the operator"),
        (
            "acquire",
            OSError(errno.ENOSPC, "No space left on device"),
            "interrupted: No space left on device",
        ),
        ("containment", KeyboardInterrupt(), "interrupted by the operator"),
        ("containment", OSError("refused"), ""),
    ],
    ids=str,
)
def test_what_was_stopped_reads_as_unfinished_and_never_as_complete(
    tmp_path: Path, anchors: Anchors, action: str, error: BaseException, said: str
) -> None:
    """An acquisition that anything stopped, and every act that its operator stopped; another may fail and be over."""
    with make_case(tmp_path / "case") as case:
        with pytest.raises(type(error)), case.activity(action, "collect"):
            raise error
        unfinished = check_case(case.root).unfinished
        assert [act.rpartition(", ")[2] for act in unfinished] == ([said] if said else [])
        assert seal_case(case, anchors.key).complete is not bool(said)
    assert check_case(case.root).exit_code == run_script(case.root)[0] == int(bool(said))


def test_an_interrupted_act_is_settled_by_name_only_when_the_later_one_succeeds(tmp_path: Path) -> None:
    with make_case(tmp_path / "case") as case:
        case.record("acquire", result="begin", details={"activity": "collect#1"})
        with pytest.raises(ValueError, match="boom"), case.activity("acquire", "collect", finishes=["collect#1"]):
            raise ValueError("boom")
        assert list(case.open_activities()) == ["collect#1", "collect#7"]
        with case.activity("acquire", "collect", plan=["clock"], finishes=case.open_activities()):
            assert len(case.open_activities()) == 3
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
