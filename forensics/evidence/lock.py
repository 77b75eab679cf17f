"""One writer a case: an advisory lock on custody.jsonl that the kernel drops when its holder dies.

The same process may hold it more than once (a playbook step inside a command); another process is refused, and told
which process is first. flock(2), proc_locks(5).
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from forensics.errors import RefusedError
from forensics.evidence.files import shown

_held: dict[tuple[int, int], tuple[int, int]] = {}
"""(device, inode) of a log that this process has locked: its descriptor and how often it is held."""
_PAUSE_SECONDS = 0.05


def acquire_lock(log: Path, wait_seconds: float = 0.0) -> tuple[int, int]:
    """Lock the case whose custody log is *log*; return the key for :func:`release_lock`.

    Raises:
        RefusedError: another process holds it for longer than *wait_seconds*; the message names its pid.
    """
    descriptor = os.open(log, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    status = os.fstat(descriptor)
    key = (status.st_dev, status.st_ino)
    if key in _held:
        os.close(descriptor)
        first, count = _held[key]
        _held[key] = (first, count + 1)
        return key
    try:
        _lock(descriptor, status, log, time.monotonic() + wait_seconds)
    except BaseException:
        os.close(descriptor)
        raise
    _held[key] = (descriptor, 1)
    return key


def release_lock(key: tuple[int, int]) -> None:
    """Give back one hold; the last one unlocks."""
    descriptor, count = _held.pop(key)
    if count > 1:
        _held[key] = (descriptor, count - 1)
    else:
        os.close(descriptor)


def is_shared(log: Path) -> bool:
    """Return whether this process holds the case more than once: what looks unfinished may then be going on."""
    status = log.stat()
    return _held.get((status.st_dev, status.st_ino), (0, 0))[1] > 1


def find_holder(log: Path) -> int | None:
    """Return the pid of another process that writes to this case now, or None. 0: one that cannot be seen from here."""
    status = log.stat()
    if (status.st_dev, status.st_ino) in _held:
        return None
    with log.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _read_holder(status)
    return None


def _lock(descriptor: int, status: os.stat_result, log: Path, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                holder = _read_holder(status) or "(of another namespace)"
                raise RefusedError(
                    f"the case {shown(log.parent)} is in use by process {holder}",
                    hint="wait until it has finished, or use another --case folder",
                ) from None
            time.sleep(_PAUSE_SECONDS)
        else:
            return


def _read_holder(status: os.stat_result) -> int:
    wanted = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    try:
        lines = Path("/proc/locks").read_text("ascii").splitlines()
    except OSError:
        return 0
    for line in lines:
        fields = line.split()
        if "FLOCK" in fields and "->" not in fields and wanted in fields:
            return max(0, int(fields[fields.index(wanted) - 1]))
    return 0
