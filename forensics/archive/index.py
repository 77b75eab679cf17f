"""Sorted tables of file entries: in memory while they are few, in a private temporary SQLite file when they are many.

Rows are sorted by a key in which ``/`` is NUL, so that a folder stands directly before everything it holds. The
SQLite file is anonymous: it is gone when the process is.
"""

from __future__ import annotations

import marshal
import sqlite3
from bisect import bisect_left
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from forensics.archive.limits import DEFAULT_LIMITS, MIB
from forensics.errors import StorageError
from forensics.model import EntryType, FileEntry

_BATCH = 5_000
_LONG = 256
_MAX_BATCH_BYTES = 4 * MIB
_CACHE = "PRAGMA cache_size = -24000"
_TYPES = tuple(EntryType)
_TYPE_BYTES = {kind: bytes([number]) for number, kind in enumerate(_TYPES)}
_DIRECTORY = _TYPE_BYTES[EntryType.DIRECTORY]
_FILE = _TYPE_BYTES[EntryType.FILE]
_MARSHAL = 2
"""The version without references: equal entries give equal bytes, so that tables compare without unpacking."""

_NEW = tuple.__new__

WHITEOUT, OPAQUE, LINK, IMPLIED = 1, 2, 4, 8


class Row(NamedTuple):
    """One row; ``packed`` is an entry without its path and layer, or a link target, or empty."""

    key: bytes
    sequence: int
    flags: int
    layer: int
    packed: bytes


def make_key(path: bytes) -> bytes:
    """Return the sort key of a path."""
    return path.replace(b"/", b"\0")


def make_path(key: bytes) -> bytes:
    """Return the path of a sort key."""
    return key.replace(b"\0", b"/")


def pack(entry: FileEntry) -> bytes:
    """Return everything of an entry but its path and layer."""
    return _TYPE_BYTES[entry.type] + marshal.dumps(
        (
            entry.mode,
            entry.uid,
            entry.gid,
            entry.size_bytes,
            entry.mtime_ns,
            entry.link_target,
            entry.device,
            bytes.fromhex(entry.sha256) if entry.sha256 else None,
            entry.xattrs,
            entry.atime_ns,
            entry.ctime_ns,
        ),
        _MARSHAL,
    )


def pack_file(  # noqa: PLR0913, PLR0917 - a million files; positions cost least
    mode: int, uid: int, gid: int, size: int, mtime: int, digest: bytes | None, atime: int | None, ctime: int | None
) -> bytes:
    """Return what :func:`pack` gives for a regular file without extended attributes."""
    return _FILE + marshal.dumps((mode, uid, gid, size, mtime, None, None, digest, (), atime, ctime), _MARSHAL)


def make_row(key: bytes, sequence: int, flags: int, layer: int, packed: bytes) -> Row:
    """Return a row, without the cost of a named tuple's constructor."""
    return _NEW(Row, (key, sequence, flags, layer, packed))


def unpack(row: Row) -> FileEntry:
    """Return the entry of a row."""
    packed = row.packed
    mode, uid, gid, size, mtime, target, device, sha256, xattrs, atime, ctime = marshal.loads(packed[1:])  # noqa: S302 - written by this process
    return FileEntry(
        make_path(row.key),
        _TYPES[packed[0]],
        mode,
        uid,
        gid,
        size,
        mtime,
        row.layer,
        target,
        device,
        sha256.hex() if sha256 else None,
        xattrs,
        atime,
        ctime,
    )


def is_directory(row: Row) -> bool:
    """Tell whether a row's entry is a directory, without unpacking it."""
    return row[4][:1] == _DIRECTORY


def is_file(row: Row) -> bool:
    """Tell whether a row's entry is a regular file, without unpacking it."""
    return row[4][:1] == _FILE


def open_temporary() -> sqlite3.Connection:
    """Return a new database in a file without a name, which is gone when the process is; its cache is bounded."""
    connection = sqlite3.connect("", isolation_level=None)
    for pragma in ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", _CACHE):
        connection.execute(pragma)
    return connection


class Workspace:
    """What the tables of one analysis share: how many rows may still stay in memory, and the temporary database."""

    def __init__(self, memory_rows: int, memory_bytes: int = DEFAULT_LIMITS.memory_bytes) -> None:
        """Allow *memory_rows* rows in memory, all tables together, and *memory_bytes* of what is long in them."""
        self.memory_rows = memory_rows
        self.memory_bytes = memory_bytes
        self._connection: sqlite3.Connection | None = None
        self._tables = 0

    def create_table(self) -> tuple[sqlite3.Connection, str]:
        """Return the database and the name of a new table in it."""
        if self._connection is None:
            self._connection = open_temporary()
        self._tables += 1
        name = f"entries{self._tables}"
        self._connection.execute(
            f"CREATE TABLE {name} (key BLOB, sequence INT, flags INT, layer INT, packed BLOB, "
            "PRIMARY KEY (key, sequence)) WITHOUT ROWID"
        )
        return self._connection, name


