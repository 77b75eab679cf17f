"""Attacks by somebody who knows the format and owns the disk: what a verifier must still catch, and both must agree."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import shutil
import stat
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from evidence_cases import ACTOR, SUBJECT, Anchors, make_case, make_light, make_sealed, run_script

from forensics.cli import cli
from forensics.cli.frame import run
from forensics.evidence.case import Case
from forensics.evidence.seal import seal_case
from forensics.evidence.verify import check_case


@pytest.fixture(scope="module")
def anchors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Anchors]:
    with Anchors.make(tmp_path_factory.mktemp("anchors")) as made:
        yield made


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory, anchors: Anchors) -> Path:
    return make_sealed(tmp_path_factory.mktemp("sealed") / "case", anchors)


@pytest.fixture
def root(sealed: Path, tmp_path: Path) -> Path:
    shutil.copytree(sealed, tmp_path / "case")
    return tmp_path / "case"


def both(root: Path, *arguments: str, **anchors: Path) -> int:
    """Run both verifiers; they must agree on the exit code."""
    code, said = run_script(root, *arguments)
    result = check_case(root, **anchors)
    assert code == result.exit_code, (said, result.problems)
    return code


def with_anchors(root: Path, anchors: Anchors) -> int:
    return both(root, *anchors.arguments, allowed_signers=anchors.signers, tsa_ca=anchors.authority.ca)


def rewrite_tail(root: Path, change: Callable[[list[dict[str, object]]], None]) -> None:
    """Change the entries behind what the last seal signs, and chain them again: nothing but the chain guards them."""
    seal = max((root / "seals").iterdir()) / "seal.txt"
    signed = int(next(line for line in seal.read_text().splitlines() if line.startswith("custody-entries")).split()[1])
    log = root / "custody.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    tail = [json.loads(line) for line in lines[signed:]]
    change(tail)
    kept = lines[:signed]
    for number, entry in enumerate(tail, signed + 1):
        entry |= {"seq": number, "prev": hashlib.sha256(kept[-1]).hexdigest()}
        kept.append(json.dumps(entry, separators=(",", ":")).encode() + b"\n")
    log.write_bytes(b"".join(kept))


def strip_timestamp(root: Path, *names: str) -> None:
    """Take the last seal's timestamp away, also from the record behind the seal."""

    def forget(tail: list[dict[str, object]]) -> None:
        details = tail[0]["details"]
        assert isinstance(details, dict)
        for name in names:
            del details[f"seals/0002/{name}"]

    for name in names:
        (root / "seals/0002" / name).unlink()
    rewrite_tail(root, forget)


def test_a_timestamp_that_was_taken_away_with_its_record_is_missed(root: Path, anchors: Anchors) -> None:
    strip_timestamp(root, "seal.txt.sig.tsr")
    assert both(root) == 0, "it could be pending still"
    assert check_case(root).headline.endswith("timestamp pending")
    assert with_anchors(root, anchors) == 3
    strip_timestamp(root, "seal.txt.sig.tsq")
    assert both(root) == 3
    assert check_case(root).problems == ("seals/0002: the timestamp that was requested is missing",)


def test_a_seal_without_a_timestamp_says_so_and_passes(tmp_path: Path, anchors: Anchors) -> None:
    root = make_light(tmp_path / "case", anchors)
    assert with_anchors(root, anchors) == 0
    assert "timestamp: none" in (root / "seals/0001/seal.txt").read_text().splitlines()


