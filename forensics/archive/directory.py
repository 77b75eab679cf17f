"""A plain directory as one flat layer: walked with directory descriptors, no link followed, nothing changed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from forensics.archive.content import EMPTY, BlockSource, MemberContent
from forensics.archive.limits import Anomaly, Limits, Report
from forensics.archive.members import TarMember
from forensics.model import EntryType
from forensics.text import show

_TYPES = {
    stat.S_IFREG: EntryType.FILE,
    stat.S_IFDIR: EntryType.DIRECTORY,
    stat.S_IFLNK: EntryType.SYMLINK,
    stat.S_IFCHR: EntryType.CHAR_DEVICE,
    stat.S_IFBLK: EntryType.BLOCK_DEVICE,
    stat.S_IFIFO: EntryType.FIFO,
    stat.S_IFSOCK: EntryType.SOCKET,
}
_MAX_OPEN_FOLDERS = 400
_DEVICES = (EntryType.CHAR_DEVICE, EntryType.BLOCK_DEVICE)
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class _FileContent(MemberContent):
    """The content of an open file, closed when the next member is asked for."""

    __slots__ = ("_file",)

    def __init__(self, descriptor: int, size_bytes: int) -> None:
        self._file = os.fdopen(descriptor, "rb", buffering=0)
        super().__init__(BlockSource(self._file), size_bytes)

    @property
    def descriptor(self) -> int:
        """The open file."""
        return self._file.fileno()

    def finish(self) -> None:
        """Close the file; what was not read stays unread."""
        self._remaining = 0
        self._file.close()


class _Folder(NamedTuple):
    descriptor: int
    prefix: bytes
    names: list[bytes]


def walk_directory(root: Path, limits: Limits, report: Report) -> Iterator[tuple[TarMember, MemberContent]]:
    """Yield everything below *root* in the form of archive members, folders before what they hold."""
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    stack = [_open_folder(descriptor, b"")]
    try:
        yield _describe(b"", os.fstat(descriptor), descriptor, None), EMPTY
        while stack:
            folder = stack[-1]
            if not folder.names:
                os.close(stack.pop().descriptor)
                continue
            yield from _visit(folder, folder.names.pop(), stack, limits, report)
    finally:
        for folder in stack:
            os.close(folder.descriptor)


def _open_folder(descriptor: int, prefix: bytes) -> _Folder:
    with os.scandir(descriptor) as scan:
        names = sorted((os.fsencode(entry.name) for entry in scan), reverse=True)
    return _Folder(descriptor, prefix, names)


def _visit(
    folder: _Folder, name: bytes, stack: list[_Folder], limits: Limits, report: Report
) -> Iterator[tuple[TarMember, MemberContent]]:
    path = folder.prefix + name
    try:
        status = os.stat(name, dir_fd=folder.descriptor, follow_symlinks=False)
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFDIR:
            if len(stack) >= min(limits.max_depth, _MAX_OPEN_FOLDERS):
                report(Anomaly("too-deep", f"{show(path, 80)} lies too deep; it is not entered", path=path))
                return
            descriptor = os.open(name, _FOLDER, dir_fd=folder.descriptor)
            stack.append(_open_folder(descriptor, path + b"/"))
            yield _describe(path, status, descriptor, None), EMPTY
        elif kind == stat.S_IFREG:
            content = _FileContent(os.open(name, _FILE, dir_fd=folder.descriptor), status.st_size)
            yield _describe(path, status, content.descriptor, None), content
            content.finish()
        else:
            target = os.readlink(name, dir_fd=folder.descriptor) if kind == stat.S_IFLNK else None
            yield _describe(path, status, None, target), EMPTY
    except OSError as error:
        report(Anomaly("unreadable", f"{show(path)} cannot be read: {error.strerror}", path=path))


def _describe(path: bytes, status: os.stat_result, descriptor: int | None, target: bytes | None) -> TarMember:
    kind = _TYPES[stat.S_IFMT(status.st_mode)]
    device = (os.major(status.st_rdev), os.minor(status.st_rdev)) if kind in _DEVICES else None
    return TarMember(
        path,
        kind,
        stat.S_IMODE(status.st_mode),
        status.st_uid,
        status.st_gid,
        status.st_size if kind is EntryType.FILE else 0,
        status.st_mtime_ns,
        target,
        device,
        _read_xattrs(descriptor),
        (),
        -1,
        -1,
        hard_link=False,
        hidden_by="",
    )


def _read_xattrs(descriptor: int | None) -> tuple[tuple[bytes, bytes], ...]:
    if descriptor is None:
        return ()
    pairs = ((os.fsencode(name), os.getxattr(descriptor, name)) for name in os.listxattr(descriptor))
    return tuple(sorted(pairs))
