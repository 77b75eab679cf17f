"""Safe writing below a case folder: exclusive, never through a link, hashed while written, fsynced.

Every path is opened relative to a directory descriptor with ``O_NOFOLLOW``, so that a link or folder planted by
somebody else is refused, never followed. Nothing here overwrites a finished file of evidence.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.errors import CaseError, RefusedError
from forensics.evidence.digests import StreamDigests, sha256, sha512
from forensics.frozen import dataclass
from forensics.text import show

if TYPE_CHECKING:
    from hashlib import _Hash
    from io import BufferedReader

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_MODE = 0o600
_DIRECTORY_MODE = 0o700
_READ_BYTES = 256 << 10
PARTIAL = ".partial"
"""The ending of a file that is still being written; what carries it after a crash is an interrupted acquisition."""


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: lower-case hex digests and the size."""

    sha256: str
    sha512: str
    size_bytes: int


class HashingWriter:
    """Writes to a descriptor and hashes the same bytes in the same pass."""

    def __init__(self, descriptor: int, *algorithms: Callable[[], _Hash]) -> None:
        """Take a descriptor, open for writing, that the caller closes; without *algorithms*: SHA-256 and SHA-512."""
        self._descriptor = descriptor
        self._digests = StreamDigests(*(algorithms or (sha256, sha512)))

    def write(self, chunk: bytes | memoryview) -> None:
        """Write the whole *chunk*; the digests cover what reached the file, also when the disk fills up."""
        view = memoryview(chunk)
        if type(view.obj) is not bytes:
            view = memoryview(bytes(view))  # its owner may use the buffer again before it is hashed
        while view:
            count = os.write(self._descriptor, view)
            self._digests.update(view[:count])
            view = view[count:]

    @property
    def written(self) -> Written:
        """What was written until now."""
        first, *second = self._digests.finish()
        return Written(first, second[0] if second else "", self._digests.size_bytes)


def write_all(descriptor: int, chunk: bytes | memoryview) -> None:
    """Write the whole *chunk*, however the system splits it."""
    view = memoryview(chunk)
    while view:
        view = view[os.write(descriptor, view) :]


def open_directory(path: Path | str, *, parent: int | None = None) -> int:
    """Open a directory without following a link in its last part.

    Raises:
        RefusedError: it is a link, or no directory.
    """
    try:
        return os.open(path, _DIRECTORY, dir_fd=parent)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENOTDIR}:
            raise RefusedError(
                f"{shown(path)} is a link or no folder", hint="a case folder holds no links; check it"
            ) from error
        raise


def make_directory(name: str, parent: int) -> int:
    """Make a new directory (mode 0700) and open it.

    Raises:
        RefusedError: something of this name is there already; it was not made by us.
    """
    try:
        os.mkdir(name, _DIRECTORY_MODE, dir_fd=parent)
    except FileExistsError as error:
        raise RefusedError(
            f"{name} exists already in the case and was not made by this acquisition",
            hint="somebody else writes to this folder; use a new case in a folder of your own",
        ) from error
    if not _has_mode(name, parent, _DIRECTORY_MODE):
        os.chmod(name, _DIRECTORY_MODE, dir_fd=parent)  # an odd umask took rights away that we need ourselves
    return open_directory(name, parent=parent)


def ensure_directory(name: str, parent: int) -> int:
    """Open a directory, which is made if it is not there.

    Raises:
        RefusedError: it is a link, or no directory.
    """
    return open_directory(name, parent=parent) if exists(name, parent) else make_directory(name, parent)


def _has_mode(name: str, parent: int, mode: int) -> bool:
    return stat.S_IMODE(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode) == mode


def create_file(name: str, parent: int) -> int:
    """Create a new file (mode 0600) and return its descriptor.

    Raises:
        RefusedError: something of this name is there already.
    """
    try:
        descriptor = os.open(name, _NEW_FILE, _FILE_MODE, dir_fd=parent)
    except OSError as error:
        if error.errno in {errno.EEXIST, errno.ELOOP}:
            raise RefusedError(f"{name} exists already; evidence is never overwritten") from error
        raise
    os.fchmod(descriptor, _FILE_MODE)  # whatever the umask
    return descriptor


