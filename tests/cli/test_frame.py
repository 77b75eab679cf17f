"""The frame: exit codes, one sentence for every failure, JSON alone on stdout."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from forensics.cli import COMMANDS, main
from forensics.cli.frame import run
from forensics.errors import EngineUnavailableError, RefusedError, VerificationError

IR = (sys.executable, "-m", "forensics")


def failing(error: BaseException) -> click.Command:
    @click.command(name="fails")
    @click.option("--json", "as_json", is_flag=True)
    def command(as_json: bool) -> None:  # noqa: ARG001 - click's signature
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (EngineUnavailableError("no engine answers", hint="start it"), 4, "ir: no engine answers. Start it.\n"),
        (VerificationError("1 item differs"), 3, "ir: 1 item differs.\n"),
        (RefusedError("approval was denied"), 5, "ir: approval was denied.\n"),
        (KeyboardInterrupt(), 130, "ir: interrupted; what was recorded up to here is whole.\n"),
        (
            OSError(errno.ENOSPC, "No space left on device", "/c/x"),
            1,
            "ir: the disk is full while writing /c/x. Free space or choose another folder.\n",
        ),
    ],
)
def test_a_failure_is_one_sentence_and_an_exit_code(
    error: BaseException, code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(failing(error), []) == code
    assert capsys.readouterr().err.lstrip("\n") == sentence


def test_json_failures_keep_stdout_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(failing(EngineUnavailableError("no engine answers", hint="start it")), ["--json"]) == 4
    document = json.loads(capsys.readouterr().out)
    assert document == {"schema": "ir.error/1", "error": "no engine answers", "hint": "start it", "exit_code": 4}


def test_unknown_commands_and_options_are_usage_errors() -> None:
    for arguments in (["nonsense"], ["verify", "--nonsense"], ["verify"]):
        done = subprocess.run(
            [sys.executable, "-m", "forensics", *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert done.stdout == ""
        assert "Traceback" not in done.stderr


def test_a_bug_is_one_sentence_and_a_file_with_the_details(tmp_path: Path) -> None:
    code = "import click; from forensics.cli.frame import run; run(click.Command('c', callback=lambda: 1 / 0), [])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env={"TMPDIR": str(tmp_path)}
    )
    (details,) = tmp_path.glob("ir-bug-*.txt")
    assert done.returncode == 1
    assert done.stderr == f"ir: internal error (ZeroDivisionError); this is a bug. Details are in {details}.\n"
    assert "Traceback" in details.read_text()


def test_a_reader_who_leaves_changes_neither_the_work_nor_the_exit_code() -> None:
    program = (
        "import click, os; from forensics.cli.frame import run, say\n"
        "def work():\n    for _ in range(9): say('x' * 9999)\n    os.write(2, b'done')\n    return 7\n"
        "raise SystemExit(run(click.Command('c', callback=work), []))"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b"done"
    assert process.returncode == 7


def test_a_full_disk_behind_standard_output_is_no_full_case() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*IR, "ps", "--help"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        shown = subprocess.run([*IR, "playbook", "list"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, shown.returncode) == (1, 1)
    assert shown.stderr == "ir: standard output cannot be written: No space left on device. See where it goes.\n"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_are_no_bug(closed: str) -> None:
    done = subprocess.run(
        ["sh", "-c", f'"$@" {closed}', "sh", *IR, "nonsense", "--json"], capture_output=True, check=False
    )
    assert done.returncode == 2
    assert b"internal error" not in done.stderr


def test_an_interruption_names_the_case_and_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    error = KeyboardInterrupt()
    error.add_note("case cases/web")
    assert run(failing(error), ["--json"]) == 130
    captured = capsys.readouterr()
    assert captured.err.lstrip("\n") == (
        "ir: interrupted; the case cases/web is whole up to here. 'ir release cases/web' undoes a containment, "
        "'ir collect CONTAINER --case cases/web --resume' goes on.\n"
    )
    assert json.loads(captured.out)["exit_code"] == 130


def test_a_question_ends_with_its_mark(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(failing(RefusedError("no", hint="did you mean yes?")), []) == 5
    assert capsys.readouterr().err == "ir: no. Did you mean yes?\n"


def test_no_help_shows_the_mark_that_keeps_its_lines_apart() -> None:
    for name in (*COMMANDS, "custody note", "playbook list", "drill run"):
        shown = subprocess.run([*IR, *name.split(), "--help"], capture_output=True, text=True, check=True).stdout
        assert "\\b" not in shown, name


def test_an_interruption_while_modules_load(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("forensics.cli._run", interrupt)
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 130
    assert capsys.readouterr().err == "ir: interrupted before anything was done\n"


def test_a_folder_as_configuration_is_said(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "forensics", "seal", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "IR_CONFIG": str(tmp_path)},
    )
    assert done.returncode == 2
    assert "is a folder, not a configuration file" in done.stderr
