"""What a scheduler of the system runs: one drill, with everything it needs named in full. Schedules nothing itself."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from forensics.drill.cron import Cron, parse_cron
from forensics.drill.scenario import find_scenario, read_scenario
from forensics.errors import UsageError
from forensics.folders import state_dir
from forensics.text import show

ALL = "all"
"""The name under which every shipped scenario is scheduled."""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PASSED_ON = ("DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "DOCKER_CONTEXT", "IR_CONFIG", "IR_ENGINE")


@dataclass(frozen=True, slots=True)
class Job:
    """One scheduled drill. ``id`` is safe in file names and on command lines (letters, digits, ``-`` and ``_``)."""

    id: str
    cron: Cron
    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    log: Path

    @property
    def shell(self) -> str:
        """The command as one line of shell, quoted."""
        given = " ".join(f"{name}={shlex.quote(value)}" for name, value in self.environment)
        return f"{given} {shlex.join(self.command)} >{shlex.quote(str(self.log))} 2>&1"


def make_job(ref: str, cron: str, cases_dir: Path) -> Job:
    """Return the job that runs the scenario *ref* (a name, a file, or ``all``) whenever *cron* says.

    A scheduler starts with an empty environment: the engine, the configuration, the case and state folders are those of
    now, in full.

    Raises:
        UsageError: the expression or a path cannot be scheduled.
        PlaybookError: there is no such scenario, or it does not validate.
    """
    checked = parse_cron(cron)
    if ref == ALL:
        name, arguments = ALL, ("--all",)
    else:
        scenario = read_scenario(ref)
        shipped = "/" not in ref and not ref.endswith((".yaml", ".yml"))
        name, arguments = scenario.id, (ref if shipped else str(find_scenario(ref).resolve()),)
    passed = [(key, os.environ[key]) for key in _PASSED_ON if os.environ.get(key)]
    folders = [("IR_CASES", str(cases_dir.resolve())), ("IR_STATE_DIR", str(state_dir().resolve()))]
    job = Job(
        name,
        checked,
        (*find_program(), "drill", "run", *arguments, "--json"),
        (("PATH", _PATH), *passed, *folders),
        state_dir().resolve() / "drills" / f"{name}.log",
    )
    for value in (*job.command, *(value for _, value in job.environment)):
        if not value.isprintable():
            raise UsageError(f"{show(value, 80)} cannot stand in a schedule", hint="choose a path without line breaks")
    return job


def find_program() -> tuple[str, ...]:
    """Return how `ir` is started from anywhere: the installed script, else this interpreter with the package."""
    beside = Path(sys.executable).parent / "ir"
    if os.access(beside, os.X_OK):
        return (str(beside),)
    found = shutil.which("ir")
    return (found,) if found else (sys.executable, "-P", "-m", "forensics")
