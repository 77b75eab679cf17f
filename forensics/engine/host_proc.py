"""Processes of a container as the host sees them: by cgroup, by pid namespace, by descent. Reads /proc only.

Nothing here runs in the container, attaches to a process or follows one of its links. Names, arguments and targets are
the attacker's bytes.
"""

from __future__ import annotations

import datetime
import os
from functools import partial

from forensics.engine.base import Container
from forensics.engine.host_views import find_container_pids
from forensics.engine.procfs import namespace_inode, read_bytes, read_link, read_or_empty, with_deadline
from forensics.frozen import dataclass, replace
from forensics.model import JsonObject
from forensics.text import from_bytes

NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")
_MAX_FDS = 65_536
_DELETED = b" (deleted)"
_MEMORY_LIMIT_BYTES = 4 << 20
_MOST_SHARED = 100_000
_ALL_TEXT_BYTES = 16 << 20
"""Arguments and environments of all processes together; beyond it each is cut at _LEAST_TEXT_BYTES, and says so."""

_LEAST_TEXT_BYTES = 4096
_MEMORY_VIEWS = ("cmdline", "environ", "maps")


@dataclass(frozen=True, slots=True)
class OpenFile:
    """One open descriptor and what the kernel says it refers to."""

    fd: int
    target: bytes

    @property
    def is_deleted(self) -> bool:
        """Whether the kernel marks the target as deleted (memory files are, always)."""
        return self.target.endswith(_DELETED)


@dataclass(frozen=True, slots=True)
class HostProcess:
    """One process. ``ns_pids`` are its pids from the host inwards; ``seen_by`` names the views that show it.

    ``errors`` names each part that could not be read, with the reason; such a part is empty, not absent.
    """

    pid: int
    ppid: int
    ns_pids: tuple[int, ...]
    comm: bytes
    state: str
    start_ticks: int
    start_time_utc: str
    argv: tuple[bytes, ...]
    environ: tuple[bytes, ...]
    exe: bytes
    cwd: bytes
    root: bytes
    uids: tuple[int, ...]
    gids: tuple[int, ...]
    groups: tuple[int, ...]
    capabilities: tuple[tuple[str, str], ...]
    seccomp: int
    no_new_privs: bool
    tracer_pid: int
    threads: int
    cgroup: bytes
    namespaces: tuple[tuple[str, int], ...]
    uid_map: bytes
    gid_map: bytes
    lsm_label: bytes
    fds: tuple[OpenFile, ...]
    maps_deleted: tuple[bytes, ...]
    seen_by: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()

    @property
    def exe_deleted(self) -> bool:
        """Whether the running executable's file is gone (always so for memory files)."""
        return self.exe.endswith(_DELETED)

    @property
    def exe_memfd(self) -> bool:
        """Whether it runs from memory only, without a file (memfd_create(2))."""
        return self.exe.startswith(b"/memfd:")

    def namespace(self, kind: str) -> int:
        """Return the inode of one namespace, 0 where it could not be read."""
        return dict(self.namespaces).get(kind, 0)

    def to_document(self) -> JsonObject:
        """Return the JSON form of the evidence kind ``processes``; bytes that are no UTF-8 become lone surrogates."""
        texts = {name: from_bytes(getattr(self, name)) for name in _TEXTS}
        plain = {name: getattr(self, name) for name in _PLAIN}
        lists = {name: list(getattr(self, name)) for name in ("ns_pids", "uids", "gids", "groups", "seen_by", "errors")}
        return {
            **plain,
            **texts,
            **lists,
            "ns_pid": self.ns_pids[-1] if self.ns_pids else self.pid,
            "uid": self.uids[0] if self.uids else None,
            "gid": self.gids[0] if self.gids else None,
            "argv": [from_bytes(part) for part in self.argv],
            "environ": [from_bytes(part) for part in self.environ],
            "exe_deleted": self.exe_deleted,
            "exe_memfd": self.exe_memfd,
            "namespaces": dict(self.namespaces),
            **dict(self.capabilities),
            "fds": [{"fd": file.fd, "target": from_bytes(file.target)} for file in self.fds],
            "maps_deleted": [from_bytes(path) for path in self.maps_deleted],
        }


