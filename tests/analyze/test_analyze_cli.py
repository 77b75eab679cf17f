"""`ir analyze`, `ir scan`, `ir examine`: output, exit codes, and what a failure looks like."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from analyze_cases import ELF, F, image, layer, make_case, read_lines

from forensics.cli import cli
from forensics.cli.frame import run

SHELL = "<?php system($_GET['c']); ?>"


@pytest.fixture
def suspect(tmp_path: Path) -> Path:
    path = tmp_path / "suspect.tar"
    path.write_bytes(
        image([layer({"etc/os-release": "x"}), layer({"var/www/html/a.php": SHELL, "tmp/x": F(ELF, 0o755)})])
    )
    return path


def call(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, dict[str, Any], str]:
    code = run(cli, [*map(str, arguments), "--json"])
    streams = capsys.readouterr()
    return code, json.loads(streams.out), streams.err


def test_examine_makes_a_case_and_a_report(tmp_path: Path, suspect: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, document, _ = call(capsys, "examine", suspect, "--case", tmp_path / "case")
    assert code == 0
    assert document["schema"] == "ir.examination/1"
    assert document["verdict"] == "compromised"
    assert document["findings"] >= 2
    assert (
        Path(document["report"]).read_text().startswith("<!doctype html>")
        or "<html" in Path(document["report"]).read_text()
    )
    stored = next((tmp_path / "case" / "data").glob("E0001-image/*.tar"))
    assert stored.read_bytes() == suspect.read_bytes()
    code, document, _ = call(capsys, "analyze", tmp_path / "case")
    assert (code, document["verdict"]) == (0, "compromised")


def test_examine_against_a_base(tmp_path: Path, suspect: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = tmp_path / "base.tar"
    base.write_bytes(image([layer({"etc/os-release": "x", "tmp/x": F(ELF, 0o755)})]))
    code, document, _ = call(capsys, "examine", suspect, "--base", base, "--case", tmp_path / "case")
    assert (code, document["verdict"]) == (0, "compromised")
    code, document, _ = call(capsys, "examine", base, "--base", base, "--case", tmp_path / "same")
    assert (code, document["verdict"], document["findings"]) == (0, "no-evidence", 0)


def test_examine_of_a_truncated_image_is_not_clean(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = image([layer({"etc/os-release": "x"}), layer({f"d/{n}": bytes(3000) for n in range(20)})])
    for number, raw in enumerate((plain, layer({f"d/{n}": bytes(3000) for n in range(20)}))):
        cut = tmp_path / "cut.tar"
        cut.write_bytes(raw[: len(raw) // 2 + 100])
        code, document, _ = call(capsys, "examine", cut, "--case", tmp_path / f"case{number}")
        assert (code, document["verdict"]) == (1, "suspicious")
        assert document["failures"]
        assert document["reasons"][0].startswith(
            "not to be taken as clean: the image could not be examined as a whole ("
        )
    assert "table of contents" in "".join(read_reasons(tmp_path / "case0"))


def read_reasons(case: Path) -> list[str]:
    reasons: list[str] = json.loads((case / "analysis" / "analysis.json").read_text("ascii"))["reasons"]
    return reasons


def test_examine_of_an_archive_without_members_is_not_clean(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = tmp_path / "empty.tar"
    empty.write_bytes(bytes(10240))
    code, document, _ = call(capsys, "examine", empty, "--case", tmp_path / "case")
    assert (code, document["verdict"]) == (1, "suspicious")
    assert "holds nothing at all" in document["reasons"][0]


@pytest.mark.parametrize(
    ("content", "expected"), [(None, "does not exist"), (b"", "is empty"), (b"hello" * 200, "is no image")]
)
def test_examine_of_nothing_leaves_no_case(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, expected: str
) -> None:
    path = tmp_path / "x.tar"
    if content is not None:
        path.write_bytes(content)
    code, document, err = call(capsys, "examine", path, "--case", tmp_path / "case")
    assert code in {1, 2}
    assert expected in document["error"]
    assert "Traceback" not in err
    assert not (tmp_path / "case").exists()


def test_a_case_folder_that_exists_is_refused(
    tmp_path: Path, suspect: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "case").mkdir()
    (tmp_path / "case" / "x").write_text("mine")
    code, _, _ = call(capsys, "examine", suspect, "--case", tmp_path / "case")
    assert code == 2
    assert (tmp_path / "case" / "x").read_text() == "mine"


def test_scan_of_image_file_folder_and_case(tmp_path: Path, suspect: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, document, _ = call(capsys, "scan", suspect)
    assert (code, document["schema"], document["complete"]) == (0, "ir.scan/1", True)
    assert {(match["rule"], match["path"]) for match in document["matches"]} == {
        ("webshell_php_request_to_execution", "/var/www/html/a.php")
    }
    assert document["matches"][0]["layer"].startswith("sha256:")
    single = tmp_path / "a.php"
    single.write_text(SHELL)
    code, document, _ = call(capsys, "scan", single)
    assert (code, len(document["matches"])) == (0, 1)
    with make_case(tmp_path / "case", [layer({"a": "1"}), layer({"b.php": SHELL})]):
        pass
    code, document, _ = call(capsys, "scan", tmp_path / "case")
    assert [match["item"] for match in document["matches"]] == ["E0001"]


def test_a_scan_that_is_not_complete_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flat = layer({f"d/{n}": bytes(3000) for n in range(20)})
    cut = tmp_path / "cut.tar"
    cut.write_bytes(flat[: len(flat) // 2 + 100])
    code, document, _ = call(capsys, "scan", cut)
    assert (code, document["complete"]) == (1, False)
    assert document["failures"]


@pytest.mark.parametrize("command", ["scan", "examine"])
def test_a_bad_rule_is_a_usage_error(
    tmp_path: Path, suspect: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    bad = tmp_path / "bad.yar"
    bad.write_text("rule x {\n condition: nothing\n}\n")
    code, document, _ = call(capsys, command, suspect, "--rules", bad)
    assert code == 2
    assert "bad.yar:2" in document["error"]


@pytest.mark.parametrize(
    ("name", "opener", "claim"),
    [("a.tgz", gzip.compress, "begins like gzip"), ("a.img", bytes, "begins like tar"), ("a.tar", bytes, "named like")],
)
def test_a_scan_of_a_cut_archive_does_not_read_as_clean(
    tmp_path: Path,
    suspect: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    opener: Callable[[bytes], bytes],
    claim: str,
) -> None:
    cut = tmp_path / name
    cut.write_bytes(opener(suspect.read_bytes())[: 300 if "tar" in claim else 100])
    code, document, _ = call(capsys, "scan", cut)
    assert (code, document["complete"], document["note"]) == (1, False, "no image; scanned as one plain file")
    assert claim in document["failures"][0]
    assert run(cli, ["scan", str(cut)]) == 1
    streams = capsys.readouterr()
    assert "no image; scanned as one plain file" in streams.out
    assert "what it holds was not scanned" in streams.err


def test_a_scan_of_an_archive_without_members_is_not_complete(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "empty.tar"
    empty.write_bytes(bytes(10240))
    code, document, _ = call(capsys, "scan", empty)
    assert (code, document["complete"]) == (1, False)


def test_analyze_of_a_file_points_to_examine(suspect: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, document, _ = call(capsys, "analyze", suspect)
    assert code == 2
    assert "is a file, not a case" in document["error"]
    assert f"ir examine {suspect}" in document["hint"]


def test_only_rules_of_others_are_credited(tmp_path: Path, suspect: Path, capsys: pytest.CaptureFixture[str]) -> None:
    theirs = tmp_path / "theirs.yar"
    theirs.write_text(
        'rule theirs { meta: author = "A. Nother" license = "MIT" strings: $a = "system($_GET" condition: $a }\n'
    )
    assert run(cli, ["scan", str(suspect), "--rules", str(theirs)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.endswith("(A. Nother, MIT)")] == [
        line for line in lines if line.startswith("theirs:")
    ]
    assert not [line for line in lines if "Apache-2.0" in line]
    run(cli, ["examine", str(suspect), "--rules", str(theirs), "--case", str(tmp_path / "case")])
    capsys.readouterr()
    matched = [finding["matched"] for finding in read_lines(tmp_path / "case" / "analysis" / "findings.jsonl")]
    assert [text for text in matched if "author: A. Nother" in text]
    assert not [text for text in matched if "author: ir" in text]


def test_the_lists_of_the_terminal_are_compact(
    tmp_path: Path, suspect: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(cli, ["examine", str(suspect), "--case", str(tmp_path / "case")])
    shown = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("critical", "high", "medium"))]
    assert shown
    assert max(map(len, shown)) <= 160


def test_a_missing_rule_file_is_named_safely(suspect: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, document, _ = call(capsys, "scan", suspect, "--rules", "no\x1b[31msuch.yar")
    assert code == 2
    assert "no\\x1b[31msuch.yar does not exist" in document["error"]
