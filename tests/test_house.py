"""The rules of the house: imports go down only, commands are documented, the repository speaks of the product."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from forensics.cli import COMMANDS

CHECKOUT = Path(__file__).resolve().parent.parent
HEAVY = {"docker", "requests", "yaml", "pydantic", "jinja2", "yara", "magic", "celpy", "zstandard", "sqlite3"}


def list_tracked() -> list[Path]:
    names = subprocess.run(["git", "ls-files"], cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    return [path for name in names.splitlines() if (path := CHECKOUT / name).is_file()]


def test_imports_go_down_only() -> None:
    lint = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([lint, "--no-cache"], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_command_is_in_the_readme_and_has_help_with_an_example() -> None:
    readme = (CHECKOUT / "README.md").read_text()
    for name, (module, _) in COMMANDS.items():
        assert f"ir {name}" in readme, f"README.md does not mention `ir {name}`"
        assert (CHECKOUT / f"{module.replace('.', '/')}.py").is_file()
        shown = subprocess.run(
            [sys.executable, "-m", "forensics", name, "--help"], capture_output=True, text=True, check=True
        ).stdout
        body = shown.split("\n", 1)[1]
        assert re.search(rf"\bir {name}\b", body), f"`ir {name} --help` shows no example"


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_the_start_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        f"import sys; from forensics.cli import *; cli.main({arguments!r}, standalone_mode=False); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert HEAVY.isdisjoint(done.stdout.split())


def test_the_repository_names_no_registry_and_no_workplace() -> None:
    forbidden = re.compile(
        rb"pypi\.org|pythonhosted\.org|deb\.debian\.org|registry\.npmjs|/work/(?:main|shared)|\.\./shared"
    )
    for path in list_tracked():
        found = forbidden.findall(path.read_bytes()) if path != Path(__file__) else []
        assert found == [], path.relative_to(CHECKOUT)


def test_modules_stay_rooms_one_knows() -> None:
    lengths = {path: path.read_text().count("\n") for path in (CHECKOUT / "forensics").rglob("*.py")}
    assert {str(path): lines for path, lines in lengths.items() if lines > 400} == {}
