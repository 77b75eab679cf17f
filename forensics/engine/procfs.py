"""Bounded reads below /proc that never wait for the suspect and never fail as a whole.

A process can make reads of its own memory (`cmdline`, `environ`, `maps`) block for ever: a page that userfaultfd or a
FUSE server of the attacker has to deliver. Such reads run in a thread that is left behind after a deadline.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TypeVar

_LIMIT_BYTES = 16 << 20
DEADLINE_SECONDS = 2.0
_T = TypeVar("_T")


def read_bytes(path: str, limit: int = _LIMIT_BYTES) -> bytes:
    """Return at most *limit* bytes of a /proc file.

    Raises:
        OSError: it cannot be read (the process is gone, or is not ours to read).
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        parts: list[bytes] = []
        left = limit
        while left > 0 and (part := os.read(descriptor, min(left, 1 << 16))):
            parts.append(part)
            left -= len(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)


def read_or_empty(path: str) -> bytes:
    """Like :func:`read_bytes`, but empty where there is nothing to read."""
    try:
        return read_bytes(path)
    except OSError:
        return b""


def read_link(path: str) -> bytes:
    """Return a link's target as the kernel tells it, without following it; empty where there is none."""
    try:
        return os.readlink(os.fsencode(path))  # noqa: PTH115 - bytes in, bytes out
    except OSError:
        return b""


def namespace_inode(pid: int | str, kind: str) -> int:
    """Return the inode number of a namespace (``net``, ``pid``, ``mnt`` ...), 0 where it cannot be read."""
    target = read_link(f"/proc/{pid}/ns/{kind}")
    return int(target[target.find(b"[") + 1 : -1]) if target.endswith(b"]") else 0


def list_pids() -> list[int]:
    """Return all process ids of this host, ascending."""
    return sorted(int(name) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208 - names only, fast


def with_deadline(read: Callable[[], _T], seconds: float = DEADLINE_SECONDS) -> _T:
    """Run *read* in a thread of its own and give up waiting after *seconds*.

    Raises:
        TimeoutError: it is still blocked; the thread is left behind and ends with this process.
        OSError: what *read* raised.
    """
    results: list[_T] = []
    errors: list[OSError] = []

    def work() -> None:
        try:
            results.append(read())
        except OSError as error:
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(f"still blocked after {seconds:g} s")
    return results[0]