_ALIKE = (
    *("environ", "argv", "exe", "cwd", "root", "uids", "gids", "groups", "capabilities", "cgroup", "namespaces"),
    *("uid_map", "gid_map", "lsm_label", "fds", "maps_deleted", "seen_by", "comm", "start_time_utc"),
)
_TEXTS = ("comm", "exe", "cwd", "root", "cgroup", "uid_map", "gid_map", "lsm_label")
_PLAIN = (
    *("pid", "ppid", "state", "start_ticks", "start_time_utc", "seccomp", "no_new_privs", "tracer_pid", "threads"),
)


def list_container_processes(container: Container) -> tuple[HostProcess, ...]:
    """Return the container's processes, by pid, each with the views that show it; one that ends meanwhile is left out.

    Raises:
        OSError: /proc cannot be read at all.
    """
    found = []
    known: dict[object, object] = {}
    left = _ALL_TEXT_BYTES
    for pid, views in sorted(find_container_pids(container.id, container.pid).items()):
        try:
            process = read_process(pid, views, max(_LEAST_TEXT_BYTES, min(_MEMORY_LIMIT_BYTES, left)))
        except (ProcessLookupError, FileNotFoundError):
            continue
        left -= sum(map(len, process.argv + process.environ))
        found.append(_share(process, known))
    return tuple(found)


def _share(process: HostProcess, known: dict[object, object]) -> HostProcess:
    """Keep each equal part of many processes once: a hundred thousand of them cost little more than their numbers."""
    if len(known) > _MOST_SHARED:
        known.clear()
    parts = {name: known.setdefault(value, value) for name in _ALIKE if (value := getattr(process, name))}
    return replace(process, **parts)


def read_process(pid: int, seen_by: tuple[str, ...] = (), text_bytes: int = _MEMORY_LIMIT_BYTES) -> HostProcess:
    """Return everything that /proc tells about one process; of arguments and environment *text_bytes* each.

    Raises:
        ProcessLookupError: it ended, or its pid was given to another process while we read.
        FileNotFoundError: there is no such process.
    """
    base = f"/proc/{pid}"
    comm, state, ppid, start_ticks = _read_stat(base)
    status = _read_status(base)
    errors: list[str] = []
    argv, environ, maps_deleted = _read_memory_views(base, errors, text_bytes)
    fds = _read_fds(base, errors)
    exe = read_link(f"{base}/exe")
    if exe and not argv and not any(error.startswith("cmdline") for error in errors):
        errors.append("cmdline: empty, although it executes a file: the process hides its arguments")
    process = HostProcess(
        pid=pid,
        ppid=ppid,
        ns_pids=_numbers(status.get("NSpid", str(pid).encode())),
        comm=comm,
        state=state,
        start_ticks=start_ticks,
        start_time_utc=_start_time(start_ticks),
        argv=argv,
        environ=environ,
        exe=exe,
        cwd=read_link(f"{base}/cwd"),
        root=read_link(f"{base}/root"),
        uids=_numbers(status.get("Uid", b"")),
        gids=_numbers(status.get("Gid", b"")),
        groups=_numbers(status.get("Groups", b"")),
        capabilities=tuple(
            (f"cap_{name.lower()}", status.get(f"Cap{name}", b"").decode("ascii", "replace"))
            for name in ("Inh", "Prm", "Eff", "Bnd", "Amb")
        ),
        seccomp=int(status.get("Seccomp", b"0")),
        no_new_privs=status.get("NoNewPrivs") == b"1",
        tracer_pid=int(status.get("TracerPid", b"0")),
        threads=int(status.get("Threads", b"0")),
        cgroup=read_or_empty(f"{base}/cgroup"),
        namespaces=tuple((kind, namespace_inode(pid, kind)) for kind in NAMESPACES),
        uid_map=b" ".join(read_or_empty(f"{base}/uid_map").split()),
        gid_map=b" ".join(read_or_empty(f"{base}/gid_map").split()),
        lsm_label=read_or_empty(f"{base}/attr/current").strip(b"\0\n"),
        fds=fds,
        maps_deleted=maps_deleted,
        seen_by=seen_by,
        errors=tuple(errors),
    )
    if _read_stat(base)[3] != start_ticks:
        raise ProcessLookupError(f"pid {pid} was given to another process")
    return process


