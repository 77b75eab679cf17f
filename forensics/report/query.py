"""Questions in SQL about one case: the lists of the report as tables of a SQLite database that can only be read.

What is asked comes from the operator, what the tables hold from an attacker. So a question can read these tables and
nothing else: no other file, no setting, no extension (sqlite3 authorizer), for a bounded time. The database is made
from the report document, in which credentials are masked and every text is safe to show.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forensics.errors import UsageError
from forensics.model import JsonObject
from forensics.report.document import Report
from forensics.report.json import to_document
from forensics.text import show

TABLES = {
    "findings": (
        "number", "rule", "title", "severity", "confidence", "attack", "matched", "details", "why", "benign", "next",
    ),
    "evidence": ("finding", "item", "layer", "path", "path_b64", "pid", "offset"),
    "changes": ("path", "path_b64", "kind", "fields", "layer"),
    "deleted_recovered": (
        "path", "path_b64", "sha256", "size_bytes", "layer", "layer_diff_id", "deleted_in_layer", "created_by",
    ),
    "layers": ("index", "diff_id", "digest", "size_bytes", "entries", "added", "modified", "deleted", "history"),
    "timeline": ("at", "kind", "description", "item", "path", "path_b64", "pid", "doubt"),
    "indicators": ("type", "value", "evidence"),
    "processes": (
        "pid", "ns_pid", "depth", "name", "command", "executable", "user", "started_at", "signals", "findings", "item",
    ),
    "connections": ("protocol", "local", "remote", "state", "process", "external", "item"),
    "settings": ("name", "value", "risk", "item"),
    "blast_radius": ("kind", "name", "detail", "others", "item"),
    "secrets": ("name", "where", "masked", "item"),
    "ledger": ("artefact", "outcome", "reason", "bytes", "seconds", "disturbed", "items"),
    "items": (
        "id", "kind", "path", "sha256", "sha512", "size_bytes", "source", "method", "started_at", "ended_at",
        "outcome", "reason", "attributes",
    ),
    "steps": ("seq", "at", "action", "detail", "outcome", "actor", "altered"),
}  # fmt: skip
"""Every table and its columns; a column that holds a list is JSON text (sqlite's json_each reads it)."""

SECONDS = 60.0
_STEPS_BETWEEN_LOOKS = 10_000
_ALLOWED = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE})
_MAX_VALUE_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Answer:
    """The columns and rows of one answer; ``more`` says that there were more rows than were asked for."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    more: bool


def ask(report: Report, question: str, *, limit: int | None = None, seconds: float = SECONDS) -> Answer:
    """Return the answer to one SELECT; *limit* bounds the rows, *seconds* the time.

    Raises:
        UsageError: it is no single question that only reads, names what is not there, or takes too long.
    """
    with closing(sqlite3.connect(":memory:")) as database:
        _fill(database, report)
        _restrict(database, seconds)
        try:
            return _read(database.execute(question), limit)
        except (sqlite3.Error, sqlite3.Warning) as error:
            raise _explain(error) from error
        except (ValueError, MemoryError) as error:
            raise UsageError(f"the question cannot be answered: {show(str(error))}") from error


def save_database(report: Report, path: Path) -> None:
    """Write the tables as a new SQLite file, for other tools.

    Raises:
        UsageError: the file is there already, or cannot be made.
    """
    try:
        path.open("xb").close()
        with closing(sqlite3.connect(path)) as database:
            _fill(database, report)
            database.commit()
    except (OSError, sqlite3.Error) as error:
        raise UsageError(f"the database cannot be written: {error}", hint="name a new file") from error


def _fill(database: sqlite3.Connection, report: Report) -> None:
    document = to_document(report)
    for name, columns in TABLES.items():
        names = ", ".join(f'"{column}"' for column in columns)
        database.execute(f'CREATE TABLE "{name}" ({names})')
        places = ", ".join("?" * len(columns))
        rows = ([_cell(row.get(column)) for column in columns] for row in _rows(document, name))
        database.executemany(f'INSERT INTO "{name}" VALUES ({places})', rows)  # noqa: S608 - our own names


def _rows(document: JsonObject, name: str) -> Iterable[JsonObject]:
    findings = document["findings"]
    if name == "findings":
        return ({"number": number, **finding} for number, finding in enumerate(findings, 1))
    if name == "evidence":
        return _evidence(findings)
    if name == "timeline":
        return ({**event, **(event["evidence"] or {})} for event in document["timeline"])
    rows: list[JsonObject] = document[name]
    return rows


def _evidence(findings: list[JsonObject]) -> Iterator[JsonObject]:
    for number, finding in enumerate(findings, 1):
        for reference in finding["evidence"]:
            yield {"finding": number, **reference}


def _cell(value: Any) -> Any:  # noqa: ANN401 - JSON in, a value of SQLite out
    return json.dumps(value, ensure_ascii=True) if isinstance(value, list | dict) else value


def _restrict(database: sqlite3.Connection, seconds: float) -> None:
    """From here on: reading only, no function that reaches outside, and no longer than *seconds*."""
    end = time.monotonic() + seconds
    database.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_VALUE_BYTES)
    database.set_progress_handler(lambda: time.monotonic() > end, _STEPS_BETWEEN_LOOKS)
    database.set_authorizer(_authorize)


def _authorize(action: int, _first: str | None, second: str | None, *_: str | None) -> int:
    if action == sqlite3.SQLITE_FUNCTION:
        return sqlite3.SQLITE_DENY if second in {"load_extension", "fts3_tokenizer"} else sqlite3.SQLITE_OK
    return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY


def _read(cursor: sqlite3.Cursor, limit: int | None) -> Answer:
    if cursor.description is None:
        raise UsageError("that is no question", hint="ask with SELECT")
    columns = tuple(column[0] for column in cursor.description)
    rows = cursor.fetchall() if limit is None else cursor.fetchmany(limit + 1)
    more = limit is not None and len(rows) > limit
    return Answer(columns, tuple(rows[:limit] if more else rows), more)


def _explain(error: sqlite3.Error | sqlite3.Warning) -> UsageError:
    text = str(error)
    if "interrupted" in text:
        return UsageError("the question took too long", hint="ask for less, or give --seconds")
    if "not authorized" in text or "prohibited" in text:
        return UsageError("a question can only read the tables of the case", hint="'ir query CASE' lists them")
    return UsageError(f"the question cannot be answered: {show(text)}", hint="'ir query CASE' lists the tables")
