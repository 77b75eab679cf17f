"""The case folder: the one door, ids, refusals, records."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from forensics.errors import CaseError, CaseExistsError, RefusedError
from forensics.evidence import files
from forensics.evidence.case import Case
from forensics.evidence.custody import Actor, Authority, SourceAltered
from forensics.evidence.verify import check_case
from forensics.model import LedgerLine, Outcome, Subject

KEYS = (
    "seq prev ts_utc tz_local clock_source clock_offset_ms monotonic_ns case_id evidence_ids action actor witness "
    "counterparty authority purpose location tool hash_before hash_after result error source_altered details"
)
ACTOR = Actor("Ana Ruiz", "responder", "Example CERT", "ana@example.org")
SUBJECT = Subject("container", "web", id="c0ffee", image="shop:1")


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    with Case.create(
        tmp_path / "case", subject=SUBJECT, actor=ACTOR, engine_info={"id": "E1", "version": "20.10"}
    ) as made:
        yield made


def raw_lines(case: Case) -> list[bytes]:
    return (case.root / "custody.jsonl").read_bytes().splitlines(keepends=True)


def test_every_custody_line_is_chained_ascii_json_in_fixed_key_order(case: Case) -> None:
    case.record(
        "containment",
        purpose="cut off \u202eevil",
        result="begin",
        source_altered=SourceAltered("network", "it talks to its master", "Ana Ruiz"),
        authority=Authority(ticket="SEC-7"),
        details={"step": 1},
    )
    case.add("inspect", [b"{}"], source="engine", method="GET /containers/web/json")
    previous = "0" * 64
    for number, raw in enumerate(raw_lines(case), 1):
        document = json.loads(raw)
        assert " ".join(document) == KEYS
        assert raw.isascii()
        assert (document["seq"], document["prev"], document["case_id"]) == (number, previous, case.id)
        previous = hashlib.sha256(raw).hexdigest()
    second = case.custody()[1]
    assert second.authority.ticket == "SEC-7"
    assert second.source_altered == {
        "bool": True,
        "what": "network",
        "why_unavoidable": "it talks to its master",
        "responsible": "Ana Ruiz",
    }
    assert second.tool["engine_version"] == "20.10"
    assert case.head == (3, previous)


def test_an_item_is_hashed_while_it_is_written_and_its_record_is_attested(case: Case) -> None:
    item = case.add("logs", [b"one\n", b"", b"two\n"], source="engine", method="logs", attributes={"streams": 2})
    content = b"one\ntwo\n"
    assert case.read(item) == content
    assert item.sha256 == hashlib.sha256(content).hexdigest()
    assert item.sha512 == hashlib.sha512(content).hexdigest()
    assert (item.id, item.path, item.size_bytes, item.outcome) == (
        "E0001", "data/E0001-logs/content.bin", 8, Outcome.COLLECTED,
    )  # fmt: skip
    assert case.items() == (item,)
    entry = case.custody()[-1]
    assert (entry.action, entry.evidence_ids, entry.hash_after) == ("acquire", ("E0001",), f"sha256:{item.sha256}")
    line = (case.root / "data/items.jsonl").read_bytes()
    assert entry.details == {"item_line": hashlib.sha256(line).hexdigest(), "size_bytes": 8}


def test_nothing_in_a_case_is_readable_by_others(case: Case) -> None:
    case.add("logs", [b"x"], source="s", method="m")
    case.note(LedgerLine("logs", Outcome.COLLECTED))
    for path in [case.root, *case.root.rglob("*")]:
        expected = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == expected, path


def test_json_keeps_bytes_of_unknown_encoding(case: Case) -> None:
    item = case.add_json("processes", {"argv": ["\udcff\udc80", "é"]}, source="s", method="m")
    assert case.read(item).isascii()
    assert case.read_json(item) == {"argv": ["\udcff\udc80", "é"]}


def test_an_empty_stream_is_recorded_as_empty(case: Case) -> None:
    assert case.add("logs", [], source="s", method="m").outcome is Outcome.EMPTY


def test_a_stream_that_dies_leaves_a_failed_item_with_what_came(case: Case) -> None:
    def dying() -> Iterator[bytes]:
        yield b"first part"
        raise ConnectionResetError("the engine went away")

    with pytest.raises(ConnectionResetError):
        case.add("logs", dying(), source="s", method="m")
    (item,) = case.items()
    assert (item.outcome, item.reason) == (Outcome.FAILED, "the engine went away")
    assert item.path == "data/E0001-logs/content.bin.incomplete"
    assert case.read(item) == b"first part"
    assert (case.custody()[-1].result, case.custody()[-1].error) == ("failed", "the engine went away")


@pytest.mark.parametrize("kind", ["../x", "Upper", "a b", "", "a/b", "x" * 65, "-x"])
def test_names_below_data_are_ours(case: Case, kind: str) -> None:
    with pytest.raises(ValueError, match="evidence kind"):
        case.add(kind, [b"x"], source="s", method="m")
    with pytest.raises(ValueError, match="name of ours"):
        case.add("logs", [b"x"], source="s", method="m", filename="../" + kind)


def test_a_folder_that_is_taken_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here first")
    with pytest.raises(CaseExistsError, match="exists already"):
        Case.create(tmp_path, subject=SUBJECT, actor=ACTOR)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


HALF_MADE = ("data/case.json", "data/case.json.partial", "verify.sh", ".reserve", "custody.jsonl")


@pytest.mark.parametrize("count", range(1, len(HALF_MADE) + 1))
def test_what_a_killed_making_left_is_cleared_away_by_the_next(tmp_path: Path, count: int) -> None:
    (tmp_path / "case/data").mkdir(parents=True)
    for name in HALF_MADE[:count]:
        (tmp_path / "case" / name).write_bytes(b"" if name == "custody.jsonl" else b"half")
    with Case.create(tmp_path / "case", subject=SUBJECT, actor=ACTOR) as case:
        case.add("logs", [b"x"], source="s", method="m")
    check_case(tmp_path / "case").raise_problems()


@pytest.mark.parametrize("name", ["custody.jsonl", "data/E0001-logs/content.bin", "notes.txt", "data/link"])
def test_what_could_be_somebodys_is_never_cleared_away(tmp_path: Path, name: str) -> None:
    path = tmp_path / "case" / name
    path.parent.mkdir(parents=True)
    path.symlink_to("elsewhere") if path.name == "link" else path.write_bytes(b"kept")
    with pytest.raises(CaseExistsError):
        Case.create(tmp_path / "case", subject=SUBJECT, actor=ACTOR)
    assert path.is_symlink() or path.read_bytes() == b"kept"


def test_a_making_that_fails_leaves_nothing_and_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each change on disk that the making of a case needs, the disk is full."""
    left = 0

    def run_out(change: Callable[..., object]) -> Callable[..., object]:
        def counted(*arguments: object, **named: object) -> object:
            nonlocal left
            left -= 1
            if left < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            return change(*arguments, **named)

        return counted

    for budget in range(100):
        left = budget
        with monkeypatch.context() as patch:
            for name in ("write", "fsync", "rename"):
                patch.setattr(os, name, run_out(getattr(os, name)))
            try:
                Case.create(tmp_path / "case", subject=SUBJECT, actor=ACTOR).close()
            except OSError:
                assert not (tmp_path / "case").exists()
            else:
                break
    assert budget > 8, "the changes were not counted"
    check_case(tmp_path / "case").raise_problems()


