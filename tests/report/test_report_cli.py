from __future__ import annotations

import hashlib
import html
import json
import os
import re
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
        (["nowhere"], 2, "nowhere is not a case"),
        (["{case}", "--format", "docx"], 2, "'docx' is not one of 'html', 'pdf', 'json'"),
        (["{case}", "--lang", "xx"], 2, "there is no report language 'xx'"),
        (["{case}", "--templates", "/nowhere"], 2, "'/nowhere' does not exist"),
        (["{case}", "--templates", "{case}"], 2, "replaces no template"),
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


def printed_commands(root: Path) -> list[str]:
    page = (root / "report" / "report.html").read_text("utf-8")
    blocks = re.findall(r'<pre class="command">(.*?)</pre>', page, re.DOTALL)
    return html.unescape("\n".join(blocks)).strip().splitlines()


def shell(root: Path, command: str) -> str:
    done = subprocess.run(["sh", "-c", command], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout


def test_the_printed_commands_verify_an_unsealed_case(root: Path) -> None:
    assert run(cli, ["report", str(root)]) == 0
    whole, chain, first = printed_commands(root)
    assert shell(root, whole.replace("CASE", str(root))).startswith("intact")
    page = (root / "report" / "report.html").read_text("utf-8").replace("<wbr>", "")
    assert f'<code class="digest">{shell(root, chain)[:64]}</code>' in page
    assert f'<code class="digest">{shell(root, first)[:64]}</code>' in page


def test_the_printed_commands_verify_a_sealed_case(root: Path, tmp_path: Path) -> None:
    assert run(cli, ["seal", str(root)]) == 0
    assert run(cli, ["report", str(root)]) == 0
    signers = tmp_path / "signers"
    commands = [line.replace("ALLOWED_SIGNERS", str(signers)) for line in printed_commands(root)]
    assert len(commands) == 6
    page = (root / "report" / "report.html").read_text("utf-8").replace("<wbr>", "")
    assert f'<code class="digest">{shell(root, commands[1])[:64]}</code>' in page
    assert shell(root, commands[4])[:64] in (root / "seals" / "0001" / "seal.txt").read_text()
    assert shell(root, commands[5]) == ""
    assert commands[2].startswith("ssh-keygen -Y find-principals -s seals/0001/seal.txt.sig -f ")
    assert commands[3].endswith("-s seals/0001/seal.txt.sig < seals/0001/seal.txt")
