"""What `ir drill lint` and `ir drill new` show."""

from __future__ import annotations

from pathlib import Path

from forensics.cli.frame import emit_json, say
from forensics.drill.scaffold import write_new
from forensics.drill.scenario import check_scenario, find_scenario, list_scenarios
from forensics.errors import PlaybookError
from forensics.model import JsonObject
from forensics.text import show


def lint_scenarios(names: tuple[str, ...], *, as_json: bool) -> int:
    """Check scenarios and show everything that is wrong; 1 when something is, warnings aside."""
    rows: list[JsonObject] = []
    paths = [find_scenario(name) for name in names] or list_scenarios()
    for path in paths:
        rows += _check(path)
    if as_json:
        emit_json({"schema": "ir.lint/1", "problems": rows})
    else:
        _say_rows(rows, len(paths))
    return 1 if any(not row["warning"] for row in rows) else 0


def _check(path: Path) -> list[JsonObject]:
    try:
        problems, _ = check_scenario(path)
    except PlaybookError as error:
        return [{"at": "", "message": error.message, "hint": error.hint, "warning": False}]
    where = show(str(path))
    return [
        {"at": f"{where}:{p.line}:{p.column}", "message": p.message, "hint": p.hint, "warning": p.warning}
        for p in problems
    ]


def _say_rows(rows: list[JsonObject], count: int) -> None:
    for row in rows:
        where = f"{row['at']}: " if row["at"] else ""
        hint = f"  ({row['hint']})" if row["hint"] else ""
        say(f"{where}{'warning: ' if row['warning'] else ''}{row['message']}{hint}")
    if not rows:
        say(f"{count} checked, nothing wrong")


def write_scenario(name: str, folder: Path, playbook: str) -> int:
    """Write the scaffold of a scenario and say what to do with it."""
    path = show(str(write_new(name, folder, playbook)))
    say(f"written  {path}")
    say(f"check    ir drill lint {path}")
    say(f"run      ir drill run {path}")
    return 0
