"""The built wheel works alone: installed into an empty environment, run from another folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(CHECKOUT)]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = out.glob("*.whl")
    return built


def test_the_wheel_carries_playbooks_templates_and_rules(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder, inside in (("playbooks", "_data/playbooks"), ("templates", "_data/templates")):
        for path in (CHECKOUT / folder).rglob("*"):
            if path.is_file():
                assert f"forensics/{inside}/{path.relative_to(CHECKOUT / folder)}" in names
    for path in (CHECKOUT / "forensics" / "rules").glob("*.yar"):
        assert f"forensics/rules/{path.name}" in names


def test_an_installed_wheel_examines_a_saved_image_from_another_folder(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    install = ["install", "--quiet", "--constraint", str(CHECKOUT / "constraints.txt"), str(wheel)]
    subprocess.run([environment / "bin" / "pip", *install], check=True, capture_output=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    sample = sorted((CHECKOUT / "evidence-samples").glob("*.tar"))[0]

    done = subprocess.run(
        [environment / "bin" / "ir", "examine", str(sample), "--json"],
        cwd=elsewhere, env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    document = json.loads(done.stdout)
    assert document["schema"] == "ir.examination/1"
    assert (elsewhere / document["report"]).is_file()
    listed = subprocess.run(
        [environment / "bin" / "ir", "playbook", "list"], capture_output=True, text=True, check=True
    )
    assert "default" in listed.stdout
