"""Safe reads below an attacker's root directory, and of what his processes hold open.

A path is resolved by the kernel inside the given root (openat2(2), Linux 5.6): no link of his leads out of it, no
magic link is followed. What is found is first held as `O_PATH`, looked at, and only a regular file is opened, through
the same descriptor; FIFOs and devices never are. Access times stay where the kernel lets us (`O_NOATIME`).
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
from functools import lru_cache

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_IN_ROOT = 0x10
_SYS_OPENAT2 = 437  # the same on every architecture of Linux that Python runs on
_HOW = struct.Struct("=QQQ")
_PATH_FLAGS = os.O_PATH | os.O_CLOEXEC
_READ_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class NotRegularError(OSError):
    """The path names a FIFO, device, socket or directory, which is never opened for reading."""


def open_root(pid: int) -> int:
    """Return a descriptor of the root directory that *pid* sees; the caller closes it.

    Raises:
        OSError: the process is gone, or may not be looked at.
    """
    return os.open(f"/proc/{pid}/root", _PATH_FLAGS | os.O_DIRECTORY)


def open_path(root: int, path: bytes, *, one_filesystem: bool = False, follow: bool = False) -> int:
    """Return an `O_PATH` descriptor of *path* below *root*; the caller closes it. Opens nothing for reading.

    With *follow* a link in the last component is followed, inside the root. With *one_filesystem* a mount point on
    the way is refused (EXDEV).

    Raises:
        OSError: it is not there, or the kernel has no openat2.
    """
    resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | (RESOLVE_NO_XDEV if one_filesystem else 0)
    flags = _PATH_FLAGS | (0 if follow else os.O_NOFOLLOW)
    return _openat2(root, path, flags, resolve)


def open_regular(root: int, path: bytes, *, one_filesystem: bool = False, follow: bool = False) -> int:
    """Return a descriptor for reading a regular file below *root*; the caller closes it.

    Raises:
        NotRegularError: it is something else.
        OSError: it is not there or may not be read.
    """
    return _reopen(open_path(root, path, one_filesystem=one_filesystem, follow=follow), path)


def open_executable(pid: int) -> int:
    """Return a descriptor of the file that *pid* executes, deleted and memory files included; the caller closes it.

    Raises:
        OSError: the process is gone, is a kernel thread, or may not be looked at.
    """
    path = f"/proc/{pid}/exe"
    return _reopen(os.open(path, _PATH_FLAGS), path.encode())


def open_process_file(pid: int, fd: int) -> int:
    """Return a descriptor of the regular file that *pid* holds open as *fd*, deleted or not; the caller closes it.

    Raises:
        NotRegularError: it is a FIFO, socket or device; opening one would change something.
        OSError: it is gone.
    """
    path = f"/proc/{pid}/fd/{fd}"
    return _reopen(os.open(path, _PATH_FLAGS), path.encode())


def has_openat2() -> bool:
    """Return whether this kernel has openat2 (and no filter of ours forbids it)."""
    try:
        root = os.open("/", _PATH_FLAGS | os.O_DIRECTORY)
    except OSError:
        return False
    try:
        os.close(open_path(root, b"proc"))
    except OSError as error:
        return error.errno not in {errno.ENOSYS, errno.EPERM}
    finally:
        os.close(root)
    return True


def _reopen(handle: int, path: bytes) -> int:
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise NotRegularError(errno.EINVAL, "not a regular file", path)
        try:
            return os.open(f"/proc/self/fd/{handle}", _READ_FLAGS | os.O_NOATIME)
        except PermissionError:
            return os.open(f"/proc/self/fd/{handle}", _READ_FLAGS)  # not the owner: the access time will change
    finally:
        os.close(handle)


@lru_cache(maxsize=1)
def _load_library() -> ctypes.CDLL:
    """Return the C library; loading it anew for each call would cost as much as the call."""
    return ctypes.CDLL(None, use_errno=True)


def _openat2(directory: int, path: bytes, flags: int, resolve: int) -> int:
    library = _load_library()
    how = ctypes.create_string_buffer(_HOW.pack(flags, 0, resolve), _HOW.size)
    descriptor: int = library.syscall(
        ctypes.c_long(_SYS_OPENAT2),
        ctypes.c_int(directory),
        ctypes.c_char_p(path or b"."),
        how,
        ctypes.c_size_t(_HOW.size),
    )
    if descriptor < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), path)
    return descriptor