class Table:
    """Rows, appended in any order, read in the order of their keys."""

    def __init__(self, workspace: Workspace) -> None:
        """Start empty, in memory."""
        self._workspace = workspace
        self._last: dict[bytes, Row] = {}
        self._rows: list[Row] = []
        self._stored = 0
        self._accounted = 0
        self._charged = 0
        self._full = min(_BATCH, workspace.memory_rows + 1)
        self._database: sqlite3.Connection | None = None
        self._name = ""

    def __len__(self) -> int:
        return self._stored + len(self._rows)

    def append(self, row: Row) -> None:
        """Add a row; its sequence number must be the highest of its key."""
        rows = self._rows
        rows.append(row)
        self._last[row[0]] = row
        if len(row[4]) > _LONG or len(row[0]) > _LONG:
            self._charge(len(row[0]) + len(row[4]))
        if len(rows) >= self._full:
            self._make_room()

    def _charge(self, size_bytes: int) -> None:
        """Count a row that takes more memory than others; a few of them fill it."""
        if self._database is None:
            self._workspace.memory_bytes -= size_bytes
            self._charged += size_bytes
            if self._workspace.memory_bytes < 0:
                self._move_to_database()
        else:
            self._charged += size_bytes
            self._full = len(self._rows) if self._charged > _MAX_BATCH_BYTES else self._full

    def _make_room(self) -> None:
        """Move to the database when memory is used up; there, write what has come together."""
        if self._database is None:
            self._workspace.memory_rows -= len(self._rows) - self._accounted
            self._accounted = len(self._rows)
            if self._workspace.memory_rows >= 0:
                self._full = self._accounted + min(_BATCH, self._workspace.memory_rows + 1)
                return
            self._move_to_database()
        self._flush()

    def _move_to_database(self) -> None:
        self._workspace.memory_rows += self._accounted
        self._workspace.memory_bytes += self._charged
        self._database, self._name = self._workspace.create_table()
        self._full = self._accounted = 0

    def _flush(self) -> None:
        if self._database is not None and self._rows:
            self._rows.sort()
            try:
                self._database.execute("BEGIN")
                self._database.executemany(f"INSERT INTO {self._name} VALUES (?, ?, ?, ?, ?)", self._rows)  # noqa: S608 - our own name
                self._database.execute("COMMIT")
            except sqlite3.OperationalError as error:
                message = f"the temporary index cannot be written ({error})"
                raise StorageError(message, hint="free space, or point TMPDIR elsewhere") from error
            self._stored += len(self._rows)
            self._rows.clear()
            self._last.clear()
            self._full, self._charged = _BATCH, 0

    def freeze(self) -> None:
        """Sort; call when everything is appended, so that look-ups need no second table."""
        self._workspace.memory_rows -= len(self._rows) - self._accounted if self._database is None else 0
        self._accounted = len(self._rows)
        self._flush()
        self._rows.sort()
        self._last.clear()

    def get_last(self, key: bytes) -> Row | None:
        """Return the latest row of *key*."""
        if key in self._last:
            return self._last[key]
        if self._database is not None:
            query = f"SELECT * FROM {self._name} WHERE key = ? ORDER BY sequence DESC LIMIT 1"  # noqa: S608 - our own name
            row = self._database.execute(query, (key,)).fetchone()
            return Row._make(row) if row else None
        last = None
        for row in () if self._last else self.get_all(key):
            last = row
        return last

    def get_all(self, key: bytes) -> Iterator[Row]:
        """Yield the rows of *key*, oldest first; only of a frozen table, and one at a time: there may be a million."""
        if self._database is not None:
            query = f"SELECT * FROM {self._name} WHERE key = ? ORDER BY sequence"  # noqa: S608 - our own name
            yield from map(Row._make, self._database.execute(query, (key,)))
        position = bisect_left(self._rows, (key,))
        while position < len(self._rows) and self._rows[position].key == key:
            yield self._rows[position]
            position += 1

    def __iter__(self) -> Iterator[Row]:
        self._flush()
        if self._last:
            self._rows.sort()
        if self._database is None:
            return iter(self._rows)
        cursor = self._database.execute(f"SELECT * FROM {self._name} ORDER BY key, sequence")  # noqa: S608 - our own name
        return map(Row._make, cursor)

    def groups(self) -> Iterator[tuple[bytes, Iterator[Row]]]:
        """Yield each key with its rows, oldest first."""
        return groupby(self, key=itemgetter(0))
