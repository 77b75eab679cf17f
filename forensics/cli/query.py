"""`ir query`: ask a case in SQL."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forensics.cli.frame import emit_json, json_option, say
from forensics.errors import UsageError
from forensics.text import show

if TYPE_CHECKING:
    from forensics.report.query import Answer

_WIDEST = 100
_ROWS = 200


@click.command()
@click.argument("case", type=click.Path(path_type=Path))
@click.argument("question", required=False)
@click.option("--limit", type=click.IntRange(min=1), help=f"Most rows [default: {_ROWS}; all with --json].")
@click.option("--seconds", type=click.FloatRange(min=0.1), default=60.0, show_default=True, help="Most time.")
@click.option("--save", type=click.Path(dir_okay=False, path_type=Path), help="Write the tables as a SQLite file.")
@json_option
def command(case: Path, question: str | None, save: Path | None, as_json: bool, **bounds: Any) -> None:  # noqa: ANN401 - click's options
    r"""Ask CASE a QUESTION in SQL (read-only); without one, list the tables.

    \b
      ir query CASE "select severity, title from findings"
      ir query CASE "select path from changes where kind = 'added' and path like '%/tmp/%'"
      ir query CASE --save case.sqlite
    """
    from forensics.analyze import read_analysis  # noqa: PLC0415 - keeps `ir --help` light
    from forensics.cli.session import read_case  # noqa: PLC0415 - as above
    from forensics.report.build import build  # noqa: PLC0415 - as above
    from forensics.report.query import TABLES, ask, save_database  # noqa: PLC0415 - as above

    if save and question:
        raise UsageError("give a question or --save, not both")
    with read_case(case, "ir query") as opened:
        report = build(opened, read_analysis(opened))
    if save:
        save_database(report, save)
        return
    if question is None:
        tables = {name: list(columns) for name, columns in TABLES.items()}
        emit_json({"schema": "ir.query/1", "tables": tables}) if as_json else _list(tables)
        return
    limit = bounds["limit"] or (None if as_json else _ROWS)
    answer = ask(report, question, limit=limit, seconds=bounds["seconds"])
    _emit(answer) if as_json else _show(answer)


def _list(tables: dict[str, list[str]]) -> None:
    for name, columns in tables.items():
        say(f"{name:18} {', '.join(columns)}")


def _emit(answer: Answer) -> None:
    rows = [[value.hex() if isinstance(value, bytes) else value for value in row] for row in answer.rows]
    emit_json({"schema": "ir.query/1", "columns": list(answer.columns), "rows": rows, "more": answer.more})


def _show(answer: Answer) -> None:
    """Write aligned columns; a cell stays on its line, however long or hostile."""
    shown = [["" if cell is None else show(str(cell))[:_WIDEST] for cell in row] for row in answer.rows]
    lines = [[show(name) for name in answer.columns], *shown]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    if answer.more:
        say(f"the first {len(answer.rows)} rows; --limit shows more", err=True)
