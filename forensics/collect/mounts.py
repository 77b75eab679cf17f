"""Collects the mount tables of the container's processes, and the files that the engine itself puts into it.

`/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf` are bind mounts of the engine: no snapshot has what is in them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import asdict

from forensics.collect.context import CollectContext, collected, empty, failed, not_applicable
from forensics.collect.namespace import MountPoint, read_mounts
from forensics.collect.walk import explain, read_content
from forensics.model import JsonObject, LedgerLine
from forensics.text import from_bytes

_LIMIT_BYTES = 16 << 20
_ENGINE_FILES = {"HostsPath": "/etc/hosts", "HostnamePath": "/etc/hostname", "ResolvConfPath": "/etc/resolv.conf"}


def collect_mounts(context: CollectContext) -> Iterator[LedgerLine]:
    """Keep one mount table for each mount namespace, then the engine's files."""
    if context.container.is_running:
        yield from _collect_tables(context)
    else:
        yield not_applicable("mounts", f"the container is not running ({context.container.status})")
    for key, name in _ENGINE_FILES.items():
        yield _collect_engine_file(context, name, str(context.container.raw.get(key) or ""))


def _collect_tables(context: CollectContext) -> Iterator[LedgerLine]:
    tables: list[JsonObject] = []
    for inode, pids in context.mount_namespaces.items():
        try:
            mounts = read_mounts(pids[0])
        except OSError as error:
            yield failed(f"mounts of namespace {inode}", explain(error))
            continue
        tables.append({"namespace": inode, "pids": list(pids), "mounts": [_describe(mount) for mount in mounts]})
    source = f"container {context.container.id}"
    item = context.keep_json("mounts", {"namespaces": tables}, source=source, method="/proc/PID/mountinfo on the host")
    yield collected("mounts", item) if tables else empty("mounts", "no process to ask", item)


def _describe(mount: MountPoint) -> JsonObject:
    texts = {name: from_bytes(getattr(mount, name)) for name in ("root", "path", "source")}
    return asdict(mount) | texts


def _collect_engine_file(context: CollectContext, name: str, path: str) -> LedgerLine:
    artefact = f"engine-file {name}"
    if not path:
        return not_applicable(artefact, "the engine gives the container none")
    try:
        handle = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        return failed(artefact, explain(error))
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            return failed(artefact, "not a regular file")
        if not status.st_size:
            return empty(artefact, "the file is empty")
        item = context.case.add(
            "engine-file", read_content(handle, _LIMIT_BYTES), source=path, method="read on the host",
            attributes={"path": name},
        )  # fmt: skip
    except OSError as error:
        return failed(artefact, explain(error))
    finally:
        os.close(handle)
    return collected(artefact, item)
