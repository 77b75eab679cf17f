"""Collects what lives in memory file systems of the container: no engine's snapshot, export or copy has it.

Each tmpfs is kept once, whichever mount namespaces show it. A host's tmpfs that is bind-mounted is a volume's business.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from functools import partial

from forensics.collect.apart import ask_apart
from forensics.collect.context import CollectContext, empty, failed, not_applicable
from forensics.collect.mount_points import HostMounts, open_mount_point
from forensics.collect.namespace import MountPoint, read_mounts
from forensics.collect.tree_evidence import TreeSource, keep_tree
from forensics.collect.walk import explain
from forensics.model import LedgerLine, Outcome
from forensics.text import from_bytes, show_path

_TYPES = frozenset({"tmpfs", "ramfs"})
_FEW = 32
_MOST = 1000
"""One item each; a process can mount a hundred thousand only to keep an investigator busy."""


def collect_tmpfs(context: CollectContext) -> Iterator[LedgerLine]:
    """Keep one tar for each tmpfs that a process of the container sees and that is not the host's."""
    host = HostMounts.find(context.container, context.info.root_dir)
    found: dict[str, list[tuple[int, MountPoint]]] = {}
    of_host: set[str] = set()
    for inode, pids in context.mount_namespaces.items():
        try:
            mounts = read_mounts(pids[0])
        except OSError as error:
            yield failed(f"tmpfs of mount namespace {inode}", explain(error))
            continue
        for mount in _list_memory(context, mounts):
            if host.shows(mount):
                of_host.add(mount.device)
            else:
                found.setdefault(mount.device, []).append((pids[0], mount))
    if len(found) > _FEW:
        yield from _leave_empty_ones(found)
    for number, shown in enumerate(found.values()):
        if number == _MOST:
            yield failed("tmpfs, the rest", f"{len(found) - _MOST} after the first {_MOST} with content; see 'mounts'")
            break
        yield from _collect_device(context, shown)
    if not found:
        yield empty("tmpfs", "no memory file system is mounted")
    if of_host := of_host - found.keys():
        reason = f"{len(of_host)} of the host, seen through a bind mount: recorded in 'mounts', never copied"
        yield not_applicable("tmpfs of the host", reason)


def _leave_empty_ones(found: dict[str, list[tuple[int, MountPoint]]]) -> Iterator[LedgerLine]:
    """Take out what has nothing in it, with one look at all: who mounts thousands shall not delay the snapshot."""
    try:
        devices = ask_apart(lambda: [device for device, shown in found.items() if _is_empty(shown)])
    except OSError:  # then each is looked at by itself
        return
    for device in devices:
        del found[device]
    if devices:
        yield empty("tmpfs, many", f"{len(devices)} of {len(devices) + len(found)} have nothing in them; see 'mounts'")


def _is_empty(shown: list[tuple[int, MountPoint]]) -> bool:
    (pid, mount), *others = shown
    if others or mount.root != b"/":
        return False
    try:
        handle = open_mount_point(pid, mount)
    except OSError:
        return False
    try:
        return stat.S_ISDIR(os.fstat(handle).st_mode) and not os.listdir(f"/proc/self/fd/{handle}")  # noqa: PTH208 - by descriptor
    except OSError:
        return False
    finally:
        os.close(handle)


def _list_memory(context: CollectContext, mounts: tuple[MountPoint, ...]) -> Iterator[MountPoint]:
    """The memory file systems but those that a bind mount of the engine shows; one that covers such a mount counts."""
    bound = {os.fsencode(mount.destination) for mount in context.container.mounts if mount.type == "bind"}
    for mount in mounts:
        if mount.type in _TYPES and mount.path not in bound:
            yield mount
        bound.discard(mount.path)


def _collect_device(context: CollectContext, shown: list[tuple[int, MountPoint]]) -> Iterator[LedgerLine]:
    """Keep a memory file system once, by the mount that shows most of it; parts that no other shows count too."""
    kept: list[bytes] = []
    missed: list[tuple[bytes, LedgerLine]] = []
    for pid, mount in sorted(shown, key=lambda each: (len(each[1].root), each[1].id)):
        if any(_is_below(mount.root, root) for root in kept):
            continue
        lines = tuple(_collect_one(context, pid, mount))
        if lines[0].outcome is Outcome.FAILED and not lines[0].items:
            missed.append((mount.root, lines[0]))
            continue
        kept.append(mount.root)
        yield from lines
    yield from (line for place, line in missed if not any(_is_below(place, root) for root in kept))


def _is_below(path: bytes, top: bytes) -> bool:
    return path == top or path.startswith(top.rstrip(b"/") + b"/")


def _collect_one(context: CollectContext, pid: int, mount: MountPoint) -> Iterator[LedgerLine]:
    tree = TreeSource(
        "tmpfs",
        f"tmpfs {show_path(mount.path)}",
        f"/proc/{pid}/root{from_bytes(mount.path)}",
        {"mount": from_bytes(mount.path), "device": mount.device, "pid": pid, "options": mount.super_options},
    )
    yield from keep_tree(context, partial(open_mount_point, pid, mount), tree)
