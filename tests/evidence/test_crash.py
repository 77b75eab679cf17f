"""Nothing is lost, and nothing half-made looks whole: kill -9, a full disk, a read-only medium, an interrupted seal."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from evidence_cases import ACTOR, SUBJECT, Anchors, make_case, make_image_stream, make_light, run_script

from forensics.errors import CaseError, RefusedError, StorageError, VerificationError
from forensics.evidence.case import Case
from forensics.evidence.findings import Verification
from forensics.evidence.seal import seal_case
from forensics.evidence.verify import check_case
from forensics.model import LedgerLine, Outcome

MOMENTS = 200


@pytest.fixture(scope="module")
def anchors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Anchors]:
    with Anchors.make(tmp_path_factory.mktemp("anchors")) as made:
        yield made


def collect(root: Path) -> None:
    """A small collection; the stream pauses, so that a kill also hits the middle of an acquisition."""
    stream = make_image_stream()
    case = Case.create(root, subject=SUBJECT, actor=ACTOR)
    with case.activity("acquire", "collection"):
        for number in range(6):
            case.add("logs", slowly([b"line %d\n" % number] * 4), source="engine", method="logs")
            case.add_json("inspect", {"number": number}, source="engine", method="inspect")
            case.note(LedgerLine("logs", Outcome.COLLECTED))
        case.add_image(
            slowly(stream[start : start + 2048] for start in range(0, len(stream), 2048)), source="e", method="m"
        )


def slowly(chunks: Iterator[bytes] | list[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        time.sleep(0.0003)
        yield chunk


def run_and_kill(root: Path, seconds: float) -> None:
    """Collect in a child and kill it after *seconds*."""
    child = os.fork()
    if child == 0:
        try:
            collect(root)
        finally:
            os._exit(0)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def kill_when_begun(root: Path) -> None:
    """Collect in a child and kill it when its first logs are on record, long before the image."""
    child = os.fork()
    if child == 0:
        try:
            collect(root)
        finally:
            os._exit(0)
    log = root / "custody.jsonl"
    while not (log.exists() and b'"E0001"' in log.read_bytes()):
        time.sleep(0.0005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def measure(root: Path) -> float:
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        try:
            collect(root)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    return time.monotonic() - started


def verify_if_case(root: Path) -> Verification | None:
    try:
        return check_case(root)
    except (CaseError, VerificationError):
        return None


@pytest.fixture
def quick_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: a killed process loses the same on any file system, and fsync costs."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory, prefix="ir-test-") as folder:
        yield Path(folder)


def test_kill_at_random_moments_loses_nothing_that_was_recorded(quick_disk: Path) -> None:
    dice = random.Random(4)  # noqa: S311 - a fixed seed
    longest = measure(quick_disk / "measured")
    cases = interrupted = 0
    for moment in range(MOMENTS):
        root = quick_disk / str(moment)
        run_and_kill(root, dice.uniform(0, longest))
        result = verify_if_case(root)
        if result is None or result.problems:
            assert not (root / "custody.jsonl").exists() or not (root / "custody.jsonl").stat().st_size
            with pytest.raises(CaseError):
                Case.open(root)
            continue
        cases += 1
        interrupted += assert_recovers(root, result, with_script=moment % 10 == 0)
        shutil.rmtree(root)
    assert cases > MOMENTS / 2
    assert interrupted > MOMENTS / 10


def assert_recovers(root: Path, before: Verification, *, with_script: bool) -> bool:
    """Check a killed case as it is, put it on record, check it again; return whether an acquisition was cut off."""
    killed = Case.open(root, read_only=True)
    results = [entry.result for entry in killed.custody() if "activity" in (entry.details or {})]
    running = results == ["begin"]
    assert bool(before.unfinished) == running, "what was not finished is named, and nothing else"
    if with_script:
        assert run_script(root)[0] == 0
    whole = [item for item in killed.items() if item.outcome is Outcome.COLLECTED]
    with Case.open(root, actor=ACTOR) as case:
        items = case.items()
        for item in whole:
            assert item in items
        assert [int(item.id[1:]) for item in items] == sorted({int(item.id[1:]) for item in items})
        case.add("logs", [b"after the crash"], source="engine", method="logs")
    after = check_case(root)
    assert not after.problems
    assert [act.partition(",")[0] for act in after.unfinished] == (["collection"] if running else [])
    if with_script:
        assert run_script(root)[0] == 0
    return any(item.outcome is Outcome.FAILED for item in items)


def test_a_case_whose_collection_was_killed_never_verifies_as_complete(tmp_path: Path, anchors: Anchors) -> None:
    root = tmp_path / "case"
    kill_when_begun(root)
    with Case.open(root, actor=ACTOR) as case:
        assert not seal_case(case, anchors.key).complete
    result = check_case(root, allowed_signers=anchors.signers)
    assert (result.exit_code, result.complete) == (1, False)
    assert run_script(root, "-s", str(anchors.signers))[0] == 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("mounting a tmpfs needs root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_is_recorded_and_the_case_stays_intact(small_disk: Path) -> None:
    with Case.create(small_disk / "case", subject=SUBJECT, actor=ACTOR) as case:
        case.add("inspect", [b"{}"], source="engine", method="inspect")
        with pytest.raises(OSError, match="No space left"):
            case.add("logs", (b"x" * 4096 for _ in range(1000)), source="engine", method="logs")
        item = case.items()[-1]
        assert item.outcome is Outcome.FAILED
        assert item.size_bytes == case.path_of(item).stat().st_size > 0
        assert "No space left" in str(case.custody()[-1].error)
    assert check_case(case.root).problems == ()
    assert run_script(case.root)[0] == 0


def test_a_full_disk_in_the_middle_of_a_snapshot(small_disk: Path) -> None:
    with Case.create(small_disk / "case", subject=SUBJECT, actor=ACTOR) as case:
        stream = make_image_stream()[:1024] + b"x" * (4 << 20)
        with pytest.raises(OSError, match="No space left"):
            case.add_image(
                (stream[start : start + 65536] for start in range(0, len(stream), 65536)), source="e", method="m"
            )
    with Case.open(case.root) as again:
        assert [item.outcome for item in again.items()] == [Outcome.FAILED]
    assert check_case(case.root).problems == ()
    assert run_script(case.root)[0] == 0


def test_a_disk_too_small_for_a_case_leaves_no_case(small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(b"x" * (1 << 20))
    with pytest.raises(OSError, match="No space left"):
        Case.create(small_disk / "case", subject=SUBJECT, actor=ACTOR)
    assert not (small_disk / "case").exists()
    (small_disk / "filler").unlink()
    Case.create(small_disk / "case", subject=SUBJECT, actor=ACTOR).close()
    assert check_case(small_disk / "case").problems == ()


def test_a_case_on_a_read_only_medium_can_be_verified_and_read(
    small_disk: Path, tmp_path: Path, anchors: Anchors
) -> None:
    root = make_light(small_disk / "case", anchors)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert check_case(root).exit_code == 0
    assert run_script(root)[0] == 0
    with Case.open(root, output=tmp_path / "out", actor=ACTOR) as case:
        case.record("access", purpose="analysis on a copy of the record")
        case.write_analysis([("findings.jsonl", b"")])
        assert (tmp_path / "out/analysis/findings.jsonl").is_file()
        assert case.read_json(case.find("inspect")[0]) == {"Id": "c0ffee"}
        with pytest.raises(RefusedError):
            case.add("logs", [], source="s", method="m")
    with pytest.raises(OSError, match="Read-only"), Case.open(root, actor=ACTOR) as case:
        case.record("note")


def test_a_key_that_does_not_sign_leaves_the_case_open(tmp_path: Path, anchors: Anchors) -> None:
    with make_case(tmp_path / "case") as case:
        public = tmp_path / "gone.pub"
        public.write_text(anchors.key.path.with_suffix(".pub").read_text())
        with pytest.raises(StorageError, match="does not sign"):
            seal_case(case, replace(anchors.key, path=public))
        assert not case.sealed
        assert check_case(case.root).headline == "intact so far, unsealed"


def test_an_interrupted_seal_is_named_and_made_again(tmp_path: Path, anchors: Anchors) -> None:
    root = make_light(tmp_path / "case", anchors)
    lines = (root / "custody.jsonl").read_bytes().splitlines(keepends=True)
    (root / "custody.jsonl").write_bytes(b"".join(lines[:-1]))
    (root / "seals/0001/seal.txt.sig").rename(root / "seals/0001/seal.txt.sig.partial")
    assert check_case(root).exit_code == run_script(root)[0] == 3
    with Case.open(root, actor=ACTOR) as case:
        assert seal_case(case, anchors.key).number == 1
        assert "interrupted" in str(case.custody()[-2].error)
    assert check_case(root, allowed_signers=anchors.signers).headline.startswith("verified: 1 seals")


def test_a_changed_case_cannot_be_sealed(tmp_path: Path, anchors: Anchors) -> None:
    with make_case(tmp_path / "case") as case:
        (case.root / "data/E0002-logs/content.bin").unlink()
        with pytest.raises(VerificationError, match=r"E0002-logs/content\.bin is missing"):
            seal_case(case, anchors.key)
        assert not case.sealed


def test_a_change_before_sealing_is_caught_after_it(tmp_path: Path, anchors: Anchors) -> None:
    with make_case(tmp_path / "case") as case:
        (case.root / "data/E0002-logs/content.bin").write_bytes(b"laundered")
        seal_case(case, anchors.key)
    assert check_case(case.root).problems == ("data/E0002-logs/content.bin: differs from its digest",)


def test_a_sealed_case_takes_no_more_evidence(tmp_path: Path, anchors: Anchors) -> None:
    root = make_light(tmp_path / "case", anchors)
    with Case.open(root, actor=ACTOR) as case:
        with pytest.raises(RefusedError, match="sealed"):
            case.add("logs", [b""], source="s", method="m")
        with pytest.raises(RefusedError, match="sealed"):
            case.note(LedgerLine("x", Outcome.COLLECTED))
        case.record("note", purpose="entries go on")
