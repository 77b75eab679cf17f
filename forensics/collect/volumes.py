"""Collects volumes and bind mounts, which no snapshot has: content within the budget, the rest by name.

Host system paths (`/`, `/etc`, `/var` ...) are recorded, never copied: they are the host, not the suspect, and the
mount itself is the finding. Whatever lies on a network or FUSE file system is read in a child process, which is given
up when its server does not answer.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Container, Iterator
from dataclasses import asdict
from functools import partial

from forensics.collect.apart import ask_apart
from forensics.collect.context import CollectContext, empty, failed, not_applicable
from forensics.collect.mount_points import HostMounts, is_system_path, open_mount_point, open_source
from forensics.collect.namespace import MountPoint, read_mounts
from forensics.collect.tree_evidence import TreeSource, keep_tree
from forensics.collect.walk import explain_source
from forensics.engine.base import Mount
from forensics.model import LedgerLine
from forensics.text import show, show_path

_ENGINE_MOUNTS = frozenset(
    {
        *(b"/", b"/etc/hosts", b"/etc/hostname", b"/etc/resolv.conf"),
        *(b"/sbin/docker-init", b"/dev/init", b"/run/.containerenv", b"/run/secrets"),
    }
)
_WITHOUT_CONTENT = frozenset(
    {
        *("proc", "sysfs", "devpts", "mqueue", "cgroup", "cgroup2", "securityfs", "debugfs", "tracefs", "pstore"),
        *("bpf", "nsfs", "devtmpfs", "ramfs", "tmpfs", "binfmt_misc", "configfs", "hugetlbfs", "efivarfs", "selinuxfs"),
    }
)


def collect_volumes(context: CollectContext) -> Iterator[LedgerLine]:
    """Keep one tar for each volume and bind mount that inspect names, and name what is mounted beside them."""
    mounts = [mount for mount in context.container.mounts if mount.type in {"volume", "bind"}]
    if not mounts:
        yield empty("volumes", "it has neither volumes nor bind mounts")
    table = _read_table(context)
    host = HostMounts.find(context.container, context.info.root_dir)
    for mount in mounts:
        yield from _collect_one(context, mount, table.get(_find_place(os.fsencode(mount.destination), table)), host)
    if context.info.is_local and context.container.is_running:
        yield from _name_others(context, host)


def _name_others(context: CollectContext, host: HostMounts) -> Iterator[LedgerLine]:
    """Name every mount with content, in any mount namespace of the container, that inspect does not tell."""
    of_host: set[bytes] = set()
    named: set[tuple[str, bytes, bytes]] = set()
    for mount in _list_unknown(context):
        identity = (mount.device, mount.root, mount.path)
        if mount.type in _WITHOUT_CONTENT or identity in named:
            continue
        named.add(identity)
        if host.shows(mount):
            of_host.add(mount.path)
            continue
        reason = f"a {mount.type} file system that inspect does not name: recorded in 'mounts', not copied"
        yield failed(f"mount {show_path(mount.path)}", reason)
    if of_host:
        reason = f"{len(of_host)} mounts of the host, seen through a bind mount: recorded in 'mounts', never copied"
        yield not_applicable("mounts of the host", reason)


def _list_unknown(context: CollectContext) -> Iterator[MountPoint]:
    """Every mount but the first one on each path that the engine uses: what lies on top of that is not the engine's."""
    named = {os.fsencode(mount.destination) for mount in context.container.mounts}
    for pids in context.mount_namespaces.values():
        with contextlib.suppress(OSError):  # ended since: 'mounts' has the line
            mounts = read_mounts(pids[0])
            there = {mount.path for mount in mounts}
            left = {_find_place(path, there) for path in named} | _ENGINE_MOUNTS
            for mount in mounts:
                if mount.path not in left:
                    yield mount
                left.discard(mount.path)


