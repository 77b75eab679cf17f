from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from report_samples import SECRET, build_case

from forensics.cli import cli
from forensics.cli.frame import run
from forensics.evidence.case import Case
from forensics.report.formats import FORMATS


@pytest.fixture
def root(own_folders: Path) -> Path:
    with build_case(own_folders / "case") as case:
        return case.root


def last_entry(root: Path) -> dict[str, object]:
    entry: dict[str, object] = json.loads((root / "custody.jsonl").read_bytes().splitlines()[-1])
    return entry


def test_html_goes_into_the_case_and_its_digest_on_record(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cli, ["report", str(root)]) == 0
    path = root / "report" / "report.html"
    assert capsys.readouterr().out == f"{path}\n"
    entry = last_entry(root)
    assert entry["action"] == "report"
    assert entry["hash_after"] == f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    assert (root / "analysis").is_dir()


def test_rendering_twice_gives_the_same_bytes(root: Path) -> None:
    digests = []
    for _ in range(2):
        assert run(cli, ["report", str(root)]) == 0
        digests.append(hashlib.sha256((root / "report" / "report.html").read_bytes()).hexdigest())
    assert digests[0] == digests[1]


def test_json_is_one_document_on_stdout(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cli, ["report", str(root), "--format", "json"]) == 0
    out = capsys.readouterr().out
    assert json.loads(out)["schema"] == "ir.report/1"
    assert SECRET not in out


def test_machine_output_names_the_file(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "out.jsonl"
    assert run(cli, ["report", str(root), "--format", "timesketch", "--output", str(target), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    assert document == {"schema": "ir.rendered/1", "format": "timesketch", "path": str(target), "sha256": digest}


def test_the_case_still_verifies_afterwards(root: Path) -> None:
    assert run(cli, ["report", str(root)]) == 0
    done = subprocess.run(["sh", str(root / "verify.sh")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["nowhere"], 1, "nowhere is not a case"),
        (["{case}", "--format", "pdf"], 2, "'pdf' is not one of 'html', 'json'"),
        (["{case}", "--lang", "xx"], 2, "there is no report language 'xx'"),
        (["{case}", "--templates", "/nowhere"], 2, "'/nowhere' does not exist"),
        (["{case}", "--output", "/nowhere/x.html"], 1, "/nowhere/x.html: No such file or directory"),
    ],
)
def test_bad_input_is_one_sentence(
    root: Path, arguments: list[str], code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(cli, ["report", *[part.format(case=root) for part in arguments]]) == code
    error = capsys.readouterr().err
    assert sentence in error
    assert "Traceback" not in error


def test_help_lists_the_formats_that_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cli, ["report", "--help"]) == 0
    text = capsys.readouterr().out
    for name in FORMATS:
        assert f"\n    {name} " in text


@pytest.fixture
def read_only(root: Path, tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "read-only"
    place.mkdir()
    if subprocess.run(["mount", "--bind", str(root), str(place)], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount")
    subprocess.run(["mount", "-o", "remount,ro,bind", str(place)], check=True)
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_read_only_case_is_rendered_elsewhere(
    read_only: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(cli, ["report", str(read_only)]) == 2
    assert "is read-only. Say where the report goes with --output." in capsys.readouterr().err
    target = tmp_path / "elsewhere" / "report.html"
    target.parent.mkdir()
    before = (read_only / "custody.jsonl").read_bytes()
    assert run(cli, ["report", str(read_only), "--output", str(target)]) == 0
    assert target.read_bytes().startswith(b"<!doctype html>")
    assert (read_only / "custody.jsonl").read_bytes() == before
    assert not os.access(read_only, os.W_OK)


def test_the_written_report_is_what_the_library_gives(root: Path) -> None:
    from forensics.analyze import read_analysis
    from forensics.report.build import build
    from forensics.report.html import render_html

    assert run(cli, ["report", str(root)]) == 0
    with Case.open(root) as case:
        assert render_html(build(case, read_analysis(case))) == (root / "report" / "report.html").read_text("utf-8")
