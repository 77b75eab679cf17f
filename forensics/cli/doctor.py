"""`ir doctor`: is this host ready for an incident? Exit code 4 when isolating or collecting could not work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from forensics.cli.frame import emit_json, json_option, say

if TYPE_CHECKING:
    from forensics.cli.readiness import Check

_NOT_READY = 4
_MARKS = {"ok": ("ok  ", "green"), "warn": ("warn", "yellow"), "fail": ("FAIL", "red")}


@click.command(epilog="Example: ir doctor --json")
@json_option
def command(as_json: bool) -> int:
    """Check engine, rights, libraries, tools, disk, clock and kernel; say what to do about each."""
    checks = _run_checks()
    ready = not any(check.blocks for check in checks)
    if as_json:
        emit_json({"schema": "ir.doctor/1", "ready": ready, "checks": [check.to_document() for check in checks]})
    else:
        _say_checks(checks, ready=ready)
    return 0 if ready else _NOT_READY


def _run_checks() -> list[Check]:
    from forensics.cli import readiness  # noqa: PLC0415 - not needed by `ir doctor --help`
    from forensics.cli.settings import read_settings  # noqa: PLC0415 - likewise

    settings = read_settings()
    cases = settings.cases_dir.absolute()
    return [
        *readiness.check_engine(settings.engine),
        readiness.check_rights(),
        *readiness.check_kernel(),
        readiness.check_disk("case disk", cases, "free space there, or set IR_CASES to another disk"),
        readiness.check_clock(),
        *readiness.check_libraries(),
        *readiness.check_tools(),
    ]


def _say_checks(checks: list[Check], *, ready: bool) -> None:
    width = max(len(check.name) for check in checks)
    for check in checks:
        mark, color = _MARKS[check.state]
        say(f"{click.style(mark, fg=color)}  {check.name:{width}}  {check.detail}")
        if check.advice:
            say(f"      {'':{width}}  → {check.advice}")
    say("\nready" if ready else "\nnot ready: what says FAIL has to be mended first")
