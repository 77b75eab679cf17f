"""rpm's SQLite database: header blobs in, packages out. Bounded; believes no count, offset or schema of the file.

Every header carries the digest of its own unchangeable part; one that does not agree was edited by hand.
Sources: rpm's file format documentation (header structure, region tags), rpmtag.h. BerkeleyDB and ndb are not read.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from forensics.analyze.package import Installed, canonical

_MOST_HEADERS = 100_000
_MOST_BLOB = 64 << 20
_MOST_ENTRIES = 100_000
_MOST_FILES = 1_000_000
_MOST_STEPS = 200_000
_STEP = 1000
_MAGIC = bytes.fromhex("8eade80100000000")
_REGION, _REGION_TYPE, _ENTRY = 63, 7, 16
_NAME, _VERSION, _RELEASE, _EPOCH, _LICENCE, _ARCH, _SOURCE = 1000, 1001, 1002, 1003, 1014, 1022, 1044
_MODES, _DIGESTS, _FLAGS = 1030, 1035, 1037
_FOLDER_INDEXES, _BASE_NAMES, _FOLDERS, _ALGORITHM = 1116, 1117, 1118, 5011
_SHA1_HEADER, _SHA256_HEADER = 269, 273
_ALGORITHMS = {0: "md5", 1: "md5", 2: "sha1", 8: "sha256", 9: "sha384", 10: "sha512", 11: "sha224"}
_CONFIG_FLAG, _GHOST_FLAG = 1, 64
_NUMBERS = {3: (">H", 2), 4: (">I", 4)}
_STRINGS = {6, 8, 9}
_FORGED = "the header does not agree with its own digest"


class RpmError(ValueError):
    """The database or a header in it is not what it should be; the message says how."""


def read_rpm(database: BinaryIO, log: BinaryIO | None, path: bytes) -> Iterator[Installed]:
    """Yield the packages of a database, its write-ahead *log* applied; the copy is read, never the evidence.

    Raises:
        RpmError: it is no database of rpm's, or damaged.
    """
    with tempfile.TemporaryDirectory(prefix="ir-rpm-") as folder:
        copy = Path(folder) / "rpmdb.sqlite"
        _copy(database, copy)
        if log is not None:
            _copy(log, Path(f"{copy}-wal"))
        try:
            with contextlib.closing(sqlite3.connect(copy)) as connection:
                for blob in _read_blobs(connection):
                    yield parse_header(blob, path)
        except sqlite3.Error as error:
            raise RpmError(f"not readable as a database: {error}") from error


def _copy(source: BinaryIO, target: Path) -> None:
    source.seek(0)
    with target.open("wb") as file:
        while chunk := source.read(1 << 20):
            file.write(chunk)


def _read_blobs(connection: sqlite3.Connection) -> Iterator[bytes]:
    """Yield the headers; a hostile schema runs no code, and no query takes for ever."""
    steps = iter(range(_MOST_STEPS))
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MOST_BLOB)
    connection.set_progress_handler(lambda: next(steps, None) is None, _STEP)
    connection.execute("PRAGMA trusted_schema=OFF")
    connection.execute("PRAGMA query_only=ON")
    table = connection.execute("SELECT sql FROM sqlite_master WHERE type='table' AND name='Packages'").fetchone()
    if table is None or not isinstance(table[0], str) or "VIRTUAL" in table[0].upper():
        raise RpmError("no table of packages in it")
    for number, (blob,) in enumerate(connection.execute("SELECT blob FROM Packages")):
        if number >= _MOST_HEADERS:
            raise RpmError(f"more than {_MOST_HEADERS} packages")
        if isinstance(blob, bytes):
            yield blob


class _Header:
    """One header blob: an index of tags, and their data."""

    def __init__(self, blob: bytes) -> None:
        if len(blob) < 8:  # noqa: PLR2004 - two counts
            raise RpmError("a header is too short")
        self._count, size = struct.unpack_from(">II", blob)
        start = 8 + self._count * _ENTRY
        if self._count > _MOST_ENTRIES or start + size > len(blob):
            raise RpmError("a header is longer than its blob")
        self._blob, self._data = blob, blob[start : start + size]
        entries = struct.iter_unpack(">IIiI", blob[8:start])
        self._entries = {tag: (kind, offset, count) for tag, kind, offset, count in entries}

    def numbers(self, tag: int) -> tuple[int, ...]:
        """Return the numbers of *tag*, none where it is not there."""
        kind, offset, count = self._entries.get(tag, (0, 0, 0))
        if kind not in _NUMBERS or offset < 0 or count > _MOST_FILES:
            return ()
        form, width = _NUMBERS[kind]
        part = self._data[offset : offset + count * width]
        return tuple(number for (number,) in struct.iter_unpack(form, part[: len(part) // width * width]))

    def strings(self, tag: int) -> list[bytes]:
        """Return the strings of *tag*, none where it is not there."""
        kind, offset, count = self._entries.get(tag, (0, 0, 0))
        found: list[bytes] = []
        if kind not in _STRINGS or offset < 0 or count > _MOST_FILES:
            return found
        for _ in range(count):
            end = self._data.find(b"\0", offset)
            if end < 0:
                break
            found.append(self._data[offset:end])
            offset = end + 1
        return found

    def text(self, tag: int) -> str:
        """Return the first string of *tag*."""
        return b"".join(self.strings(tag)[:1]).decode("utf-8", "surrogateescape")

    def is_forged(self) -> bool:
        """Whether the unchangeable region contradicts the digest that stands beside it; False where there is none."""
        kind, offset, count = self._entries.get(_REGION, (0, 0, 0))
        if kind != _REGION_TYPE or count != _ENTRY or not 0 <= offset <= len(self._data) - _ENTRY:
            return False
        _, _, back, _ = struct.unpack_from(">IIiI", self._data, offset)
        entries = -back // _ENTRY
        if not 0 < entries <= self._count:
            return True
        size = offset + _ENTRY
        counts = struct.pack(">II", entries, size)
        region = _MAGIC + counts + self._blob[8 : 8 + entries * _ENTRY] + self._data[:size]
        sha256, sha1 = self.text(_SHA256_HEADER), self.text(_SHA1_HEADER)
        if sha256:
            return hashlib.sha256(region).hexdigest() != sha256
        return bool(sha1) and hashlib.sha1(region, usedforsecurity=False).hexdigest() != sha1


def parse_header(blob: bytes, database: bytes) -> Installed:
    """Return the package that a header describes.

    Raises:
        RpmError: the header is damaged.
    """
    header = _Header(blob)
    epoch = header.numbers(_EPOCH)
    version = f"{header.text(_VERSION)}-{header.text(_RELEASE)}"
    files, configuration = _read_files(header)
    return Installed(
        "rpm",
        b"".join(header.strings(_NAME)[:1]),
        f"{epoch[0]}:{version}" if epoch else version,
        database,
        files,
        header.text(_ARCH),
        header.text(_SOURCE),
        header.text(_LICENCE),
        configuration,
        _FORGED if header.is_forged() else "",
    )


def _read_files(header: _Header) -> tuple[dict[bytes, str], frozenset[bytes]]:
    """Return digests by path; of directories and of files that only may exist (ghosts) there are none."""
    folders, names = header.strings(_FOLDERS), header.strings(_BASE_NAMES)
    indexes, flags, digests = header.numbers(_FOLDER_INDEXES), header.numbers(_FLAGS), header.strings(_DIGESTS)
    algorithm = _ALGORITHMS.get((header.numbers(_ALGORITHM) or (0,))[0], "")
    files: dict[bytes, str] = {}
    configuration: set[bytes] = set()
    for number, (name, index) in enumerate(zip(names, indexes, strict=False)):
        if index >= len(folders):
            continue
        path = canonical(folders[index] + name)
        flag = flags[number] if number < len(flags) else 0
        if flag & _GHOST_FLAG:
            continue
        digest = digests[number].decode("ascii", "replace") if number < len(digests) else ""
        files[path] = f"{algorithm}:{digest}" if digest and algorithm else ""
        if flag & _CONFIG_FLAG:
            configuration.add(path)
    return files, frozenset(configuration)