def _find_place(destination: bytes, there: Container[bytes]) -> bytes:
    """Return where it is mounted: most distributions link ``/var/run``, where sockets are usually asked for."""
    moved = destination.removeprefix(b"/var") if destination.startswith((b"/var/run/", b"/var/lock/")) else destination
    moved = b"/run" + moved if moved.startswith(b"/lock/") else moved
    return moved if destination not in there and moved in there else destination


def _read_table(context: CollectContext) -> dict[bytes, MountPoint]:
    """Return what is mounted where in the first process's view; of several on one path the first, the engine's."""
    if not context.container.is_running:
        return {}
    try:
        return {mount.path: mount for mount in reversed(read_mounts(context.container.pid))}
    except OSError:  # it has ended since: the host's paths are still there
        return {}


def _collect_one(
    context: CollectContext, mount: Mount, seen: MountPoint | None, host: HostMounts
) -> Iterator[LedgerLine]:
    artefact = f"{mount.type} {show_path(os.fsencode(mount.destination))}"
    if mount.type == "bind" and is_system_path(mount.source, context.info.root_dir):
        yield _leave(artefact, mount.source)
        return
    if seen is not None and seen.type == "autofs":
        yield failed(artefact, "looking into an autofs mount point would mount something on the host")
        return
    identity = ""
    if seen:
        try:
            identity = _identify(context, seen)
        except TimeoutError as error:
            yield failed(artefact, f"{explain_source(error)} ({seen.type} from {show(seen.source)})")
            return
    if seen and identity:
        yield from _collect_seen(context, mount, seen, host)
        if _identify_source(mount) in {"", identity}:
            return  # the same directory, or one that only the engine sees
        artefact += ", the host's path, which is not what is mounted"
    yield from _collect_source(context, mount, artefact, host)


def _leave(artefact: str, path: str) -> LedgerLine:
    return not_applicable(artefact, f"the host's own {show(path)}: recorded in inspect, never copied")


def _identify(context: CollectContext, seen: MountPoint) -> str:
    """Return device and inode of what is mounted; empty where it is covered or gone.

    Raises:
        TimeoutError: it hangs.
    """
    try:
        return ask_apart(lambda: _identity_of(os.fstat(open_mount_point(context.container.pid, seen))))
    except TimeoutError:
        raise
    except OSError:
        return ""


def _identify_source(mount: Mount) -> str:
    """Return the same of the host's path, which is compared only, never read through a link; empty where it hangs."""
    try:
        return ask_apart(lambda: _identity_of(os.stat(mount.source)))  # noqa: PTH116 - a path of the host
    except OSError:
        return ""


def _identity_of(status: os.stat_result) -> str:
    return f"{status.st_dev}:{status.st_ino}"


def _collect_seen(context: CollectContext, mount: Mount, seen: MountPoint, host: HostMounts) -> Iterator[LedgerLine]:
    """Keep what is mounted in the container."""
    artefact = f"{mount.type} {show_path(os.fsencode(mount.destination))}"
    if path := host.find_system_path(mount, seen.device, seen.root):
        yield _leave(artefact, path)
        return
    yield from _keep(context, partial(open_mount_point, context.container.pid, seen), mount, artefact)


def _collect_source(context: CollectContext, mount: Mount, artefact: str, host: HostMounts) -> Iterator[LedgerLine]:
    """Keep what the host has at the path that inspect names."""
    try:
        path = ask_apart(lambda: host.find_system_path(mount, *host.locate(open_source(mount.source))))
    except OSError as error:
        yield failed(artefact, explain_source(error))
        return
    if path:
        yield _leave(artefact, path)
        return
    yield from _keep(context, partial(open_source, mount.source), mount, artefact)


def _keep(context: CollectContext, open_tree: Callable[[], int], mount: Mount, artefact: str) -> Iterator[LedgerLine]:
    yield from keep_tree(context, open_tree, TreeSource("volume", artefact, mount.source, {"mount": asdict(mount)}))