def write_file(name: str, parent: int, chunks: Iterable[bytes]) -> Written:
    """Write *chunks* under a temporary name, fsync, rename, fsync the directory; return the digests.

    After a crash or a failure the temporary file stays, because a part of evidence is evidence too.
    """
    partial = name + PARTIAL
    descriptor = create_file(partial, parent)
    try:
        writer = HashingWriter(descriptor)
        for chunk in chunks:
            writer.write(chunk)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    publish(partial, name, parent)
    return writer.written


def publish(partial: str, name: str, parent: int) -> None:
    """Rename a finished temporary file and make the renaming durable; refuses to replace anything."""
    if exists(name, parent):
        raise RefusedError(f"{name} exists already; evidence is never overwritten")
    os.rename(partial, name, src_dir_fd=parent, dst_dir_fd=parent)
    os.fsync(parent)


def replace_file(name: str, parent: int, content: bytes) -> None:
    """Write a rebuildable file (not evidence) in one step, replacing what was there."""
    partial = f".{name}{PARTIAL}"
    if exists(partial, parent):
        os.unlink(partial, dir_fd=parent)
    descriptor = create_file(partial, parent)
    try:
        write_all(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(partial, name, src_dir_fd=parent, dst_dir_fd=parent)
    os.fsync(parent)


def append_line(name: str, parent: int, line: bytes) -> None:
    """Append one line (without its newline) to a log and fsync it; creates the log when it is not there."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(name, flags, _FILE_MODE, dir_fd=parent)
    size = os.fstat(descriptor).st_size
    try:
        if not size:
            os.fchmod(descriptor, _FILE_MODE)
        write_all(descriptor, line + b"\n")
        os.fsync(descriptor)
        if not size:
            os.fsync(parent)  # the log is new: its name must last, too
    except OSError:
        os.ftruncate(descriptor, size)  # a full disk must not leave half a line behind
        raise
    finally:
        os.close(descriptor)


def shown(path: Path | str) -> str:
    """Return a path as it can be shown: whoever packed a case may have named its folder."""
    return show(os.fsencode(path))


def exists(name: str, parent: int) -> bool:
    """Return whether anything, a dangling link included, has this name."""
    try:
        os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def open_file(path: Path) -> BufferedReader:
    """Open a file for reading, never through a link in its last part.

    Raises:
        CaseError: it is a link.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise CaseError(f"{shown(path)} is a link; a case holds no links") from error
        raise
    return os.fdopen(descriptor, "rb")


def list_names(directory: int) -> list[str]:
    """Return the names in an open directory."""
    return os.listdir(directory)


def read_file(path: Path, limit_bytes: int) -> bytes:
    """Return the content of a regular file, never through a link in its last part.

    Raises:
        CaseError: it is a link, or larger than *limit_bytes*; evidence is never cut silently.
    """
    with open_file(path) as file:
        content = file.read(limit_bytes + 1)
    if len(content) > limit_bytes:
        raise CaseError(f"{shown(path)} is larger than {limit_bytes} bytes", hint="read it as a stream")
    return content


def hash_file(path: Path, *, sha512: bool = True) -> Written:
    """Return digests and size of a file as it is on disk now; never through a link in its last part."""
    with open_file(path) as file:
        return hash_stream(file, sha512=sha512)


def hash_stream(file: BufferedReader, *, sha512: bool) -> Written:
    """Return digests and size of what is left of an open file."""
    digests = [hashlib.sha256(), hashlib.sha512()][: 1 + sha512]
    size, buffer = 0, bytearray(_READ_BYTES)
    view = memoryview(buffer)
    while count := file.readinto(view):
        for digest in digests:
            digest.update(view[:count])
        size += count
    return Written(digests[0].hexdigest(), digests[1].hexdigest() if sha512 else "", size)
