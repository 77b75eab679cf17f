"""Puts drills into the user's own crontab and takes them out again. Every other line stays as it is, byte for byte."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass

from forensics.drill.job import Job
from forensics.errors import EngineError

_MARK = b" # ir-drill:"
_OURS = re.compile(rb"(?P<line>[^\n]*) # ir-drill:(?P<id>[a-z0-9][a-z0-9_-]*)\n?\Z")
_TIME_OUT_S = 30
_HINT = "install cron: apt-get install cron; or see 'ir drill schedule --help' for --print"


@dataclass(frozen=True, slots=True)
class CronLine:
    """One line of ours: which drill, when, and the whole line as it stands."""

    id: str
    when: str
    line: str


def install_line(job: Job) -> CronLine:
    """Add the job to the crontab, in the place of an older line for the same drill.

    Raises:
        EngineError: there is no crontab program, or it refuses.
    """
    before = _read()
    line = make_line(job)
    kept = _without(before, job.id)
    if kept and not kept.endswith(b"\n"):
        kept += b"\n"
    _write(kept + line.encode())
    if _without(_read(), job.id) != kept:
        _write(before)
        raise EngineError("the crontab was changed by somebody else meanwhile", hint="look at 'crontab -l', try again")
    return CronLine(job.id, job.cron.text, line.rstrip("\n"))


def remove_line(drill_id: str) -> bool:
    """Take the line of this drill out; False when there is none.

    Raises:
        EngineError: there is no crontab program, or it refuses.
    """
    before = _read()
    kept = _without(before, drill_id)
    if kept == before:
        return False
    _write(kept)
    return True


def list_lines() -> tuple[CronLine, ...]:
    """Return the lines of ours; none where this host has no crontab program."""
    try:
        text = _read()
    except EngineError:
        return ()
    found = []
    for raw in text.splitlines(keepends=True):
        if match := _OURS.match(raw):
            when = b" ".join(match["line"].split()[:5])
            found.append(
                CronLine(
                    match["id"].decode(), when.decode("ascii", "replace"), raw.decode("utf-8", "replace").rstrip("\n")
                )
            )
    return tuple(found)


def make_line(job: Job) -> str:
    """Return the line: a percent sign would end the command and begin its input (crontab(5)), so it is escaped."""
    return f"{job.cron.text} {job.shell} # ir-drill:{job.id}".replace("%", "\\%") + "\n"


def _without(text: bytes, drill_id: str) -> bytes:
    def is_ours(line: bytes) -> bool:
        match = _OURS.match(line)
        return match is not None and match["id"] == drill_id.encode()

    return b"".join(line for line in text.splitlines(keepends=True) if not is_ours(line))


def _read() -> bytes:
    done = _call("-l")
    if done.returncode and b"no crontab" not in done.stderr.lower() and b"can't open" not in done.stderr.lower():
        raise EngineError(f"crontab does not answer: {_last(done.stderr)}", hint=_HINT)
    return done.stdout if done.returncode == 0 else b""


def _write(text: bytes) -> None:
    done = _call("-", text)
    if done.returncode:
        raise EngineError(f"crontab refuses: {_last(done.stderr)}", hint="see crontab(1) and /etc/cron.allow")


def _call(argument: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["crontab", argument], input=given, capture_output=True, check=False, timeout=_TIME_OUT_S)  # noqa: S607 - the system's own, on PATH
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineError("this host has no crontab program that answers", hint=_HINT) from error


def _last(stderr: bytes) -> str:
    lines = stderr.decode("utf-8", "replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "no reason given")
