"""Finds every network namespace that a container's processes can use, by whatever holds it; read-only.

A process stands in one, a thread in another, a descriptor or a file keeps one open, a socket alone keeps one alive.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from forensics.engine.netlink import load_library
from forensics.engine.process_table import ProcessTable, list_threads, read_bytes
from forensics.engine.procfs import namespace_inode

_NET_PREFIX = "net:["
_KCMP = {"x86_64": 312, "aarch64": 272, "riscv64": 272, "ppc64le": 354, "s390x": 343, "armv7l": 378}
_KCMP_FILES = 2


def read_socket_owners(members: tuple[int, ...]) -> dict[int, int]:
    """Return the inode of every socket that the processes hold open, and one process that holds it."""
    owners: dict[int, int] = {}
    for pid in members:
        for task in list_descriptor_tables(pid):
            for _, target in _list_descriptors(task):
                if target.startswith("socket:["):
                    owners.setdefault(int(target[8:-1]), pid)
    return owners


def find_namespaces(
    first: int, members: set[int], table: ProcessTable, never_own: set[int] | None
) -> tuple[dict[int, tuple[str, str]], tuple[str, ...]]:
    """Return namespaces by inode with what opens them, and problems; without *never_own* no socket is asked.

    What the *first* process opens is opened by it: others may be gone in a moment.
    """
    found: dict[int, tuple[str, str]] = {}
    sockets: dict[int, tuple[int, str]] = {}
    for pid in sorted(members & table.network.keys(), key=lambda pid: (pid != first, pid)):
        found.setdefault(table.network[pid], (table.path(pid), "process"))
    for pid in sorted(members):
        for path, inode in _list_thread_namespaces(pid):
            found.setdefault(inode, (path, "thread"))
        for task in list_descriptor_tables(pid):
            for path, target in _list_descriptors(task):
                if target.startswith(_NET_PREFIX):
                    found.setdefault(int(target[len(_NET_PREFIX) : -1]), (path, "open descriptor"))
                elif target.startswith("socket:["):
                    sockets.setdefault(int(target[8:-1]), (task, path))
    problems = []
    if sockets and never_own is not None:
        problems += _add_held(found, sockets, table.users.keys() | never_own)
    problems += [
        f"network namespace {inode} is bound to a file of process {pid} and no process uses it"
        for inode, pid in sorted(_find_bound(members).items())
        if inode not in found and inode not in table.users
    ]
    return found, tuple(problems)


def list_descriptor_tables(pid: int) -> list[int]:
    """Return one task for each descriptor table of a process: a thread may have one of its own (``CLONE_FILES``).

    A first thread that has ended (its process goes on) has none; then the others' are read.
    """
    threads = list_threads(pid)
    if len(threads) <= 1:
        return [pid]
    tables: list[int] = []
    for thread in sorted(threads, key=lambda task: task != pid):
        if not any(_share_descriptors(thread, known) for known in tables):
            tables.append(thread)
    return tables


def _share_descriptors(one: int, other: int) -> bool:
    """Whether two tasks have one descriptor table (kcmp(2)); no where the kernel does not say."""
    number = _KCMP.get(os.uname().machine)
    return number is not None and load_library().syscall(number, one, other, _KCMP_FILES, 0, 0) == 0


def _list_descriptors(task: int) -> list[tuple[str, str]]:
    folder = f"/proc/{task}/fd"
    found = []
    try:
        for name in os.listdir(folder):  # noqa: PTH208 - /proc, on the fast way
            with contextlib.suppress(OSError):  # closed meanwhile; the next one may not be
                found.append((f"{folder}/{name}", os.readlink(f"{folder}/{name}")))  # noqa: PTH115 - on the fast way
    except OSError:
        return found
    return found


def _list_thread_namespaces(pid: int) -> Iterator[tuple[str, int]]:
    """A thread can stand in another namespace than its process."""
    threads = list_threads(pid)
    for thread in threads if len(threads) > 1 else ():
        if inode := namespace_inode(f"{pid}/task/{thread}", "net"):
            yield f"/proc/{pid}/task/{thread}/ns/net", inode


def _add_held(found: dict[int, tuple[str, str]], sockets: dict[int, tuple[int, str]], others: set[int]) -> list[str]:
    """Add the namespaces that only a socket holds; one that others use or named cannot be cut, and is a problem."""
    from forensics.engine.held import find_held  # noqa: PLC0415 - most containers hold no socket when this begins

    uses, problems = find_held(sockets)
    for use in uses:
        if use.inode in found:
            continue
        if use.inode not in others and use.inode not in _find_bound({1, os.getpid()}):
            found[use.inode] = (use.path, "socket")
        elif not use.is_local:  # the other end of a unix connection is no way out
            problems.append(f"process {use.pid} holds a socket of network namespace {use.inode}, which others use")
    return problems


def _find_bound(members: set[int]) -> dict[int, int]:
    bound: dict[int, int] = {}
    seen: set[int] = set()
    for pid in sorted(members):
        if (mounts := namespace_inode(pid, "mnt")) in seen:
            continue
        seen.add(mounts)
        for line in read_bytes(f"/proc/{pid}/mountinfo").splitlines():
            root = line.split(b" ")[3] if line.count(b" ") > 3 else b""  # noqa: PLR2004 - proc_pid_mountinfo(5), field 4
            if root.startswith(b"net:[") and root[5:-1].isdigit():
                bound.setdefault(int(root[5:-1]), pid)
    return bound
