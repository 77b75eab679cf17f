"""What the kernel says of one process's memory and mounts. Reads /proc, bounded; the names in it are hostile."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from forensics.model import JsonObject
from forensics.text import from_bytes

_T = TypeVar("_T")
_OCTAL = re.compile(rb"\\([0-7]{3})")
_MOUNT_FIELDS = 10
_MAP_FIELDS = 5
_LIMIT_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class MountPoint:
    """One line of mountinfo, proc_pid_mountinfo(5). Paths are those the process sees."""

    id: int
    parent: int
    device: str
    root: bytes
    path: bytes
    options: str
    type: str
    source: bytes
    super_options: str


@dataclass(frozen=True, slots=True)
class Region:
    """One line of maps, proc_pid_maps(5): ``start`` up to, not including, ``end``."""

    start: int
    end: int
    permissions: str
    file_offset: int
    device: str
    inode: int
    path: bytes


def parse_mountinfo(raw: bytes) -> tuple[MountPoint, ...]:
    """Return the mounts of a mountinfo file, in the kernel's order; a line that is none is skipped."""
    return tuple(mount for line in raw.split(b"\n") if (mount := _or_none(_parse_mount, line)))


def _parse_mount(line: bytes) -> MountPoint | None:
    fields = line.split(b" ")
    if len(fields) < _MOUNT_FIELDS or b"-" not in fields[6:]:
        return None
    dash = fields.index(b"-", 6)
    kind, source, super_options = (*fields[dash + 1 :], b"", b"", b"")[:3]
    return MountPoint(
        id=int(fields[0]),
        parent=int(fields[1]),
        device=_ascii(fields[2]),
        root=_unescape(fields[3]),
        path=_unescape(fields[4]),
        options=_ascii(fields[5]),
        type=_ascii(kind),
        source=_unescape(source),
        super_options=_ascii(super_options),
    )


def parse_maps(raw: bytes) -> tuple[Region, ...]:
    """Return the regions of a maps file, in address order."""
    return tuple(region for line in raw.split(b"\n") if (region := _or_none(_parse_region, line)))


def _or_none(parse: Callable[[bytes], _T | None], line: bytes) -> _T | None:
    try:
        return parse(line)
    except ValueError:
        return None


def _parse_region(line: bytes) -> Region | None:
    fields = line.split(None, _MAP_FIELDS)
    if len(fields) < _MAP_FIELDS:
        return None
    start, _, end = fields[0].partition(b"-")
    path = fields[5] if len(fields) > _MAP_FIELDS else b""
    return Region(
        int(start, 16), int(end, 16), _ascii(fields[1]), int(fields[2], 16), _ascii(fields[3]), int(fields[4]),
        path.replace(b"\\012", b"\n"),
    )  # fmt: skip


def describe_region(region: Region) -> JsonObject:
    """Return a region as JSON; addresses are numbers."""
    return {
        "start": region.start,
        "end": region.end,
        "permissions": region.permissions,
        "file_offset": region.file_offset,
        "device": region.device,
        "inode": region.inode,
        "path": from_bytes(region.path),
    }


def _unescape(field: bytes) -> bytes:
    return _OCTAL.sub(lambda match: bytes([int(match[1], 8) & 0xFF]), field)


def _ascii(field: bytes) -> str:
    return from_bytes(field)


def read_mounts(pid: int) -> tuple[MountPoint, ...]:
    """Return the mounts in the namespace of a process.

    Raises:
        OSError: it is gone, or not ours to see.
    """
    return parse_mountinfo(read_proc(pid, "mountinfo"))


def read_maps(pid: int) -> tuple[Region, ...]:
    """Return the address map of a process.

    Raises:
        OSError: it is gone, or not ours to see.
    """
    return parse_maps(read_proc(pid, "maps"))


def read_proc(pid: int, name: str) -> bytes:
    """Return one file of /proc/PID, cut at 64 MiB (the kernel writes these files, the process only fills in names).

    Raises:
        OSError: it is gone, or not ours to see.
    """
    with Path(f"/proc/{pid}/{name}").open("rb") as file:
        return file.read(_LIMIT_BYTES)
