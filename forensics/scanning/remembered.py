"""What the worker said of a content before: the same bytes, rules and versions give the same answer again.

Most of an image is a base that other cases have, too. Only whole answers are kept, never a failure; the content itself
never is. The file is this user's own, safe to delete, and never needed: one that is damaged is left alone.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

from forensics import __version__
from forensics.folders import cache_dir
from forensics.scanning.compiled import is_ours
from forensics.scanning.nouns import ScanRequest

FORMAT = 1
_BATCH = 2000
_MOST_FILES = 8
_MOST_BYTES = 1 << 30
_WAIT_SECONDS = 0.2
_NOTHING = b""
"""What is kept of the answer that most contents get: no rule matches."""


class Remembered:
    """The answers for one set of rules and one version of what scans. Close it, or the last answers are not kept."""

    def __init__(self, rules: str, versions: str) -> None:
        """Take the digest of the rules, and the versions of what applies them; opens the file if it can be used."""
        scope = hashlib.sha256(f"{FORMAT}\n{__version__}\n{rules}\n{versions}".encode()).hexdigest()
        self._new: dict[bytes, bytes] = {}
        self._database = _open(cache_dir() / "scans" / f"{scope}.sqlite")

    def find(self, key: bytes) -> dict[str, Any] | None:
        """Return the answer to a question that was answered before, else None."""
        if self._database is None:
            return None
        packed = self._new.get(key)
        if packed is None:
            try:
                row = self._database.execute("SELECT answer FROM answers WHERE question = ?", (key,)).fetchone()
            except sqlite3.Error:
                return None
            packed = row[0] if row else None
        return None if packed is None else _unpack(packed)

    def keep(self, key: bytes, answer: dict[str, Any]) -> None:
        """Keep an answer; one that says less than everything is not kept."""
        if self._database is None or answer.get("error"):
            return
        said = {name: value for name, value in answer.items() if value}
        self._new[key] = zlib.compress(json.dumps(said).encode("ascii")) if said else _NOTHING
        if len(self._new) >= _BATCH:
            self._write()

    def close(self) -> None:
        """Write what is new, and close the file."""
        if self._database is None:
            return
        self._write()
        self._database.close()
        self._database = None

    def _write(self) -> None:
        database, new, self._new = self._database, self._new, {}
        with suppress(sqlite3.Error):
            if database and new:
                with database:
                    database.executemany("INSERT OR IGNORE INTO answers VALUES (?, ?)", sorted(new.items()))


def make_key(request: ScanRequest) -> bytes:
    """Return what identifies a question whose content has a known digest: everything the answer can depend on."""
    parts = [request.sha256, request.offset, request.length, request.yara, request.magic, dict(request.externals)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode("ascii")).digest()


def _unpack(packed: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(zlib.decompress(packed)) if packed else {}
    except (ValueError, zlib.error):
        return None
    return answer if isinstance(answer, dict) else None


def _open(path: Path) -> sqlite3.Connection | None:
    """Open or make the file, with access for this user only; None where that cannot be."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _forget_old(path.parent)
            path.touch(mode=0o600)
        if not is_ours(path) or not is_ours(path.parent) or path.stat().st_size > _MOST_BYTES:
            return None
        database = sqlite3.connect(path, timeout=_WAIT_SECONDS)
    except (OSError, sqlite3.Error):
        return None
    try:
        database.execute("PRAGMA synchronous = OFF")  # what a crash takes is asked again
        database.execute("CREATE TABLE IF NOT EXISTS answers (question BLOB PRIMARY KEY, answer BLOB) WITHOUT ROWID")
    except sqlite3.Error:
        database.close()
        return None
    return database


def _forget_old(folder: Path) -> None:
    """Keep the files that were used last."""
    files = sorted(folder.glob("*.sqlite"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for file in files[_MOST_FILES - 1 :]:
        file.unlink(missing_ok=True)