def test_a_seal_back_dated_by_its_own_signer_is_told_by_its_timestamp(
    tmp_path: Path, anchors: Anchors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forensics.evidence.seal.format_utc", lambda _: "2019-01-01T00:00:00.000000Z")
    with make_case(tmp_path / "case") as case, anchors.authority.serve() as url:
        seal_case(case, anchors.key, tsa=url)
    year = time.gmtime().tm_year
    (note,) = (note for note in check_case(case.root).notes if "timestamp" in note)
    assert note.startswith(f"seals/0001 gives its time as 2019-01-01 00:00 UTC, its timestamp is of {year}-")


@pytest.mark.parametrize("name", ["seals", "transfers", "analysis", "report", "bagit.txt", ".reserve", "fetch.txt"])
def test_a_name_of_ours_for_something_else_is_caught(tmp_path: Path, anchors: Anchors, name: str) -> None:
    root = make_light(tmp_path / "case", anchors)
    path = root / name
    if path.exists():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    path.mkdir() if name == "bagit.txt" else path.write_bytes(b"planted")
    assert both(root) == 3


@pytest.mark.parametrize("name", ["content.json\ndata", "a b", "-rf", "*", "\\x", "é", "\udcff"])
def test_odd_names_below_data_hide_nothing(tmp_path: Path, anchors: Anchors, name: str) -> None:
    """The first one makes a lister print two lines that both stand in the manifest."""
    root = make_light(tmp_path / "case", anchors)
    (root / "data/E0001-inspect" / name).mkdir()
    (root / "data/E0001-inspect" / name / "case.json").write_bytes(b"{}")
    assert both(root) == 3


def add_acquisition(tail: list[dict[str, object]]) -> None:
    tail.append({**tail[-1], "action": "acquire", "details": {"item_line": "0" * 64, "size_bytes": 1}})


def add_file_of_a_seal(tail: list[dict[str, object]]) -> None:
    tail.append({**tail[-1], "details": {"seals/0003/seal.txt": "0" * 64}})


@pytest.mark.parametrize("forge", [add_acquisition, add_file_of_a_seal])
def test_entries_forged_behind_the_last_seal_vouch_for_nothing(
    root: Path, forge: Callable[[list[dict[str, object]]], None]
) -> None:
    rewrite_tail(root, forge)
    assert both(root) == 3


def test_a_later_seal_by_somebody_else_is_no_seal(root: Path, anchors: Anchors, tmp_path: Path) -> None:
    with Anchors.make(tmp_path / "eve") as eve, Case.open(root, actor=ACTOR) as case:
        seal_case(case, eve.key)
    assert both(root) == 0
    assert eve.key.fingerprint in check_case(root).headline, "whom the answer names is the last signer"
    assert with_anchors(root, anchors) == 3


def test_a_receipt_signed_in_the_same_way_is_no_seal(root: Path, anchors: Anchors) -> None:
    from forensics.evidence.transfer import hand_over

    with Case.open(root, actor=ACTOR) as case:
        hand_over(case, anchors.key, to="Ben")
    for source, target in (("receipt.txt", "seal.txt"), ("receipt.txt.sig", "seal.txt.sig")):
        shutil.copy(root / "transfers/0001" / source, root / "seals/0002" / target)
    assert with_anchors(root, anchors) == 3


@pytest.mark.parametrize("name", ["custody.jsonl", "data/items.jsonl"])
def test_a_record_of_a_size_that_none_has_is_a_problem_for_both(tmp_path: Path, anchors: Anchors, name: str) -> None:
    root = make_light(tmp_path / "case", anchors)
    os.truncate(root / name, (1 << 27) + 1)
    assert run(cli, ["verify", "--no-record", str(root)]) == 3
    assert run_script(root)[0] == 3


def test_a_very_long_entry_holds_neither_verifier_up(tmp_path: Path) -> None:
    with make_case(tmp_path / "case") as case:
        case.record("note", purpose='","case_id":"' * 100_000)
    started = time.monotonic()
    assert both(case.root) == 0
    assert time.monotonic() - started < 60, "quadratic"


def use_case(root: Path) -> bool:
    with Case.create(root, subject=SUBJECT, actor=ACTOR) as case:
        case.add("logs", [b"x"], source="s", method="m")
        case.write_report("report.html", b"<html>")
    return not check_case(root).problems


def give_up_capabilities() -> None:
    """Leave this process, also root's, with the rights of its files' modes only (capset(2), version 3)."""
    header, none = struct.pack("=Ii", 0x20080522, 0), bytes(24)
    if ctypes.CDLL(None, use_errno=True).capset(header, none):
        raise OSError(ctypes.get_errno(), "capset")


@pytest.mark.parametrize("umask", [0o777, 0o177, 0o000])
def test_an_odd_umask_neither_opens_nor_breaks_a_case(tmp_path: Path, umask: int) -> None:
    """Not with root's right to pass over modes, who would not notice that one is missing."""
    assert use_case(tmp_path / "first"), "and every module is loaded, wherever it lies"
    with tempfile.TemporaryDirectory(prefix="ir-test-") as folder:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                give_up_capabilities()
                os.umask(umask)
                code = 0 if use_case(Path(folder) / "case") else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        for path in [Path(folder) / "case", *(Path(folder) / "case").rglob("*")]:
            assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_two_writers_at_once_leave_one_whole_log(tmp_path: Path) -> None:
    """Ten processes, each of which wants to write a note: every one writes, or is refused and says by whom."""
    root = make_case(tmp_path / "case").root
    command = [sys.executable, "-m", "forensics", "custody", "note", str(root)]
    children = [
        subprocess.Popen([*command, f"note {number}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for number in range(10)
    ]
    said = [child.communicate()[1] for child in children]
    codes = [child.returncode for child in children]
    assert set(codes) <= {0, 5}
    assert all("is in use by process" in text for text, code in zip(said, codes, strict=True) if code == 5)
    notes = [entry for entry in Case.open(root, read_only=True).custody() if entry.action == "note"]
    assert len(notes) == codes.count(0) > 0
    assert both(root) == 0
