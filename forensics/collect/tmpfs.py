"""Collects what lives in memory file systems of the container: no engine's snapshot, export or copy has it.

Each tmpfs is kept once, whichever mount namespaces show it. A host's tmpfs that is bind-mounted is a volume's business.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from forensics.collect.context import CollectContext, empty, failed, not_applicable
from forensics.collect.mount_points import HostMounts, open_mount_point
from forensics.collect.namespace import MountPoint, read_mounts
from forensics.collect.tree_evidence import TreeSource, keep_tree
from forensics.collect.walk import explain
from forensics.model import LedgerLine
from forensics.text import from_bytes, show_path

_TYPES = frozenset({"tmpfs", "ramfs"})


def collect_tmpfs(context: CollectContext) -> Iterator[LedgerLine]:
    """Keep one tar for each tmpfs that a process of the container sees and that is not the host's."""
    bound = {os.fsencode(mount.destination) for mount in context.container.mounts if mount.type == "bind"}
    host = HostMounts.find(context.container, context.info.root_dir)
    seen: set[str] = set()
    of_host: set[str] = set()
    for inode, pids in context.mount_namespaces.items():
        try:
            mounts = read_mounts(pids[0])
        except OSError as error:
            yield failed(f"tmpfs of mount namespace {inode}", explain(error))
            continue
        for mount in sorted(mounts, key=lambda mount: (mount.root != b"/", mount.id)):
            if mount.type not in _TYPES or mount.device in seen or mount.path in bound:
                continue
            if host.shows(mount):
                of_host.add(mount.device)
                continue
            seen.add(mount.device)
            yield from _collect_one(context, pids[0], mount)
    if not seen:
        yield empty("tmpfs", "no memory file system is mounted")
    if of_host:
        reason = f"{len(of_host)} of the host, seen through a bind mount: recorded in 'mounts', never copied"
        yield not_applicable("tmpfs of the host", reason)


def _collect_one(context: CollectContext, pid: int, mount: MountPoint) -> Iterator[LedgerLine]:
    tree = TreeSource(
        "tmpfs",
        f"tmpfs {show_path(mount.path)}",
        f"/proc/{pid}/root{from_bytes(mount.path)}",
        {"mount": from_bytes(mount.path), "device": mount.device, "pid": pid, "options": mount.super_options},
    )
    try:
        handle = open_mount_point(pid, mount)
    except OSError as error:
        yield failed(tree.artefact, explain(error))
        return
    try:
        if stat.S_ISDIR(os.fstat(handle).st_mode) or stat.S_ISREG(os.fstat(handle).st_mode):
            yield from keep_tree(context, handle, tree)
        else:
            yield empty(tree.artefact, "a device node is mounted here, which has no content")
    except OSError as error:
        yield failed(tree.artefact, explain(error))
    finally:
        os.close(handle)
