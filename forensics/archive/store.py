"""Where an image's parts lie: a tar file or a directory. Names from documents are looked up, never followed.

A name can reach only what the archive or the directory itself holds: a tar is a table of members, a directory is
walked component by component without following links of the file system.
"""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Iterable, Iterator
from typing import BinaryIO, NamedTuple, Protocol

from forensics.archive.content import SeekableStream
from forensics.archive.limits import Anomaly, Limits, Report
from forensics.archive.tar import read_tar
from forensics.model import EntryType
from forensics.text import show, to_bytes

_MAX_LINKS = 40
_MAX_MEMBERS = 65_536
_ROOT_NAMES = frozenset({b"bin", b"etc", b"usr", b"lib", b"proc", b"dev", b"sys", b"var", b"root", b"home", b"tmp"})
_MIN_ROOT_NAMES = 3
DOCUMENTS = frozenset({b"manifest.json", b"index.json", b"oci-layout", b"repositories"})
"""Names of the tables of contents."""
_IMAGE_PART = re.compile(rb"\A(blobs/sha256/[0-9a-f]{64}|[0-9a-f]{64}/layer\.tar|[0-9a-f]{64}\.(json|tar))\Z")
_ROOT_FILE = re.compile(rb"(?:\./)?(?:" + b"|".join(sorted(_ROOT_NAMES)) + rb")/")
_EXPECTED = re.compile(rb"(repositories|oci-layout|[0-9a-f]{64}/(json|VERSION))\Z")


class Store(Protocol):
    """The named parts of one image archive."""

    def open(self, name: str) -> BinaryIO | None:
        """Return the bytes of the part *name*, None where there is none."""
        ...

    def size(self, name: str) -> int:
        """Return the stored size of the part *name* in bytes, -1 where there is none."""
        ...


class PartStore(Store, Protocol):
    """A store that can also tell what it holds, whatever documents say."""

    def looks_like_image(self) -> bool:
        """Tell whether there are parts that only a saved image has, whatever became of its table of contents."""
        ...

    def leftovers(self) -> Iterator[Part]:
        """Yield the parts with data that nothing has asked for, but those that engines write for others."""
        ...

    def parts(self, most_bytes: int = sys.maxsize) -> list[Part]:
        """Return the parts with data, at most *most_bytes* of it."""
        ...

    def open_part(self, part: Part) -> BinaryIO:
        """Return the bytes of a part."""
        ...


class Part(NamedTuple):
    """One member of the archive: where its bytes lie, or what it links to."""

    offset: int
    size: int
    link: bytes | None
    name: bytes


def clean_name(name: bytes) -> bytes | None:
    """Return *name* relative and without ``.`` and ``..``; None if it leads outside."""
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part == b"..":
            if not parts:
                return None
            parts.pop()
        elif part not in {b"", b"."}:
            parts.append(part)
    return b"/".join(parts)


def is_image_part(name: bytes) -> bool:
    """Tell whether only a saved image has a part of this name."""
    return _IMAGE_PART.match(name) is not None


def is_expected(name: bytes) -> bool:
    """Tell whether engines write a part of this name for others to read: that nothing asks for it means nothing."""
    return _EXPECTED.match(name) is not None


def is_root(names: Iterable[bytes]) -> bool:
    """Tell whether *names* stand at the top of a root file system: documents planted there make it no image."""
    return len(_ROOT_NAMES.intersection(names)) >= _MIN_ROOT_NAMES


