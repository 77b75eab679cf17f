"""A merged tree kept in a file, so that comparing again needs no second reading of the image.

The file is a cache of the user's own: written with mode 0600 under a temporary name, read only if the user owns it,
and only for the very same image file (device, inode, size, times) and the same version of this toolkit.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

from forensics import __version__
from forensics.archive.image import Image, ImageSource
from forensics.archive.index import Row
from forensics.archive.limits import Anomaly
from forensics.archive.tree import Tree
from forensics.errors import ArchiveError
from forensics.text import encode_base64, from_bytes, to_bytes

_SCHEMA = "CREATE TABLE entries (key BLOB PRIMARY KEY, sequence INT, flags INT, layer INT, packed BLOB) WITHOUT ROWID"
_FORMAT = 1
_MAX_KEPT = 20


class SavedTree:
    """The rows of a tree that was merged before, and what was wrong with its image."""

    def __init__(self, database: sqlite3.Connection, anomalies: tuple[Anomaly, ...]) -> None:
        """Take an open database; :func:`load_tree` opens it."""
        self._database = database
        self.anomalies = anomalies

    def rows(self) -> Iterator[Row]:
        """Yield the packed rows in the order of paths.

        Raises:
            ArchiveError: the file is damaged.
        """
        try:
            yield from map(Row._make, self._database.execute("SELECT * FROM entries ORDER BY key"))
        except sqlite3.Error as error:
            raise ArchiveError(
                f"a kept index is damaged ({error})", hint="remove the folder trees of the cache"
            ) from error


def make_cache_key(source: ImageSource, image: Image, layers: int) -> str | None:
    """Return the name under which the tree of the first *layers* layers is kept, None for what may change unseen."""
    try:
        status = source.path.stat()
    except OSError:
        return None
    if not source.path.is_file():
        return None
    facts = [
        _FORMAT,
        __version__,
        encode_base64(os.fsencode(source.path.resolve())),
        [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns],
        [image.config_digest, image.manifest_digest, *(encode_base64(to_bytes(tag)) for tag in image.tags)],
        layers,
        repr(source.limits),
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def save_tree(tree: Tree, anomalies: Iterable[Anomaly], path: Path) -> None:
    """Keep *tree* in *path*; what is there already is replaced in one step."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.unlink(missing_ok=True)
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY, 0o600))
    database = sqlite3.connect(temporary, isolation_level=None)
    try:
        for statement in ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", _SCHEMA, "BEGIN"):
            database.execute(statement)
        database.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?)", tree.rows())
        database.execute("CREATE TABLE anomalies (document TEXT)")
        lines = [(json.dumps({**asdict(item), "path": from_bytes(item.path)}),) for item in anomalies]
        database.executemany("INSERT INTO anomalies VALUES (?)", lines)
        database.execute("COMMIT")
    finally:
        database.close()
    temporary.replace(path)
    _prune(path.parent)


def _prune(folder: Path) -> None:
    """Keep the newest trees only."""
    kept = sorted(folder.glob("*.sqlite"), key=lambda file: file.stat().st_mtime_ns, reverse=True)
    for file in kept[_MAX_KEPT:]:
        file.unlink(missing_ok=True)


def load_tree(path: Path) -> SavedTree | None:
    """Return the tree kept in *path*, None if there is none that this user wrote and that can be read."""
    try:
        status = path.lstat()
        if status.st_uid != os.geteuid() or status.st_mode & 0o022:
            return None
        database = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True, isolation_level=None)
        lines = database.execute("SELECT document FROM anomalies").fetchall()
    except (OSError, sqlite3.Error):
        return None
    anomalies = (Anomaly(**json.loads(line)) for (line,) in lines)
    return SavedTree(database, tuple(replace(item, path=to_bytes(str(item.path))) for item in anomalies))
