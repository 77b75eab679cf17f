"""What `ir drill schedule` does: installs, shows, removes or prints; the scheduling is the system's own."""

from __future__ import annotations

import os

from forensics.cli.frame import emit_json, say
from forensics.cli.settings import read_settings
from forensics.drill import crontab, timer
from forensics.drill.job import Job, make_job
from forensics.drill.printed import print_github, print_gitlab, print_kubernetes
from forensics.errors import UsageError
from forensics.model import JsonObject
from forensics.text import show

_EXAMPLE = "ir drill schedule all --cron '0 3 * * 1'"


def show_or_change(  # noqa: PLR0913 - the command's options
    name: str, cron: str, way: str, printed: str | None, *, remove: bool, as_json: bool
) -> int:
    """Do what the options say; without a name show what is scheduled."""
    if not name:
        if cron or printed or remove:
            raise UsageError("name the drill, or 'all'", hint=_EXAMPLE)
        return _show(as_json=as_json)
    if remove:
        return _remove(name, as_json=as_json)
    if not cron:
        raise UsageError("say when with --cron", hint=_EXAMPLE)
    job = make_job(name, cron, read_settings().cases_dir)
    if printed:
        say(_print(job, printed).rstrip("\n"))
        return 0
    return _install(job, way, as_json=as_json)


def _print(job: Job, printed: str) -> str:
    if printed == "crontab":
        return crontab.make_line(job)
    if printed == "systemd":
        return "\n".join(f"# {name}\n{text}" for name, text in timer.make_units(job).items())
    if printed == "kubernetes":
        return print_kubernetes(job, read_settings().engine or os.environ.get("DOCKER_HOST", ""))
    return print_github(job) if printed == "github" else print_gitlab(job)


def _install(job: Job, way: str, *, as_json: bool) -> int:
    system = way == "systemd" or (way == "auto" and os.geteuid() == 0)
    job.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if way == "crontab" or (way == "auto" and not timer.is_running(system=system)):
        crontab.install_line(job)
        where, remark = "crontab", "cron has to run: it is the daemon that reads the crontab"
    else:
        made = timer.install_timer(job, system=system)
        where = str(made.path)
        remark = "" if system else "a user's timers stop with the last session, unless: loginctl enable-linger"
    if as_json:
        emit_json({"schema": "ir.drill-schedule/1", "schedules": _list()})
        return 0
    say(f"scheduled {job.id}: {job.cron.text} ({where})")
    if remark:
        say(f"note      {remark}")
    say("results   ir drill scorecard")
    say(f"remove    ir drill schedule {job.id} --remove")
    return 0


def list_scheduled() -> tuple[str, ...]:
    """Return the ids of the drills that are scheduled here."""
    return tuple(dict.fromkeys(str(row["drill"]) for row in _list()))


def _list() -> list[JsonObject]:
    rows: list[JsonObject] = [
        {"drill": line.id, "when": line.when, "with": "crontab", "line": line.line} for line in crontab.list_lines()
    ]
    for system, way in ((False, "systemd-user"), (True, "systemd")):
        rows += [
            {"drill": found.id, "when": found.when, "with": way, "line": str(found.path)}
            for found in timer.list_timers(system=system)
        ]
    return rows


def _show(*, as_json: bool) -> int:
    rows = _list()
    if as_json:
        emit_json({"schema": "ir.drill-schedule/1", "schedules": rows})
        return 0
    for row in rows:
        say(f"{show(row['drill']):<24} {show(row['when']):<20} {row['with']:<12} {show(row['line'], 200)}")
    if not rows:
        say(f"nothing is scheduled; {_EXAMPLE}")
    return 0


def _remove(name: str, *, as_json: bool) -> int:
    removed = ["crontab"] if any(line.id == name for line in crontab.list_lines()) and crontab.remove_line(name) else []
    for system, way in ((False, "systemd-user"), (True, "systemd")):
        known = [found.id for found in timer.list_timers(system=system)]
        if name in known and timer.remove_timer(name, system=system):
            removed.append(way)
    if not removed:
        raise UsageError(f"no drill called {show(name, 60)} is scheduled", hint="'ir drill schedule' shows what is")
    if as_json:
        emit_json({"schema": "ir.drill-schedule/1", "removed": removed, "schedules": _list()})
        return 0
    say(f"removed {name} ({', '.join(removed)})")
    return 0
