"""Analysis and reports are derived, but not unguarded: what is there must be what the custody log says was written."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from evidence_cases import Anchors, make_case, run_script

from forensics.analyze import analyze, build_analysis, read_analysis, read_or_analyze
from forensics.analyze.store import write_analysis
from forensics.cli import cli
from forensics.cli.frame import run
from forensics.errors import CaseError, RefusedError, VerificationError
from forensics.evidence.case import Case
from forensics.evidence.seal import seal_case
from forensics.evidence.verify import check_case
from forensics.report.publish import publish


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An analysed, reported and sealed case."""
    folder = tmp_path_factory.mktemp("derived")
    with Anchors.make(folder / "anchors") as anchors, make_case(folder / "case") as case:
        publish(case, analyze(case, yara=False))
        publish(case, read_analysis(case), "json")
        seal_case(case, anchors.key)
    return folder / "case"


@pytest.fixture
def root(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished, tmp_path / "case")
    return tmp_path / "case"


def both(root: Path) -> tuple[int, str, tuple[str, ...]]:
    code, said = run_script(root)
    result = check_case(root)
    assert code == result.exit_code, (said, result.problems)
    return code, said, result.problems


def derived_files(root: Path) -> list[str]:
    return sorted(
        path.relative_to(root).as_posix() for folder in ("analysis", "report") for path in (root / folder).iterdir()
    )


def test_untouched_is_intact_and_nothing_is_left_to_remark(finished: Path) -> None:
    assert both(finished)[0] == 0
    assert check_case(finished).notes == ()
    assert len(derived_files(finished)) == 11


