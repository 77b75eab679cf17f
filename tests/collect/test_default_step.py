"""The commands that run a step of the default playbook."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from forensics.cli.default_step import DefaultStep, read_default_step
from forensics.cli.report import command as report
from forensics.evidence.case import Case
from forensics.evidence.custody import Actor
from forensics.model import Subject
from forensics.playbook import compiled


@pytest.fixture
def case(own_folders: Path) -> Path:
    root = own_folders / "case"
    Case.create(root, subject=Subject("container", "web", id="c0ffee"), actor=Actor("tester")).close()
    return root


def ship(folder: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str) -> None:
    text = compiled.find_playbook("default").read_text()
    assert old in text
    folder.mkdir()
    (folder / "default.yaml").write_text(text.replace(old, new))
    monkeypatch.setattr(compiled, "find_resource_dir", lambda _name: folder)


def test_inputs_are_filled_in(own_folders: Path) -> None:
    step = read_default_step("collect.all", "web")
    digest = compiled.read_playbook("default").digest
    assert step == DefaultStep({"memory": False}, f"default sha256:{digest}", "collect")
    assert own_folders


def test_a_step_that_the_playbook_does_not_have_changes_nothing(case: Path) -> None:
    step = read_default_step("contain.release", "web")
    with Case.open(case) as opened:
        step.authorize(opened)
        assert (step.arguments, opened.authority.playbook) == ({}, None)


def test_report_takes_its_format_from_the_playbook_and_names_the_step(
    case: Path, own_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship(own_folders / "playbooks", monkeypatch, "{format: html}", "{format: json}")
    done = CliRunner().invoke(report, [str(case)], standalone_mode=False)
    assert done.output.startswith("{")
    assert '"schema": "ir.report/1"' in done.output
    last = Case.open(case, read_only=True).custody()[-1]
    assert (last.authority.playbook or "").startswith("default sha256:")
    assert last.authority.step == "report"


def test_the_command_line_overrides_the_playbook(
    case: Path, own_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship(own_folders / "playbooks", monkeypatch, "{format: html}", "{format: json}")
    done = CliRunner().invoke(report, [str(case), "--format", "html"], standalone_mode=False)
    assert done.output.strip().endswith("report.html")
