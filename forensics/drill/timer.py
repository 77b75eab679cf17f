"""Makes, shows and removes systemd timers for drills, of the user or of the system; no unit that is not ours."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from forensics.drill.cron import to_on_calendar
from forensics.drill.job import Job
from forensics.errors import EngineError, RefusedError
from forensics.folders import find_home
from forensics.text import show

_MARK = "# Made by 'ir drill schedule'; 'ir drill schedule {} --remove' removes it."
_PREFIX = "ir-drill-"
_TIME_OUT_S = 60
_LONGEST_RUN = "1h"


@dataclass(frozen=True, slots=True)
class Timer:
    """One timer of ours: which drill, when (as ``OnCalendar``), and the file."""

    id: str
    when: str
    path: Path


def is_running(*, system: bool) -> bool:
    """Return whether systemd runs this host (sd_booted(3)), and for a user's timers whether its user manager does."""
    if not Path("/run/systemd/system").is_dir():
        return False
    return system or Path(f"/run/user/{os.geteuid()}/systemd").is_dir()


def unit_folder(*, system: bool) -> Path:
    """Return where units go: systemd.unit(5)."""
    if system:
        return Path("/etc/systemd/system")
    return Path(os.environ.get("XDG_CONFIG_HOME") or find_home() / ".config") / "systemd" / "user"


def make_units(job: Job) -> dict[str, str]:
    """Return the two unit files by name: what is run, and when."""
    mark = _MARK.format(job.id)
    environment = "".join(f"Environment={_quote(f'{name}={value}')}\n" for name, value in job.environment)
    command = " ".join(_quote(word, command=True) for word in job.command)
    calendar = "".join(f"OnCalendar={line}\n" for line in to_on_calendar(job.cron))
    service = (
        f"{mark}\n[Unit]\nDescription=Drill {job.id}\n\n[Service]\nType=oneshot\n{environment}"
        f"ExecStart={command}\nTimeoutStartSec={_LONGEST_RUN}\n"
    )
    timer = (
        f"{mark}\n# cron: {job.cron.text}\n[Unit]\nDescription=Schedule of the drill {job.id}\n\n[Timer]\n{calendar}"
        "AccuracySec=1s\n\n[Install]\nWantedBy=timers.target\n"
    )
    return {f"{_PREFIX}{job.id}.service": service, f"{_PREFIX}{job.id}.timer": timer}


def install_timer(job: Job, *, system: bool) -> Timer:
    """Write the units and start the timer; when systemd refuses it, nothing of it stays.

    Raises:
        RefusedError: a unit of this name is there and is not ours.
        EngineError: systemd refuses; its own sentence is in the message.
        OSError: the folder of units cannot be written.
    """
    folder = unit_folder(system=system)
    folder.mkdir(parents=True, exist_ok=True)
    units = make_units(job)
    for name in units:
        _require_own(folder / name)
    for name, text in units.items():
        (folder / name).write_text(text, "utf-8")
    name = f"{_PREFIX}{job.id}.timer"
    try:
        _systemctl("daemon-reload", system=system)
        _systemctl("enable", "--now", name, system=system)
    except EngineError:
        for unit in units:
            (folder / unit).unlink(missing_ok=True)
        raise
    return Timer(job.id, "; ".join(to_on_calendar(job.cron)), folder / name)


def remove_timer(drill_id: str, *, system: bool) -> bool:
    """Stop and remove the timer of this drill; False when there is none of ours.

    Raises:
        RefusedError: the unit of this name is not ours.
        EngineError: systemd refuses.
    """
    folder = unit_folder(system=system)
    names = [f"{_PREFIX}{drill_id}.timer", f"{_PREFIX}{drill_id}.service"]
    if not (folder / names[0]).exists():
        return False
    for name in names:
        _require_own(folder / name)
    _systemctl("disable", "--now", names[0], system=system)
    for name in names:
        (folder / name).unlink(missing_ok=True)
    _systemctl("daemon-reload", system=system)
    return True


def list_timers(*, system: bool) -> tuple[Timer, ...]:
    """Return the timers of ours in this folder of units."""
    found = []
    for path in sorted(unit_folder(system=system).glob(f"{_PREFIX}*.timer")):
        lines = _read_lines(path)
        if _is_ours(lines):
            when = "; ".join(line.removeprefix("OnCalendar=") for line in lines if line.startswith("OnCalendar="))
            found.append(Timer(path.stem.removeprefix(_PREFIX), when, path))
    return tuple(found)


def _require_own(path: Path) -> None:
    if path.exists() and not _is_ours(_read_lines(path)):
        raise RefusedError(f"{show(str(path))} was not made by ir, so it stays", hint="move it away, or use crontab")


def _is_ours(lines: list[str]) -> bool:
    return bool(lines) and lines[0].startswith(_MARK.split("{", maxsplit=1)[0].split(";", maxsplit=1)[0])


def _read_lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []


def _quote(word: str, *, command: bool = False) -> str:
    """Return *word* as systemd reads it back: quoted, specifiers and variables doubled (systemd.syntax(7))."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped.replace("$", "$$") if command else escaped}"'


def _systemctl(*arguments: str, system: bool) -> None:
    command = ["systemctl", *([] if system else ["--user"]), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=_TIME_OUT_S, text=True)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineError("systemctl does not answer", hint="use --crontab, or --print") from error
    if done.returncode:
        words = show(done.stderr.strip() or done.stdout.strip(), 300)
        raise EngineError(f"{' '.join(command[:3])} failed: {words}", hint="use --crontab, or --print")
