"""An unsealed case can be verified from its first moment, never reads as whole, and both verifiers agree."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from forensics.cli.frame import run
from forensics.cli.verify import command
from forensics.errors import VerificationError
from forensics.evidence.case import Case
from forensics.evidence.create import VERIFY_SCRIPT
from forensics.evidence.custody import Actor
from forensics.evidence.verify import check_case, verify_case
from forensics.model import LedgerLine, Outcome, Subject


def make_case(root: Path) -> Path:
    with Case.create(root, subject=Subject("container", "web"), actor=Actor("Ana")) as case:
        case.record(
            "containment",
            purpose='"action":"acquire","details":{"item_line":"',
            result="begin",
            details={"item_line": "0" * 64, "a": 1},
        )
        case.add("inspect", [b"{}"], source="engine", method="inspect")
        case.add("logs", [b"one\n" * 100], source="engine", method="logs")
        case.note(LedgerLine("logs", Outcome.COLLECTED))
        case.record("note", purpose="done")
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_case(tmp_path / "case")


def run_script(root: Path) -> tuple[int, str]:
    done = subprocess.run(["sh", str(VERIFY_SCRIPT), str(root)], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def both(root: Path) -> int:
    code, said = run_script(root)
    if not (root / "data/case.json").is_file():
        with pytest.raises(VerificationError, match="no whole case"):
            check_case(root)
        return code
    result = check_case(root)
    assert code == result.exit_code, (said, result.problems)
    assert bool(result.problems) == ("PROBLEM" in said)
    assert bool(result.unfinished) == ("unfinished" in said)
    return code


def test_a_case_can_be_verified_from_its_first_moment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Case.create(tmp_path / "case", subject=Subject("container", "web"), actor=Actor("Ana")).close()
    assert run_script(tmp_path / "case") == (0, "intact so far, unsealed\n")
    assert run(command, [str(tmp_path / "case")]) == 0
    said = capsys.readouterr().out
    assert said.endswith("intact so far, unsealed\n")
    assert "ok" not in said.lower().split()
    assert "verified" not in said.splitlines()[-1]


def test_the_copy_inside_the_case_runs_from_anywhere(root: Path) -> None:
    for shell in ("dash", "bash"):
        done = subprocess.run([shell, str(root / "verify.sh")], capture_output=True, text=True, check=False, cwd="/")
        assert (done.returncode, done.stdout, done.stderr) == (0, "intact so far, unsealed\n", "")


def rewrite(path: Path, change: Callable[[list[bytes]], list[bytes]]) -> None:
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))


MUTATIONS: dict[str, Callable[[Path], object]] = {
    "item flipped": lambda root: (root / "data/E0001-inspect/content.bin").write_bytes(b"[]"),
    "item truncated": lambda root: (root / "data/E0002-logs/content.bin").write_bytes(b"one\n"),
    "item removed": lambda root: (root / "data/E0002-logs/content.bin").unlink(),
    "item renamed": lambda root: (root / "data/E0002-logs/content.bin").rename(root / "data/E0002-logs/other.bin"),
    "items swapped": lambda root: swap(root / "data/E0001-inspect/content.bin", root / "data/E0002-logs/content.bin"),
    "file added to an item": lambda root: (root / "data/E0002-logs/more.bin").touch(),
    "file added to data": lambda root: (root / "data/more.bin").touch(),
    "file added to the case": lambda root: (root / "fetch.txt").touch(),
    "item replaced by a link": lambda root: replace_by_link(root / "data/E0002-logs/content.bin"),
    "case.json changed": lambda root: rewrite(root / "data/case.json", lambda lines: [*lines, b"\n"]),
    "item line dropped": lambda root: rewrite(root / "data/items.jsonl", lambda lines: lines[1:]),
    "item lines swapped": lambda root: rewrite(root / "data/items.jsonl", lambda lines: lines[::-1]),
    "item line edited": lambda root: rewrite(
        root / "data/items.jsonl", lambda lines: [lines[0].replace(b'"engine"', b'"attic"'), *lines[1:]]
    ),
    "custody line dropped": lambda root: rewrite(root / "custody.jsonl", lambda lines: lines[:1] + lines[2:]),
    "custody line edited": lambda root: rewrite(
        root / "custody.jsonl", lambda lines: [*lines[:2], lines[2].replace(b"Ana", b"Eve"), *lines[3:]]
    ),
    "custody lines swapped": lambda root: rewrite(
        root / "custody.jsonl", lambda lines: [lines[0], lines[2], lines[1], *lines[3:]]
    ),
    "first custody line dropped": lambda root: rewrite(root / "custody.jsonl", lambda lines: lines[1:]),
    "custody truncated before an item": lambda root: rewrite(root / "custody.jsonl", lambda lines: lines[:2]),
    "custody emptied": lambda root: rewrite(root / "custody.jsonl", lambda _: []),
    "a NUL in the custody log": lambda root: rewrite(
        root / "custody.jsonl", lambda lines: [lines[0][:-1] + b"\0\n", *lines[1:]]
    ),
    "case.json removed": lambda root: (root / "data/case.json").unlink(),
    "a manifest without a seal": lambda root: (root / "manifest-sha256.txt").touch(),
}


def swap(one: Path, other: Path) -> None:
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)


def replace_by_link(path: Path) -> None:
    path.rename(path.parents[3] / "moved")
    path.symlink_to(path.parents[3] / "moved")


@pytest.mark.parametrize("name", MUTATIONS)
def test_every_change_to_an_open_case_is_caught_by_both_verifiers(root: Path, name: str) -> None:
    MUTATIONS[name](root)
    assert both(root) == 3


def test_another_cases_log_is_caught(root: Path, tmp_path: Path) -> None:
    other = make_case(tmp_path / "other")
    (root / "custody.jsonl").write_bytes((other / "custody.jsonl").read_bytes())
    assert both(root) == 3


def test_an_interrupted_acquisition_is_named_and_then_put_on_record(root: Path) -> None:
    folder = root / "data/E0003-volume"
    folder.mkdir(mode=0o700)
    (folder / "content.bin.partial").write_bytes(b"half")
    assert both(root) == 0
    assert check_case(root).unfinished == ("data/E0003-volume/content.bin.partial",)
    assert check_case(root).headline == "intact so far, unsealed"
    with Case.open(root, actor=Actor("Ben")) as case:
        item = case.items()[-1]
        assert (item.id, item.kind, item.outcome) == ("E0003", "volume", Outcome.FAILED)
        assert case.read(item) == b"half"
        assert case.custody()[-1].error == "interrupted: the acquisition did not finish"
    assert both(root) == 0
    assert check_case(root).notes == ("E0003 (volume) is incomplete: interrupted: the acquisition did not finish",)


def test_an_item_without_its_custody_entry_is_named_and_then_attested(root: Path) -> None:
    with Case.open(root) as case:
        item = case.add("clock", [b"{}"], source="s", method="m")
    rewrite(root / "custody.jsonl", lambda lines: lines[:-1])
    assert both(root) == 0
    assert check_case(root).unfinished == ("the last item has no custody entry",)
    with Case.open(root) as case:
        assert case.custody()[-1].evidence_ids == (item.id,)
    assert both(root) == 0
    assert not check_case(root).unfinished


@pytest.mark.parametrize("log", ["custody.jsonl", "data/items.jsonl"])
def test_a_torn_line_is_named_and_kept_in_the_record(root: Path, log: str) -> None:
    with (root / log).open("ab") as file:
        file.write(b'{"seq":99,"torn')
    assert check_case(root).unfinished == (f"the last line of {log} is torn",)
    assert check_case(root).exit_code == 0
    with Case.open(root) as case:
        entry = case.custody()[-1]
    assert entry.action == "error"
    assert entry.details == {"file": Path(log).name, "torn_line_base64": "eyJzZXEiOjk5LCJ0b3Ju"}
    assert both(root) == 0


def test_an_empty_folder_after_a_crash_is_removed_and_recorded(root: Path) -> None:
    (root / "data/E0003-image/blobs/sha256").mkdir(parents=True)
    Case.open(root).close()
    assert not (root / "data/E0003-image").exists()
    assert both(root) == 0


def test_an_act_without_an_end_is_named(root: Path) -> None:
    with Case.open(root) as case:
        case.record("acquire", result="begin", details={"activity": "collection#9"})
    assert check_case(root).unfinished[0].startswith("collection, begun 20")
    assert check_case(root).exit_code == 0


def test_a_clock_step_shows(root: Path) -> None:
    lines = (root / "custody.jsonl").read_bytes().splitlines(keepends=True)
    last = json.loads(lines[-1])
    last["ts_utc"] = "2031" + last["ts_utc"][4:]
    last["prev"] = hashlib.sha256(lines[-2]).hexdigest()
    rewrite(
        root / "custody.jsonl",
        lambda all_lines: [*all_lines[:-1], json.dumps(last, separators=(",", ":")).encode() + b"\n"],
    )
    (note,) = check_case(root).notes
    assert note.startswith("the clock stepped by +")


def test_problems_are_named_with_exit_code_3(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "data/E0001-inspect/content.bin").write_bytes(b"[]")
    (root / "evil\x1b[2Jname").touch()
    assert run(command, [str(root)]) == 3
    said = capsys.readouterr().out
    assert "PROBLEM: data/E0001-inspect/content.bin: differs from its digest" in said
    assert "PROBLEM: evil\\x1b[2Jname does not belong to a case" in said
    assert said.endswith("not what was recorded: 2 problems\n")
    assert run(command, ["--json", str(root)]) == 3
    document = json.loads(capsys.readouterr().out)
    assert document["intact"] is False
    assert len(document["problems"]) == 2
    with pytest.raises(VerificationError, match=r"2 problems: evil.*; data/E0001"):
        verify_case(root)


def test_what_is_no_case_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command, [str(tmp_path / "nothing")]) == 2
    assert capsys.readouterr().err.startswith(f"ir: {tmp_path}/nothing is not a case: no such folder.")


def test_verifying_goes_into_the_log_of_an_intact_case_unless_told_not_to(root: Path) -> None:
    assert run(command, [str(root), "--no-record"]) == 0
    assert Case.open(root, read_only=True).custody()[-1].action == "note"
    assert run(command, [str(root)]) == 0
    entry = Case.open(root, read_only=True).custody()[-1]
    assert (entry.action, entry.details) == ("verify", {"answer": "intact so far, unsealed"})
    assert both(root) == 0
    (root / "data/E0001-inspect/content.bin").write_bytes(b"[]")
    before = (root / "custody.jsonl").read_bytes()
    assert run(command, [str(root)]) == 3
    assert (root / "custody.jsonl").read_bytes() == before, "what is broken is left as it is"
