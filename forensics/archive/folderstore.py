"""An image's parts as the files of a directory, opened component by component with O_NOFOLLOW.

Links of the directory are resolved within it, never by the file system; what is no regular file is never opened.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from forensics.archive.limits import Anomaly, Report, ignore
from forensics.archive.store import DOCUMENTS, Part, clean_name, is_expected, is_image_part
from forensics.errors import ArchiveError
from forensics.text import show, to_bytes

_MAX_LINKS = 40
_RECORD = "stream.jsonl"
"""Where a case keeps which member of the engine's stream became which blob."""
_MAX_PARTS = 65_536
_MAX_FOLDERS = 4096
_MAX_DEPTH = 32
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class DirectoryStore:
    """The files of a directory."""

    def __init__(self, root: Path, report: Report) -> None:
        """Take the directory; it is not read yet. *report* hears of what cannot be listed."""
        self._root = root
        self._report = report
        self._used: set[bytes] = set()

    def open(self, name: str) -> BinaryIO | None:
        """Return the file's bytes if it is a regular file below the root."""
        key = clean_name(to_bytes(name))
        for _ in range(_MAX_LINKS):
            if not key or b"\0" in key:
                return None
            try:
                found = self._walk(key)
            except OSError:
                return None
            if not isinstance(found, bytes):
                if found is not None:
                    self._used.add(key)
                return found
            key = clean_name(found)
        return None

    def _walk(self, key: bytes) -> BinaryIO | bytes | None:
        """Open *key*; return the name to try instead where a link is in the way, None for what is no regular file."""
        parts = key.split(b"/")
        folder = os.open(self._root, _FOLDER)
        try:
            for number, part in enumerate(parts):
                kind = os.stat(part, dir_fd=folder, follow_symlinks=False).st_mode
                if stat.S_ISLNK(kind):
                    return b"/".join([*parts[:number], os.readlink(part, dir_fd=folder), *parts[number + 1 :]])
                if number < len(parts) - 1:
                    below = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
                    os.close(folder)
                    folder = below
            return _open_regular(parts[-1], folder) if stat.S_ISREG(kind) else None
        finally:
            os.close(folder)

    def size(self, name: str) -> int:
        """Return the file's size."""
        file = self.open(name)
        if file is None:
            return -1
        with file:
            return os.fstat(file.fileno()).st_size

    def looks_like_image(self) -> bool:
        """Tell whether there are files that only a saved image has, whatever became of its table of contents."""
        return any(True for _ in self._list(is_image_part, ignore))

    def leftovers(self) -> Iterator[Part]:
        """Yield the files with data that nothing has asked for, but those that engines write for others."""
        known = self._used | _read_own_parts(self._root)
        yield from (part for part in self._list() if part.name not in known and not is_expected(part.name))

    def parts(self, most_bytes: int = sys.maxsize) -> list[Part]:
        """Return the files with data, at most *most_bytes* of it."""
        return [part for part in self._list() if part.size <= most_bytes]

    def open_part(self, part: Part) -> BinaryIO:
        """Return the bytes of a file.

        Raises:
            ArchiveError: it is gone, or no file any more.
        """
        try:
            found = self._walk(part.name)
        except OSError:
            found = None
        if found is None or isinstance(found, bytes):
            raise ArchiveError(f"{show(part.name, 200)} changed while it was read", hint="copy the folder first")
        return found

    def _list(self, wanted: Callable[[bytes], bool] = bool, report: Report | None = None) -> Iterator[Part]:
        """Yield the regular files below the root that are not empty, at most as many as an image may have parts."""
        count = 0
        waiting = [b""]
        for _ in range(_MAX_FOLDERS):
            if not waiting or count >= _MAX_PARTS:
                break
            for name, size in self._list_folder(waiting.pop(), waiting, report or self._report):
                if size and wanted(name) and count < _MAX_PARTS:
                    count += 1
                    yield Part(0, size, None, name)
        if waiting or count >= _MAX_PARTS:
            message = "the folder holds more files than an image has parts; not all of them were looked at"
            (report or self._report)(Anomaly("too-many", message))

    def _list_folder(self, prefix: bytes, waiting: list[bytes], report: Report) -> Iterator[tuple[bytes, int]]:
        """Yield the files of one folder with their sizes; folders in it are added to *waiting*."""
        folder = os.open(self._root, _FOLDER)
        try:
            for part in prefix.split(b"/")[:-1]:
                below = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
                os.close(folder)
                folder = below
            with os.scandir(folder) as entries:
                for entry in entries:
                    name = prefix + os.fsencode(entry.name)
                    if entry.is_dir(follow_symlinks=False) and name.count(b"/") < _MAX_DEPTH:
                        waiting.append(name + b"/")
                    elif entry.is_file(follow_symlinks=False):
                        yield name, entry.stat(follow_symlinks=False).st_size
        except OSError as error:
            report(Anomaly("unreadable", f"{show(prefix, 200)} cannot be read: {error.strerror}", path=prefix))
        finally:
            os.close(folder)


def _read_own_parts(root: Path) -> set[bytes]:
    """Return the parts of an image in a case that the toolkit put there itself, and the documents among its blobs."""
    known: set[bytes] = set()
    if not (root.parent / "case.json").is_file() or not (root / _RECORD).is_file():
        return known
    with (root / _RECORD).open("rb") as lines:
        for line in lines:
            try:
                member = json.loads(line)
                name, blob = to_bytes(member["name"]), member["blob"]
            except (ValueError, TypeError, KeyError):
                continue
            if blob and (name in DOCUMENTS or is_expected(name)):
                known.add(b"blobs/sha256/" + to_bytes(blob))
    return known | {_RECORD.encode(), b"stream.skeleton"}


def _open_regular(name: bytes, folder: int) -> BinaryIO | None:
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    return None