def _read_stat(base: str) -> tuple[bytes, str, int, int]:
    raw = read_bytes(f"{base}/stat")
    opening, closing = raw.find(b"("), raw.rfind(b")")
    fields = raw[closing + 2 :].split()
    return raw[opening + 1 : closing], fields[0].decode("ascii"), int(fields[1]), int(fields[19])


def _read_status(base: str) -> dict[str, bytes]:
    """The lines of status. The name, the attacker's, is escaped by the kernel, and each key counts once."""
    lines: dict[str, bytes] = {}
    for line in read_bytes(f"{base}/status").splitlines():
        key, _, value = line.partition(b":")
        lines.setdefault(key.decode("ascii", "replace"), value.strip())
    return lines


def _read_memory_views(
    base: str, errors: list[str], text_bytes: int
) -> tuple[tuple[bytes, ...], tuple[bytes, ...], tuple[bytes, ...]]:
    """Read what the process itself can make block, in one guarded thread; what was read before it blocked is kept."""
    found: dict[str, bytes] = {}
    reasons: dict[str, str] = {}
    try:
        with_deadline(partial(_read_views, base, found, reasons, text_bytes))
    except TimeoutError as error:
        reasons |= {name: str(error) for name in _MEMORY_VIEWS if name not in found}
    errors += [f"{name}: {reason}" for name, reason in reasons.items()]
    maps = found.get("maps", b"").splitlines()
    deleted = {line.split(maxsplit=5)[5] for line in maps if line.endswith(_DELETED)}
    return _split_nul(found.get("cmdline", b"")), _split_nul(found.get("environ", b"")), tuple(sorted(deleted))


def _read_views(base: str, found: dict[str, bytes], reasons: dict[str, str], text_bytes: int) -> None:
    for name in _MEMORY_VIEWS:
        limit = _MEMORY_LIMIT_BYTES if name == "maps" else text_bytes
        try:
            found[name] = read_bytes(f"{base}/{name}", limit)
        except OSError as error:
            found[name], reasons[name] = b"", error.strerror or str(error)
        if len(found[name]) >= limit:
            reasons[name] = f"cut at {limit} bytes"


def _split_nul(raw: bytes) -> tuple[bytes, ...]:
    return tuple(raw.removesuffix(b"\0").split(b"\0")) if raw else ()


def _read_fds(base: str, errors: list[str]) -> tuple[OpenFile, ...]:
    try:
        numbers = sorted(int(name) for name in os.listdir(f"{base}/fd"))  # noqa: PTH208 - names only
    except OSError as error:
        errors.append(f"fd: {error.strerror}")
        return ()
    if len(numbers) > _MAX_FDS:
        errors.append(f"fd: {len(numbers)} open, the first {_MAX_FDS} are listed")
    files = (OpenFile(number, read_link(f"{base}/fd/{number}")) for number in numbers[:_MAX_FDS])
    return tuple(file for file in files if file.target)


def _numbers(raw: bytes) -> tuple[int, ...]:
    return tuple(int(part) for part in raw.split())


def _start_time(start_ticks: int) -> str:
    """Boot time plus ticks; both follow CLOCK_BOOTTIME, so sleep of the machine counts (proc(5))."""
    for line in read_or_empty("/proc/stat").splitlines():
        if line.startswith(b"btime "):
            seconds = int(line.split()[1]) + start_ticks / os.sysconf("SC_CLK_TCK")
            return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="milliseconds")
    return ""
