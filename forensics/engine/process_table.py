"""Which network namespace and which pid namespace every process of the host stands in; read-only.

One look takes a system call a process. When many containers are contained at once their threads share a look, and no
thread ever gets one that began before it asked.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from forensics.engine.procfs import namespace_inode

T = TypeVar("T")
_READ_BYTES = 1 << 20


class Shared(Generic[T]):
    """An answer that several threads need at once: asked for once, and never older than the question."""

    def __init__(self, ask: Callable[[], T]) -> None:
        """Keep *ask*; nothing is asked yet."""
        self._ask = ask
        self._lock = threading.Lock()
        self._answers: list[T] = []
        self._began = 0.0

    def get(self) -> T:
        """Return an answer whose asking began after this call."""
        called = time.monotonic()
        with self._lock:
            if not self._answers or self._began < called:
                self._began = time.monotonic()
                self._answers = [self._ask()]
            return self._answers[0]


class ProcessTable:
    """Every process of the host with its network namespace, as it was at one moment."""

    def __init__(self) -> None:
        """Look now."""
        self._stand_ins: dict[int, str] = {}
        self.network: dict[int, int] = {}
        self.users: dict[int, set[int]] = {}
        for name in os.listdir("/proc"):  # noqa: PTH208 - /proc, on the fast way
            if name.isdigit() and (inode := namespace_inode(name, "net") or self._ask_threads(int(name))):
                self.network[int(name)] = inode
                self.users.setdefault(inode, set()).add(int(name))
        self._lock = threading.Lock()
        self._lineage: dict[int, tuple[int, ...]] = {}
        self._pid_namespaces: dict[int, int] = {}

    def path(self, pid: int) -> str:
        """Return what opens the network namespace of a process."""
        return self._stand_ins.get(pid, f"/proc/{pid}/ns/net")

    def _ask_threads(self, pid: int) -> int:
        """A process whose first thread has ended shows no namespace itself; its other threads do."""
        for thread in list_threads(pid):
            if inode := namespace_inode(f"{pid}/task/{thread}", "net"):
                self._stand_ins[pid] = f"/proc/{pid}/task/{thread}/ns/net"
                return inode
        return 0

    def pid_namespaces(self) -> dict[int, int]:
        """Return the pid namespace of every process; read when it is first asked for."""
        with self._lock:
            if not self._pid_namespaces:
                self._pid_namespaces = {pid: namespace_inode(pid, "pid") for pid in self.network}
            return self._pid_namespaces

    def lineage(self, pid: int) -> tuple[int, ...]:
        """Return the pid namespace of a process and those in which it was made, innermost first."""
        from forensics.engine.host_views import list_pid_namespaces  # noqa: PLC0415 - only where a container runs

        inode = self.pid_namespaces().get(pid, 0)
        if inode not in self._lineage:
            self._lineage[inode] = list_pid_namespaces(pid) if inode else ()
        return self._lineage[inode]


_latest = Shared(ProcessTable)


def read_process_table() -> ProcessTable:
    """Return a look at the host's processes that began after this call."""
    return _latest.get()


def list_threads(pid: int) -> list[int]:
    """Return the threads of a process; none if it is gone."""
    try:
        return [int(name) for name in os.listdir(f"/proc/{pid}/task")]  # noqa: PTH208 - /proc, on the fast way
    except OSError:
        return []


def read_bytes(path: str) -> bytes:
    """Return the content of a file of /proc, bounded; nothing if the process is gone."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - /proc, on the fast way
            return file.read(_READ_BYTES)
    except OSError:
        return b""