def test_a_planted_link_is_refused_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "case").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CaseExistsError):
        Case.create(tmp_path / "case", subject=SUBJECT, actor=ACTOR)
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize("planted", ["folder", "link", "file"])
def test_a_place_that_is_taken_below_data_is_refused(case: Case, tmp_path: Path, planted: str) -> None:
    place = case.root / "data" / "E0001-logs"
    {"folder": place.mkdir, "link": lambda: place.symlink_to(tmp_path), "file": place.touch}[planted]()
    item = case.add("logs", [b"x"], source="s", method="m")
    assert item.id == "E0002", "an id that something foreign has taken is never used"
    with pytest.raises(RefusedError, match="not made by this acquisition"):
        files.make_directory("E0001-logs", files.open_directory(case.root / "data"))


def test_data_replaced_by_a_link_is_refused(case: Case, tmp_path: Path) -> None:
    root = case.root
    case.close()
    (root / "data").rename(tmp_path / "moved")
    (root / "data").symlink_to(tmp_path / "moved")
    with pytest.raises(RefusedError, match="link or no folder"):
        Case.open(root)


def test_a_folder_that_is_no_case_is_named(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match="no such folder"):
        Case.open(tmp_path / "nothing")
    with pytest.raises(CaseError, match="is not a case"):
        Case.open(tmp_path)


