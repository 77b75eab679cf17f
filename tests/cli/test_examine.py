"""`ir examine` refuses what would read as an answer although nothing was there to examine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SAMPLES = Path(__file__).resolve().parents[2] / "evidence-samples"


def examine(*arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "forensics", "examine", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, check=False)


@pytest.mark.usefixtures("own_folders")
def test_empty_standard_input_is_no_finding_and_makes_no_case(tmp_path: Path) -> None:
    done = examine("-", "--case", tmp_path / "case", "--json")

    assert done.returncode == 2
    assert done.stderr == b"ir: standard input is empty. See whether the command before the pipe failed.\n"
    assert json.loads(done.stdout)["exit_code"] == 2
    assert not (tmp_path / "case").exists()


@pytest.mark.usefixtures("own_folders")
def test_what_is_no_image_on_standard_input_is_kept_and_gets_no_verdict(tmp_path: Path) -> None:
    done = examine("-", "--case", tmp_path / "case", stdin=b"Error response from daemon: no such image\n")

    assert done.returncode == 1
    assert done.stdout == b""
    assert f"it is kept in the case {tmp_path}/case".encode() in done.stderr
    assert (tmp_path / "case/data/E0001-image/image.tar").read_bytes().startswith(b"Error response")
    verified = subprocess.run(["sh", tmp_path / "case/verify.sh"], capture_output=True, check=False)
    assert verified.returncode == 0


@pytest.mark.usefixtures("own_folders")
def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    done = examine(tmp_path / "nothing", "--case", tmp_path / "case")

    assert done.returncode == 2
    assert done.stderr.startswith(f"ir: the folder {tmp_path}/nothing is empty. ".encode())
    assert not (tmp_path / "case").exists()


@pytest.mark.usefixtures("own_folders")
def test_a_case_is_not_examined_as_if_it_were_a_file_system(tmp_path: Path) -> None:
    sample = SAMPLES / "ordinary-web.tar"
    made = examine("-", "--case", tmp_path / "case", stdin=sample.read_bytes())
    assert made.returncode == 0
    assert made.stdout.endswith(f"verify: sh {tmp_path}/case/verify.sh\n".encode())

    done = examine(tmp_path / "case", "--case", tmp_path / "again")
    assert done.returncode == 2
    assert (
        done.stderr == f"ir: {tmp_path}/case is a case. 'ir analyze {tmp_path}/case' rebuilds its findings.\n".encode()
    )
    assert not (tmp_path / "again").exists()