def test_a_flipped_byte_in_any_derived_file_is_named_by_both_verifiers(root: Path) -> None:
    for number, name in enumerate(derived_files(root)):
        content = (root / name).read_bytes()
        changed = bytearray(content or b"\0")
        changed[(0, len(content) // 2, -1)[number % 3]] ^= 4
        (root / name).write_bytes(changed)
        code, said, problems = both(root)
        assert code == 3, name
        assert problems == (f"{name}: differs from its digest",)
        assert f"PROBLEM: {name}: FAILED" in said
        (root / name).write_bytes(content)
    assert both(root)[0] == 0


def run_until(step: int, work: Callable[[], object]) -> bool:
    """Do *work* in a child that ends like killed at its *step*-th change on disk; return whether it got to the end."""
    child = os.fork()
    if child == 0:
        steps = 0

        def count(change: Callable[..., object]) -> Callable[..., object]:
            def counted(*arguments: object, **named: object) -> object:
                nonlocal steps
                steps += 1
                if steps == step:
                    os._exit(9)
                return change(*arguments, **named)

            return counted

        for name in ("write", "unlink", "rename", "fsync"):
            setattr(os, name, count(getattr(os, name)))
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_derived_files_killed_while_being_replaced_never_look_forged(tmp_path: Path) -> None:
    """At every single change on disk: what is there is as recorded, for both verifiers, and can be made again."""

    def derive(root: Path, content: bytes) -> None:
        with Case.open(root) as case:
            case.write_analysis([("findings.jsonl", content), ("analysis.json", content)])
            case.write_report("report.html", content)

    first = tmp_path / "first"
    make_case(first).close()
    derive(first, b"{}\n")
    step, ended = 0, False
    while not ended:
        step += 1
        root = tmp_path / str(step)
        shutil.copytree(first, root)
        ended = run_until(step, lambda: derive(root, b"[]\n"))  # noqa: B023 - runs at once
        assert check_case(root).problems == (), step
        assert (root / "analysis/findings.jsonl").exists() or not (root / "analysis/analysis.json").exists()
        if step % 5 == 0:
            assert run_script(root)[0] == 0
            derive(root, b"[]\n")
            assert both(root)[0] == 0
            assert not list(root.glob("analysis/.*"))
        shutil.rmtree(root)
    assert step > 20, "the steps were not counted"


def test_a_disk_that_fills_up_leaves_the_older_analysis(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with Case.open(root) as case:
        analysis = read_analysis(case)
        with monkeypatch.context() as patch:
            patch.setattr("forensics.evidence.files.os.write", full)
            with pytest.raises(OSError, match="No space left"):
                write_analysis(case, analysis)
        assert read_analysis(case) == analysis
    assert both(root)[0] == 0
    assert not list((root / "analysis").glob(".*"))


def forge(root: Path) -> None:
    """Turn the verdict around, as somebody would who wants the report to say that nothing happened."""
    (root / "analysis/findings.jsonl").write_bytes(b"")
    summary = json.loads((root / "analysis/analysis.json").read_bytes())
    summary |= {"verdict": "no-evidence", "reasons": []}
    (root / "analysis/analysis.json").write_text(json.dumps(summary))


def test_a_forged_analysis_is_not_reported(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    forge(root)
    before = (root / "report/report.html").read_bytes()
    assert run(cli, ["report", str(root)]) == 3
    said = capsys.readouterr().err
    assert "is not what was recorded" in said
    assert f"ir analyze {root}" in said
    assert (root / "report/report.html").read_bytes() == before
    assert run(cli, ["verify", str(root)]) == 3
    assert "PROBLEM: analysis/analysis.json: differs from its digest" in capsys.readouterr().out
    assert run(cli, ["analyze", str(root), "--no-yara"]) == 1, "the image of this case is damaged"
    assert run(cli, ["report", str(root)]) == 0
    assert both(root)[0] == 0


def test_what_was_rebuilt_is_intact_again(root: Path) -> None:
    forge(root)
    with Case.open(root) as case:
        publish(case, analyze(case, yara=False))
        publish(case, read_or_analyze(case), "json")
    assert both(root)[0] == 0


@pytest.mark.parametrize("folder", ["analysis", "report"])
def test_derived_files_may_be_thrown_away(root: Path, folder: str) -> None:
    shutil.rmtree(root / folder)
    assert both(root)[0] == 0


def replace(how: Callable[[Path], object]) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        path.rename(path.parents[2] / "kept")
        how(path)

    return apply


STRANGE: dict[str, Callable[[Path], None]] = {
    "a link to the same content": replace(lambda path: path.symlink_to(path.parents[2] / "kept")),
    "a pipe": replace(os.mkfifo),
    "a folder": replace(lambda path: path.mkdir()),
}


@pytest.mark.parametrize("name", STRANGE)
def test_what_is_no_file_is_never_read_as_an_analysis(root: Path, name: str) -> None:
    STRANGE[name](root / "analysis/findings.jsonl")
    with (
        Case.open(root, read_only=True) as case,
        pytest.raises(VerificationError, match=r"findings\.jsonl is a link or no file"),
    ):
        read_analysis(case)
    if name != "a folder":
        assert both(root)[0] == 3


def test_a_linked_analysis_folder_is_refused(root: Path, tmp_path: Path) -> None:
    (root / "analysis").rename(tmp_path / "moved")
    (root / "analysis").symlink_to(tmp_path / "moved")
    with Case.open(root, read_only=True) as case, pytest.raises(RefusedError, match="is a link"):
        read_analysis(case)


def test_a_missing_part_is_no_analysis(root: Path) -> None:
    (root / "analysis/findings.jsonl").unlink()
    with Case.open(root, read_only=True) as case, pytest.raises(CaseError, match="has not been analysed"):
        read_analysis(case)


def test_a_case_of_an_older_version_still_verifies_and_is_read(tmp_path: Path) -> None:
    """Without digests on record nothing vouches for the analysis; the verifier says so."""
    with make_case(tmp_path / "case") as case:
        made = build_analysis(case, yara=False)
        before = (case.root / "custody.jsonl").read_bytes()
        write_analysis(case, made)
        (case.root / "custody.jsonl").write_bytes(before)
        assert read_analysis(case) == made
    assert both(tmp_path / "case")[0] == 0
    notes = check_case(tmp_path / "case").notes
    assert any("vouched for by nothing" in note and "analysis/findings.jsonl" in note for note in notes)