def test_a_second_process_is_refused_with_the_pid_of_the_first(case: Case) -> None:
    program = (
        "import sys; from pathlib import Path; from forensics.evidence.case import Case; Case.open(Path(sys.argv[1]))"
    )
    second = subprocess.run(
        [sys.executable, "-c", program, str(case.root)], capture_output=True, text=True, check=False
    )
    assert f"in use by process {os.getpid()}" in second.stderr
    case.close()
    assert subprocess.run([sys.executable, "-c", program, str(case.root)], check=False).returncode == 0


def test_the_same_process_may_open_a_case_twice(case: Case) -> None:
    with Case.open(case.root, actor=ACTOR) as again:
        again.record("note", purpose="from within")
        case.record("note", purpose="from without")
    case.record("note", purpose="and after")
    assert [entry.seq for entry in case.custody()] == [1, 2, 3, 4]


def test_a_read_only_case_takes_nothing(case: Case) -> None:
    view = Case.open(case.root, read_only=True)
    with pytest.raises(RefusedError, match="reading only"):
        view.add("logs", [b"x"], source="s", method="m")
    with pytest.raises(RefusedError, match="reading only"):
        view.record("note")


def test_with_an_output_folder_the_case_stays_untouched(case: Case, tmp_path: Path) -> None:
    case.close()
    before = {path: path.stat().st_mtime_ns for path in case.root.rglob("*")}
    with Case.open(case.root, output=tmp_path / "out", actor=ACTOR) as away:
        away.write_analysis([("findings.jsonl", b"{}\n")])
        away.record("access", purpose="read by the court's expert")
    assert (tmp_path / "out/analysis/findings.jsonl").read_bytes() == b"{}\n"
    first = json.loads((tmp_path / "out/access.jsonl").read_bytes().splitlines()[0])
    assert first["prev"] == case.custody()[-1].sha256, "the access is chained to the case as it was"
    assert {path: path.stat().st_mtime_ns for path in case.root.rglob("*")} == before


def test_an_activity_has_a_begin_and_an_end(case: Case) -> None:
    with case.activity("acquire", "collect"):
        pass
    with pytest.raises(OSError, match="gone"), case.activity("acquire", "collect"):
        raise OSError("gone")
    assert [entry.result for entry in case.custody()][1:] == ["begin", "ok", "begin", "interrupted"]


def test_items_can_be_added_from_several_threads(case: Case) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: case.add("executable", [b"x" * n] * 50, source="s", method="m"), range(1, 41)))
    items = case.items()
    assert sorted(item.id for item in items) == [f"E{n:04d}" for n in range(1, 41)]
    assert [entry.evidence_ids[0] for entry in case.custody()[1:]] == [item.id for item in items]


def test_opening_a_case_again_in_this_process_leaves_a_running_acquisition_alone(case: Case) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"first"
        Case.open(case.root, actor=ACTOR).close()
        yield b" second"

    item = case.add("logs", chunks(), source="s", method="m")
    assert (case.items(), case.read(item)) == ((item,), b"first second")
