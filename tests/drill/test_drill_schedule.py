"""Schedules: crontab lines and systemd units that survive odd names, other people's lines, other schedulers' words."""

import json
import os
import re
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from forensics.cli import cli
from forensics.drill import crontab, timer
from forensics.drill.cron import parse_cron
from forensics.drill.job import Job, make_job
from forensics.errors import EngineError, PlaybookError, RefusedError, UsageError

ODD = "a 'b' \"c\" 100% $HOME `id` \\ é"
THEIRS = "# mine\nMAILTO=me\n\n*/5 * * * * /usr/bin/backup --all  # ir-drill is not this\n@daily echo 50\\% done"


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a crontab(1) on PATH that keeps its table in a file: the one of this machine is not ours to change."""
    kept = tmp_path / "table"
    program = tmp_path / "bin" / "crontab"
    program.parent.mkdir(exist_ok=True)
    program.write_text(
        f"#!/bin/sh\n[ \"$1\" = -l ] || exec cat >'{kept}'\n"
        f"[ -e '{kept}' ] || {{ echo 'no crontab for you' >&2; exit 1; }}\ncat '{kept}'\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return kept


def job(**changes: Any) -> Job:
    made = Job(
        "intrusion", parse_cron("0 3 * * 1"), ("/opt/ir", "drill", "run", ODD), (("IR_CASES", ODD),), Path("/l g%")
    )
    return replace(made, **changes)


def call(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["drill", "schedule", *arguments], standalone_mode=False)
    if done.exception:
        raise done.exception
    return done.return_value, done.output


def test_a_line_is_put_in_and_taken_out_and_every_other_stays(table: Path) -> None:
    table.write_text(THEIRS)
    crontab.install_line(job())
    crontab.install_line(job(id="all", cron=parse_cron("1 2 3 4 5")))
    crontab.install_line(job(cron=parse_cron("5 5 * * *")))
    lines = table.read_text().splitlines()
    assert lines[:5] == THEIRS.splitlines()
    assert [(line.id, line.when) for line in crontab.list_lines()] == [("all", "1 2 3 4 5"), ("intrusion", "5 5 * * *")]
    assert crontab.remove_line("all")
    assert crontab.remove_line("intrusion")
    assert not crontab.remove_line("intrusion")
    assert table.read_text() == THEIRS + "\n"


def test_bytes_of_others_that_are_no_text_stay(table: Path) -> None:
    table.write_bytes(b"* * * * * echo \xff\xfe\r\n")
    crontab.install_line(job())
    crontab.remove_line("intrusion")
    assert table.read_bytes() == b"* * * * * echo \xff\xfe\r\n"


@pytest.mark.usefixtures("table")
def test_the_first_line_of_a_user_without_a_crontab() -> None:
    crontab.install_line(job())
    assert [line.id for line in crontab.list_lines()] == ["intrusion"]


def test_the_shell_of_cron_reads_the_names_back() -> None:
    line = crontab.make_line(job())
    assert line.count("\n") == 1
    command = re.sub(r"\\%", "%", line.split(" ", 5)[5])
    assert not re.search(r"(?<!\\)%", line)
    assert shlex.split(command, comments=True) == ["IR_CASES=" + ODD, "/opt/ir", "drill", "run", ODD, ">/l g%", "2>&1"]


def test_no_crontab_program_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError) as caught:
        crontab.install_line(job())
    assert caught.value.message == "this host has no crontab program that answers"
    assert "apt-get install cron" in caught.value.hint
    assert crontab.list_lines() == ()


def test_systemd_itself_accepts_the_units(tmp_path: Path) -> None:
    for name, text in timer.make_units(job(command=("/bin/true", ODD), cron=parse_cron("0 0 1,15 * fri"))).items():
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, tmp_path.iterdir())],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    text = (tmp_path / "ir-drill-intrusion.timer").read_text()
    assert text.count("OnCalendar=") == 2


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a systemctl on PATH that writes down what it is asked: systemd does not run on test machines."""
    asked = tmp_path / "asked"
    program = tmp_path / "bin" / "systemctl"
    program.parent.mkdir(exist_ok=True)
    program.write_text(
        f'#!/bin/sh\necho "$@" >>"{asked}"\n[ ! -e "{tmp_path}/refuse" ] || {{ echo no bus >&2; exit 1; }}\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return asked


def test_a_timer_is_installed_shown_and_removed(systemctl: Path, tmp_path: Path) -> None:
    made = timer.install_timer(job(), system=False)
    assert made.path == tmp_path / "config/systemd/user/ir-drill-intrusion.timer"
    assert timer.list_timers(system=False) == (made,)
    assert timer.remove_timer("intrusion", system=False)
    assert list(made.path.parent.iterdir()) == []
    assert systemctl.read_text().splitlines() == [
        "--user daemon-reload",
        "--user enable --now ir-drill-intrusion.timer",
        "--user disable --now ir-drill-intrusion.timer",
        "--user daemon-reload",
    ]
    assert not timer.remove_timer("intrusion", system=False)


@pytest.mark.usefixtures("systemctl")
def test_a_timer_that_systemd_refuses_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "refuse").touch()
    with pytest.raises(EngineError, match="systemctl --user daemon-reload failed: no bus"):
        timer.install_timer(job(), system=False)
    assert list((tmp_path / "config/systemd/user").iterdir()) == []


