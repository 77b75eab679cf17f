"""verify.sh stays what it promises: short, POSIX, and free of what a stranger would have to install."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from forensics.evidence.create import VERIFY_SCRIPT


def test_the_script_is_under_a_hundred_lines_and_dash_reads_it() -> None:
    assert len(VERIFY_SCRIPT.read_text("ascii").splitlines()) < 100
    assert subprocess.run(["dash", "-n", str(VERIFY_SCRIPT)], check=False).returncode == 0


def test_shellcheck_finds_nothing() -> None:
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is not installed")
    done = subprocess.run(["shellcheck", "-s", "sh", str(VERIFY_SCRIPT)], capture_output=True, text=True, check=False)
    assert done.stdout == ""


def test_the_script_needs_no_python_and_no_network() -> None:
    text = VERIFY_SCRIPT.read_text("ascii")
    assert not re.search(r"\b(python\d?|perl|awk|jq|curl|wget|eval|source)\b", text)
