"""The sample images are what their script makes, and `ir examine` finds in each what the manifest says."""

import hashlib
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from forensics.analyze import read_analysis
from forensics.evidence.case import Case
from forensics.model import Analysis
from forensics.text import from_bytes

FOLDER = Path(__file__).resolve().parents[2] / "evidence-samples"
MANIFEST = json.loads((FOLDER / "manifest.json").read_bytes())
SAMPLES = MANIFEST["samples"]


def load_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sample_builder", FOLDER / "build.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["sample_builder"] = module
    spec.loader.exec_module(module)
    return module


def test_the_script_makes_the_same_bytes_again() -> None:
    script = load_script()
    samples = script.make_samples()
    assert script.describe(samples) == (FOLDER / "manifest.json").read_bytes()
    for sample in samples:
        assert sample.content == (FOLDER / sample.file).read_bytes(), sample.file


def test_no_sample_is_orphaned_and_all_are_small() -> None:
    files = {path.name: path.read_bytes() for path in FOLDER.glob("*.tar")}
    assert {name: hashlib.sha256(content).hexdigest() for name, content in files.items()} == {
        sample["file"]: sample["sha256"] for sample in SAMPLES
    }
    assert sum(map(len, files.values())) < 300_000


@pytest.mark.parametrize("sample", SAMPLES, ids=[sample["file"] for sample in SAMPLES])
@pytest.mark.usefixtures("own_folders")
def test_examine_finds_what_the_manifest_says(sample: dict[str, Any], tmp_path: Path) -> None:
    case = tmp_path / "case"
    done = subprocess.run(
        [sys.executable, "-m", "forensics", "examine", str(FOLDER / sample["file"]), "--case", str(case)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with Case.open(case, read_only=True) as opened:
        analysis = read_analysis(opened)
    missed = [expected["what"] for expected in sample["expect"] if not is_found(expected, analysis)]
    assert missed == []
    assert analysis.verdict.value in sample["verdict"]
    if not sample["expect"]:
        assert [finding.rule for finding in analysis.findings if finding.severity.rank <= 2] == []


def is_found(expected: dict[str, Any], analysis: Analysis) -> bool:
    path = expected["path"]
    if expected["recovered"]:
        return path in {"/" + from_bytes(file.entry.path) for file in analysis.recovered}
    wanted = {technique.partition(".")[0] for technique in expected["attack"]}
    return any(
        wanted & {technique.partition(".")[0] for technique in finding.attack}
        for finding in analysis.findings
        if any(ref.path is not None and "/" + from_bytes(ref.path.lstrip(b"/")) == path for ref in finding.evidence)
    )