@pytest.mark.usefixtures("systemctl")
def test_a_unit_of_somebody_else_stays(tmp_path: Path) -> None:
    folder = tmp_path / "config/systemd/user"
    folder.mkdir(parents=True)
    (folder / "ir-drill-intrusion.timer").write_text("[Timer]\nOnCalendar=daily\n")
    for change in (
        lambda: timer.install_timer(job(), system=False),
        lambda: timer.remove_timer("intrusion", system=False),
    ):
        with pytest.raises(RefusedError, match="was not made by ir, so it stays"):
            change()
    assert timer.list_timers(system=False) == ()
    assert (folder / "ir-drill-intrusion.timer").read_text() == "[Timer]\nOnCalendar=daily\n"


@pytest.mark.usefixtures("own_folders")
def test_a_job_names_everything_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///run/x.sock")
    monkeypatch.chdir(tmp_path)
    made = make_job("intrusion", "0 3 * * 1", Path("cases"))
    environment = dict(made.environment)
    assert Path(made.command[0]).is_absolute()
    assert made.command[1:] == ("drill", "run", "intrusion", "--json")
    assert environment["DOCKER_HOST"] == "unix:///run/x.sock"
    assert environment["IR_CASES"] == str(tmp_path / "cases")
    assert Path(environment["IR_STATE_DIR"]).is_absolute()
    (tmp_path / "own.yaml").write_text(
        "apiVersion: ir/v1\nkind: Drill\nid: own\nname: O\ndescription: d\nexpect_verdict: [no-evidence]\n"
    )
    assert make_job("own.yaml", "@daily", Path("cases")).command[3] == str(tmp_path / "own.yaml")


@pytest.mark.usefixtures("own_folders")
def test_what_cannot_be_scheduled_is_said() -> None:
    with pytest.raises(PlaybookError, match="no drill is called 'intrsion'"):
        make_job("intrsion", "0 3 * * 1", Path("cases"))
    with pytest.raises(UsageError, match="has not the five fields of cron"):
        make_job("intrusion", "daily", Path("cases"))
    with pytest.raises(UsageError, match="cannot stand in a schedule"):
        make_job("intrusion", "@daily", Path("a\nb"))


@pytest.mark.usefixtures("own_folders", "systemctl", "table")
def test_the_command_installs_shows_and_removes() -> None:
    assert call()[1].startswith("nothing is scheduled")
    code, output = call("intrusion", "--cron", "0 3 * * 1", "--crontab")
    assert code == 0
    assert output.startswith("scheduled intrusion: 0 3 * * 1 (crontab)")
    call("all", "--cron", "@weekly", "--user")
    rows = json.loads(call("--json")[1])["schedules"]
    assert [(row["drill"], row["when"], row["with"]) for row in rows] == [
        ("intrusion", "0 3 * * 1", "crontab"), ("all", "Sun *-*-* 00:00:00", "systemd-user"),
    ]  # fmt: skip
    assert json.loads(call("--list", "--json")[1])["schedules"] == rows
    assert call("intrusion", "--remove")[1] == "removed intrusion (crontab)\n"
    assert call("all", "--remove")[1] == "removed all (systemd-user)\n"
    with pytest.raises(UsageError, match="no drill called all is scheduled"):
        call("all", "--remove")
    with pytest.raises(UsageError, match="say when with --cron"):
        call("all")
    with pytest.raises(UsageError, match="name the drill"):
        call("--cron", "@daily")


@pytest.mark.usefixtures("own_folders", "table")
@pytest.mark.parametrize("cron", ["30 2 * * 1-5", "@weekly"])
def test_other_schedulers_get_it_in_their_words(cron: str, table: Path) -> None:
    expected = parse_cron(cron).text
    chart = yaml.safe_load(call("intrusion", "--cron", cron, "--print", "kubernetes")[1])
    assert (chart["apiVersion"], chart["kind"]) == ("batch/v1", "CronJob")
    assert chart["spec"]["schedule"] == expected
    pod = chart["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["restartPolicy"] == "Never"
    assert pod["containers"][0]["args"] == ["drill", "run", "intrusion", "--json"]
    workflow = yaml.safe_load(call("all", "--cron", cron, "--print", "github")[1])
    assert workflow["on"]["schedule"] == [{"cron": expected}]
    assert any("ir drill run --all --json" in step.get("run", "") for step in workflow["jobs"]["drill"]["steps"])
    gitlab = call("all", "--cron", cron, "--print", "gitlab")[1]
    assert f"#   {expected}\n" in gitlab
    assert any("ir drill run --all --json" in line for line in yaml.safe_load(gitlab)["drill-all"]["script"])
    assert not table.exists()
