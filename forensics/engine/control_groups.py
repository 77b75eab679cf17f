"""The control groups of a container on this host, whatever hierarchies are mounted (v1, hybrid, pure v2); read-only."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from forensics.engine.base import Container
from forensics.engine.process_table import read_bytes
from forensics.text import from_bytes

ROOT = "/sys/fs/cgroup"
_ID_DIGITS = 64


def list_members(own_group: bytes, container: Container) -> set[int]:
    """Return every process of the control group in any hierarchy: leaving one hierarchy hides nobody."""
    members = {container.pid}
    for folder in {group for line in own_group.splitlines() if (group := _group_folder(line))}:
        if container.id in folder:
            members.update(_walk(folder))
    return members - {0}


def _walk(folder: str) -> Iterator[int]:
    yield from map(int, read_bytes(f"{folder}/cgroup.procs").split())
    try:
        below = [entry.path for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return
    for path in below:
        yield from _walk(path)


def _group_folder(line: bytes) -> str:
    _, controllers, path = from_bytes(line).split(":", 2)
    relative = path.lstrip("/")
    if ".." in relative.split("/"):
        return ""
    for mount in _mounts_of(controllers):
        if os.path.isdir(f"{mount}/{relative}"):  # noqa: PTH112 - on the fast way
            return f"{mount}/{relative}"
    return ""


def _mounts_of(controllers: str) -> tuple[str, ...]:
    if not controllers:
        return (ROOT,) if os.path.exists(f"{ROOT}/cgroup.controllers") else (f"{ROOT}/unified", ROOT)  # noqa: PTH110
    return tuple(f"{ROOT}/{name}" for name in (controllers, controllers.removeprefix("name=")))


def find_unified_group(own_group: bytes) -> Path | None:
    """Return the cgroup2 folder, pure or hybrid, of the process whose /proc/PID/cgroup this is; None at the root."""
    for line in own_group.splitlines():
        if line.startswith(b"0::") and (folder := _group_folder(line)) and os.path.exists(f"{folder}/cgroup.procs"):  # noqa: PTH110
            return Path(folder) if folder.rstrip("/") not in {ROOT, f"{ROOT}/unified"} else None
    return None


def find_awake(members: set[int]) -> tuple[int, ...]:
    """Return the processes that stand in no frozen group: one can leave the freezer's hierarchy and no other (v1)."""
    frozen: dict[str, bool] = {"": False}
    awake = []
    for pid in sorted(members):
        lines = read_bytes(f"/proc/{pid}/cgroup").splitlines()
        if not lines:
            continue  # it ended
        folders = [_group_folder(line) for line in lines if b":freezer:" in line or line.startswith(b"0::")]
        for folder in folders:
            if folder not in frozen:
                frozen[folder] = _is_frozen(folder)
        if not any(frozen[folder] for folder in folders):
            awake.append(pid)
    return tuple(awake)


def _is_frozen(folder: str) -> bool:
    if state := read_bytes(f"{folder}/freezer.state"):
        return state.strip() == b"FROZEN"
    return b"frozen 1" in read_bytes(f"{folder}/cgroup.events").splitlines()


def read_container_id(pid: int) -> str:
    """Return the 64-digit id of the container whose control group holds the process, or nothing."""
    for line in read_bytes(f"/proc/{pid}/cgroup").decode("utf-8", "surrogateescape").splitlines():
        for part in line.rpartition(":")[2].replace(".scope", "").replace("-", "/").split("/"):
            if len(part) == _ID_DIGITS and all(digit in "0123456789abcdef" for digit in part):
                return part
    return ""