class Window(io.RawIOBase):
    """A read-only view of a range of a file; several views of one file do not disturb each other."""

    def __init__(self, file: BinaryIO, offset: int, size: int) -> None:
        """View *size* bytes of *file* from *offset*."""
        super().__init__()
        self._descriptor = file.fileno()
        self._start = self._position = offset
        self._end = offset + size

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]  # typeshed's WriteableBuffer is private
        """Read into *buffer*."""
        wanted = min(len(buffer), self._end - self._position)
        read = os.preadv(self._descriptor, [buffer[:wanted]], self._position) if wanted > 0 else 0
        self._position += read
        return read

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move within the range."""
        origin = {os.SEEK_SET: self._start, os.SEEK_CUR: self._position, os.SEEK_END: self._end}[whence]
        self._position = origin + offset
        return self._position - self._start


def open_window(file: BinaryIO, offset: int, size: int) -> BinaryIO:
    """Return a buffered, read-only view of *size* bytes of *file* from *offset*."""
    return io.BufferedReader(Window(file, offset, size), buffer_size=1 << 16)


class TarStore:
    """The members of a seekable, uncompressed tar file."""

    def __init__(self, file: BinaryIO, limits: Limits, report: Report) -> None:
        """Read the table of members; ``is_root`` then tells whether there is a root file system in it.

        Of more members than an image has parts, those are kept whose names only an image has.
        """
        self._file = file
        self._parts: dict[bytes, Part] = {}
        self._roots: set[bytes] = set()
        self._used: set[bytes] = set()
        self._shadowed: list[Part] = []
        self.is_root = False
        self.is_crowded = False
        """Whether there were more members than are kept."""
        for member, content in read_tar(SeekableStream(file), limits, report):
            if self.is_root and _ROOT_FILE.match(member.name) and b".." not in member.name:
                continue
            name = clean_name(member.name)
            if name is None:
                message = f"the member {show(member.name)} of the archive leads outside"
                report(Anomaly("path-traversal", message, member.header_offset, member.name))
                continue
            self._note_root(name)
            if not self._may_keep(name):
                continue
            if member.type is EntryType.FILE or member.type is EntryType.SYMLINK:
                if name in self._parts:
                    message = f"two members are called {show(name)}; the later one counts"
                    report(Anomaly("duplicate-member", message, member.header_offset, member.name))
                    self._shadowed.append(self._parts[name])
                link = member.link_target
                if link is not None and not member.hard_link:
                    link = os.path.join(os.path.dirname(name), link)  # noqa: PTH118, PTH120 - bytes, lexical
                self._parts[name] = Part(member.data_offset, content.stored_bytes, link, name)

    def _may_keep(self, name: bytes) -> bool:
        """Tell whether a member is kept; a root file system's own files are no parts once it is known as one."""
        crowded = len(self._parts) >= _MAX_MEMBERS
        if not self.is_root and not crowded:
            return True
        self.is_crowded = self.is_crowded or crowded
        if name in DOCUMENTS:
            return True
        if crowded:
            return len(self._parts) < 2 * _MAX_MEMBERS and is_image_part(name)
        return name.partition(b"/")[0] not in _ROOT_NAMES

    def looks_like_image(self) -> bool:
        """Tell whether there are parts that only a saved image has, whatever became of its table of contents."""
        return any(is_image_part(name) for name in self._parts)

    def _note_root(self, name: bytes) -> None:
        top = name.partition(b"/")[0]
        if top in _ROOT_NAMES:
            self._roots.add(top)
            self.is_root = is_root(self._roots)

    def _find(self, name: str) -> Part | None:
        key = clean_name(to_bytes(name))
        for _ in range(_MAX_LINKS):
            part = self._parts.get(key) if key is not None else None
            if part is None or key is None:
                return None
            if part.link is None:
                self._used.add(key)
                return part
            key = clean_name(part.link)
        return None

    def open(self, name: str) -> BinaryIO | None:
        """Return the member's bytes; links lead only to other members."""
        part = self._find(name)
        if part is None:
            return None
        return open_window(self._file, part.offset, part.size)

    def size(self, name: str) -> int:
        """Return the member's size."""
        part = self._find(name)
        return -1 if part is None else part.size

    def leftovers(self) -> Iterator[Part]:
        """Yield the members with data that nothing has asked for, but those that engines write for others."""
        for name, part in self._parts.items():
            if part.link is None and part.size and name not in self._used and not is_expected(name):
                yield part
        yield from (part for part in self._shadowed if part.link is None and part.size)

    def open_part(self, part: Part) -> BinaryIO:
        """Return the bytes of a member."""
        return open_window(self._file, part.offset, part.size)

    def parts(self, most_bytes: int = sys.maxsize) -> list[Part]:
        """Return the members with data, at most *most_bytes* of it."""
        return [part for part in self._parts.values() if part.link is None and 0 < part.size <= most_bytes]
