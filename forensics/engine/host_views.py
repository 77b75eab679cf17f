"""Which processes belong to a container: three independent views, so that leaving one does not hide from all.

A process with CAP_SYS_ADMIN can move itself to another cgroup; it cannot leave its pid namespace. With `--pid=host`
there is no pid namespace of its own; descent from the first process helps then. Reads /proc and /sys/fs/cgroup only.
"""

from __future__ import annotations

import fcntl
import os

from forensics.engine.procfs import list_pids, namespace_inode, read_bytes, read_or_empty

_NS_GET_PARENT = 0xB702  # ioctl_ns(2)
_MAX_DEPTH = 33


def find_container_pids(container_id: str, init_pid: int) -> dict[int, tuple[str, ...]]:
    """Return pid → the views that show it: ``cgroup``, ``pid-namespace``, ``descendant``.

    Raises:
        OSError: /proc cannot be read.
    """
    pids = list_pids()
    views: dict[int, list[str]] = {}
    for name, members in (
        ("cgroup", _by_cgroup(pids, container_id)),
        ("pid-namespace", _by_pid_namespace(pids, init_pid)),
        ("descendant", _by_descent(pids, init_pid)),
    ):
        for pid in members:
            views.setdefault(pid, []).append(name)
    return {pid: tuple(names) for pid, names in views.items()}


def read_cgroup_pids(container_id: str, init_pid: int) -> tuple[int, ...]:
    """Return the pids in the container's cgroup and below it, from `cgroup.procs`; much faster than a walk of /proc.

    Empty when the cgroup's directory cannot be found from here (another cgroup namespace, not mounted).
    """
    for directory in find_cgroup_dirs(container_id, init_pid):
        pids: set[int] = set()
        for folder, _, files in os.walk(directory):
            if "cgroup.procs" in files:
                pids.update(map(int, read_or_empty(f"{folder}/cgroup.procs").split()))
        if pids:
            return tuple(sorted(pids - {0}))
    return ()


def find_cgroup_dirs(container_id: str, pid: int) -> tuple[str, ...]:
    """Return the mounted directories of the container's cgroup, one for each hierarchy, cgroup2 first."""
    mounts = parse_cgroup_mounts(_read_text("/proc/self/mountinfo"))
    found = []
    for line in _read_text(f"/proc/{pid}/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        own = own_cgroup(path, container_id)
        root, point = mounts.get(controllers, ("", ""))
        if not own or not point or not own.startswith(root):
            continue
        directory = point + own[len(root) :]
        if os.path.isdir(directory):  # noqa: PTH112 - one system call
            found.append((bool(controllers), directory))
    return tuple(directory for _, directory in sorted(found))


def own_cgroup(path: str, container_id: str) -> str:
    """Return the container's own cgroup, also when the process moved into one below it; empty when it is elsewhere.

    It has many names: `/docker/ID`, `/system.slice/docker-ID.scope`, `/machine.slice/libpod-ID.scope/container`.
    """
    if not container_id or container_id not in path or "/.." in path:
        return ""
    end = path.find("/", path.index(container_id))
    return path if end < 0 else path[:end]


def parse_cgroup_mounts(mountinfo: str) -> dict[str, tuple[str, str]]:
    """Return controllers as /proc/PID/cgroup names them (empty for cgroup2) → (root of the mount, where it is).

    The root is not `/` where an engine runs inside a container; paths begin with it then.
    """
    mounts: dict[str, tuple[str, str]] = {}
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.partition(" ")
        root, point = before.split(" ")[3:5]
        place = ("" if root == "/" else root, point)
        if kind == "cgroup2":
            mounts.setdefault("", place)
        elif kind == "cgroup":
            names = [part for part in options.split(" ")[-1].split(",") if _is_controller(part)]
            mounts.setdefault(",".join(names), place)
    return mounts


def _is_controller(option: str) -> bool:
    return option not in {"rw", "ro", "xattr", "clone_children", "noprefix"} and "agent" not in option


def _read_text(path: str) -> str:
    return read_or_empty(path).decode("utf-8", "surrogateescape")


def _by_cgroup(pids: list[int], container_id: str) -> list[int]:
    needle = container_id.encode()
    return [pid for pid in pids if needle and needle in read_or_empty(f"/proc/{pid}/cgroup")]


def _by_pid_namespace(pids: list[int], init_pid: int) -> list[int]:
    wanted = namespace_inode(init_pid, "pid")
    if not wanted or wanted == namespace_inode("self", "pid"):
        return []
    verdicts = {wanted: True, namespace_inode("self", "pid"): False, 0: False}
    members = []
    for pid in pids:
        inode = namespace_inode(pid, "pid")
        if inode not in verdicts:
            verdicts[inode] = descends_from(pid, wanted)
        if verdicts[inode]:
            members.append(pid)
    return members


def descends_from(pid: int, wanted: int) -> bool:
    """Whether the pid namespace of *pid* was made inside the namespace *wanted*, at any depth."""
    return wanted in list_pid_namespaces(pid)


def list_pid_namespaces(pid: int) -> tuple[int, ...]:
    """Return the pid namespace of *pid* and those in which it was made, up to this process's own, innermost first."""
    try:
        descriptor = os.open(f"/proc/{pid}/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ()
    found = []
    try:
        for _ in range(_MAX_DEPTH):
            found.append(os.fstat(descriptor).st_ino)
            parent = fcntl.ioctl(descriptor, _NS_GET_PARENT)
            os.close(descriptor)
            descriptor = parent
    except OSError:
        return tuple(found)  # EPERM: the parent is above our own namespace
    finally:
        os.close(descriptor)
    return tuple(found)


def _by_descent(pids: list[int], init_pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for pid in pids:
        try:
            raw = read_bytes(f"/proc/{pid}/stat")
        except OSError:
            continue
        children.setdefault(int(raw[raw.rfind(b")") + 2 :].split()[1]), []).append(pid)
    found, waiting = [], [init_pid] if init_pid in pids else []
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, [])
    return found
