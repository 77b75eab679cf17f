"""Network namespaces that live on in a socket alone, without a process, a descriptor of their own or a file.

A socket keeps the namespace in which it was made. One that was handed over (SCM_RIGHTS) sends through a namespace that
no process stands in, so the sockets of a container are asked one by one (SIOCGSKNS). Nothing is read from a socket.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from typing import NamedTuple

_PIDFD_GETFD = 438
"""The number of pidfd_getfd(2) on every architecture (Linux 5.6)."""
_OF_A_THREAD = os.O_EXCL
"""PIDFD_THREAD (Linux 6.9): a thread may have descriptors that its process lacks."""
_SIOCGSKNS = 0x894C
_MOST_SOCKETS = 1 << 16
_GONE = frozenset({errno.EBADF, errno.ESRCH, errno.ENOENT})
_LIBRARY = ctypes.CDLL(None, use_errno=True)


class SocketUse(NamedTuple):
    """A socket that holds a network namespace; ``path`` is its descriptor, which :func:`open_held` opens."""

    inode: int
    path: str
    pid: int
    is_local: bool
    is_vsock: bool


def open_held(path: str) -> int:
    """Return a descriptor of the network namespace of the socket at *path* (``/proc/PID/fd/N``).

    Raises:
        OSError: it is gone, is no socket, or may not be asked (Linux 5.6, CAP_SYS_PTRACE and CAP_NET_ADMIN).
    """
    parts = path.split("/")
    if len(parts) != 5 or parts[3] != "fd":  # noqa: PLR2004 - "", proc, PID, fd, N
        raise OSError(errno.EINVAL, "no descriptor of a process", path)
    with _borrowed(int(parts[2])) as pidfd:
        return _ask(pidfd, int(parts[4]))[0]


def find_held(sockets: dict[int, tuple[int, str]]) -> tuple[list[SocketUse], list[str]]:
    """Return the namespace of every socket (inode to pid and path), one use each, and what could not be asked.

    A local (unix) socket only counts where nothing else in that namespace is held: it sends no packet. A socket to the
    hypervisor (vsock(7)) belongs to no network and is a problem of its own.
    """
    uses: dict[int, SocketUse] = {}
    problems = []
    if len(sockets) > _MOST_SOCKETS:
        problems.append(f"of its {len(sockets)} sockets only {_MOST_SOCKETS} were asked for their network namespace")
    by_process: dict[int, list[str]] = {}
    for pid, path in list(sockets.values())[:_MOST_SOCKETS]:
        by_process.setdefault(pid, []).append(path)
    for pid, paths in by_process.items():
        try:
            for use in _ask_process(pid, paths):
                if use.is_vsock:
                    problems.append(f"process {use.pid} holds a vsock socket, which no network cut closes")
                elif use.inode not in uses or uses[use.inode].is_local:
                    uses[use.inode] = use
        except OSError as error:
            if error.errno not in _GONE:
                problems.append(f"the sockets of process {pid} could not be asked ({error.strerror})")
    return list(uses.values()), problems


def _ask_process(pid: int, paths: list[str]) -> Iterator[SocketUse]:
    with _borrowed(pid) as pidfd:
        for path in paths:
            try:
                namespace, family = _ask(pidfd, int(path.rpartition("/")[2]))
            except OSError as error:
                if error.errno in _GONE:
                    continue
                raise
            try:
                yield SocketUse(
                    os.fstat(namespace).st_ino, path, pid, family == socket.AF_UNIX, family == socket.AF_VSOCK
                )
            finally:
                os.close(namespace)


@contextlib.contextmanager
def _borrowed(pid: int) -> Iterator[int]:
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        pidfd = os.pidfd_open(pid, _OF_A_THREAD)
    try:
        yield pidfd
    finally:
        os.close(pidfd)


def _ask(pidfd: int, number: int) -> tuple[int, int]:
    """Return a descriptor of the namespace of one socket, and its family."""
    copy = _LIBRARY.syscall(_PIDFD_GETFD, pidfd, number, 0)
    if copy < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    try:
        channel = socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        raise
    with channel:
        return fcntl.ioctl(channel.fileno(), _SIOCGSKNS), int(channel.family)
