"""Keeps every drill result of this host in one SQLite file in the state folder, and reads it back, oldest first."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from forensics import __version__
from forensics.errors import StorageError
from forensics.folders import state_dir
from forensics.model import JsonObject
from forensics.text import show

_FORMAT = 1
_BUSY_S = 20
_TABLE = """
CREATE TABLE IF NOT EXISTS runs (
  id INTEGER PRIMARY KEY,
  at_utc TEXT NOT NULL,
  scenario TEXT NOT NULL,
  passed INTEGER NOT NULL,
  version TEXT NOT NULL,
  document TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS runs_by_scenario ON runs (scenario, id);
"""


_LAST = """
SELECT at_utc, version, document FROM (
  SELECT *, row_number() OVER (PARTITION BY scenario ORDER BY id DESC) AS age FROM runs
) WHERE ? = 0 OR age <= ? ORDER BY id
"""


@dataclass(frozen=True, slots=True)
class Run:
    """One recorded run: when it ended, by which version of ir, and its entry of ``ir.drills/1``."""

    at: datetime
    version: str
    document: JsonObject

    @property
    def scenario(self) -> str:
        """Which scenario it was."""
        return str(self.document["scenario"])

    @property
    def passed(self) -> bool:
        """Whether it met its thresholds."""
        return bool(self.document["passed"])


def history_path() -> Path:
    """Return where the history of this user lies."""
    return state_dir() / "drills" / "history.sqlite"


def record_run(document: JsonObject, at: datetime | None = None) -> None:
    """Add one entry of ``ir.drills/1`` to the history.

    Raises:
        StorageError: the history cannot be written, or is no history of ours.
    """
    moment = (at or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="seconds")
    row = (moment, document["scenario"], int(document["passed"]), __version__, json.dumps(document))
    with _open(create=True) as database, database:
        database.execute("INSERT INTO runs (at_utc, scenario, passed, version, document) VALUES (?, ?, ?, ?, ?)", row)


def read_runs(limit: int = 0) -> tuple[Run, ...]:
    """Return the recorded runs, oldest first; with *limit* only the last so many of each scenario.

    Raises:
        StorageError: the history cannot be read, or is no history of ours.
    """
    if not history_path().exists():
        return ()
    with _open(create=False) as database:
        rows = database.execute(_LAST, (limit, limit)).fetchall()
    return tuple(Run(datetime.fromisoformat(at), version, json.loads(document)) for at, version, document in rows)


@contextmanager
def _open(*, create: bool) -> Iterator[sqlite3.Connection]:
    path = history_path()
    try:
        if create:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        with contextlib.closing(sqlite3.connect(path, timeout=_BUSY_S)) as database:
            _check_format(database, path, create=create)
            yield database
    except (sqlite3.Error, OSError, ValueError) as error:
        raise StorageError(
            f"the history of drills {show(str(path))} cannot be used: {error}", hint="move it away, or set IR_STATE_DIR"
        ) from error


def _check_format(database: sqlite3.Connection, path: Path, *, create: bool) -> None:
    (found,) = database.execute("PRAGMA user_version").fetchone()
    if found > _FORMAT:
        raise StorageError(f"{show(str(path))} was written by a newer version of ir", hint="use that version")
    if create and found < _FORMAT:
        database.executescript(_TABLE)
        database.execute(f"PRAGMA user_version = {_FORMAT}")
