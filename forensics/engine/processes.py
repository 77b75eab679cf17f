"""What is said of a container's processes just before the cut: names, arguments, executables; hostile text.

A process can make the read of its own arguments wait for ever (a page that its own FUSE server has to deliver), so
these reads have a deadline together: the cut waits for no suspect.
"""

from __future__ import annotations

import os
import threading

from forensics.engine.process_table import list_threads, read_bytes
from forensics.engine.procfs import namespace_inode
from forensics.model import JsonObject
from forensics.text import from_bytes

_CAP_LINES = (b"CapEff:", b"CapBnd:")
_PATIENCE_SECONDS = 0.02
_MOST_BLOCKED = 4


def read_processes(members: tuple[int, ...]) -> list[JsonObject]:
    """Return pid, parent, names, executable and arguments of each process; arguments are hostile text.

    ``argv`` is None where the read did not come back in time.
    """
    arguments = _read_arguments(members)
    return [document | {"argv": arguments.get(pid)} for pid in members if (document := _describe_process(pid))]


def union_capabilities(members: set[int]) -> int:
    """What any thread can do (effective set), or could get through a set-uid file (bounding set)."""
    union = 0
    for pid in members:
        for thread in list_threads(pid):
            for line in read_bytes(f"/proc/{pid}/task/{thread}/status").splitlines():
                if line.startswith(_CAP_LINES):
                    union |= int(line.split()[1], 16)
    return union


def _read_arguments(members: tuple[int, ...]) -> dict[int, list[str]]:
    """Read beside this thread; where a read blocks, another thread goes on behind it, a few times."""
    found: dict[int, list[str]] = {}
    rest = list(members)
    for _ in range(_MOST_BLOCKED):
        if not rest:
            break
        reader = threading.Thread(target=_fill, args=(found, rest := list(rest)), daemon=True)
        reader.start()
        while reader.is_alive():
            before = len(found)
            reader.join(_PATIENCE_SECONDS)
            if reader.is_alive() and len(found) == before:
                break
        rest = [pid for pid in rest if pid not in found][1:] if reader.is_alive() else []
    return dict(found)


def _fill(found: dict[int, list[str]], pids: list[int]) -> None:
    for pid in pids:
        found[pid] = [from_bytes(part) for part in read_bytes(f"/proc/{pid}/cmdline").split(b"\0")[:-1]]


def _describe_process(pid: int) -> JsonObject | None:
    stat = read_bytes(f"/proc/{pid}/stat")
    if not stat:
        return None
    name, _, rest = stat[stat.index(b"(") + 1 :].rpartition(b")")
    fields = rest.split()
    return {
        "pid": pid,
        "ppid": int(fields[1]),
        "state": fields[0].decode("ascii"),
        "comm": from_bytes(name),
        "start_ticks": int(fields[19]),
        "exe": _read_link(f"/proc/{pid}/exe"),
        "net_namespace": namespace_inode(pid, "net"),
    }


def _read_link(path: str) -> str | None:
    try:
        return os.readlink(path)  # noqa: PTH115 - the raw target, which is no path of this host
    except OSError:
        return None
