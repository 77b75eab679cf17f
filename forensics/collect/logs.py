"""Collects the container's output: as the engine tells it, and the log files themselves where they are on this host."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from forensics.collect.context import CollectContext, collected, empty, failed, not_applicable
from forensics.collect.streams import peek
from forensics.collect.walk import explain, open_directory, read_content
from forensics.errors import EngineError
from forensics.model import LedgerLine
from forensics.text import show


def collect_logs(context: CollectContext) -> Iterator[LedgerLine]:
    """Keep the engine's log stream with its timestamps, then the driver's own files (rotated ones too)."""
    driver = str(((context.container.raw.get("HostConfig") or {}).get("LogConfig") or {}).get("Type") or "")
    if driver == "none":
        yield not_applicable("logs", "the container's log driver is 'none': nothing was ever kept")
    else:
        yield _collect_stream(context, driver)
    yield from _collect_files(context)


def _collect_stream(context: CollectContext, driver: str) -> LedgerLine:
    try:
        chunks = peek(context.engine.logs(context.container))
        if chunks is None:
            return empty("logs", "the container has written nothing")
        item = context.case.add(
            "logs", chunks, source=f"container {context.container.id}", method="engine API: logs, with timestamps",
            filename="container.log", attributes={"driver": driver},
        )  # fmt: skip
    except EngineError as error:
        return failed("logs", error.message)
    return collected("logs", item)


def _collect_files(context: CollectContext) -> Iterator[LedgerLine]:
    path = str(context.container.raw.get("LogPath") or "")
    if not path:
        yield not_applicable("log-files", "the log driver keeps no files of its own")
        return
    if not context.info.is_local:
        yield not_applicable("log-files", "remote engine")
        return
    try:
        folder = open_directory(Path(path).parent)
    except OSError as error:
        yield failed("log-files", explain(error))
        return
    try:
        names = sorted(name for name in os.listdir(folder) if name.startswith(Path(path).name))  # noqa: PTH208 - by descriptor
        if not names:
            yield empty("log-files", "the engine has not written one yet")
        for name in names:
            yield _collect_file(context, folder, name, Path(path).parent / name)
    finally:
        os.close(folder)


def _collect_file(context: CollectContext, folder: int, name: str, path: Path) -> LedgerLine:
    artefact = f"log-files {show(name)}"
    handle = -1
    try:
        handle = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        size_bytes = os.fstat(handle).st_size
        if not size_bytes:
            return empty(artefact, "the file is empty")
        item = context.case.add(
            "log-file", read_content(handle, size_bytes), source=str(path), method="read on the host",
            attributes={"name": name},
        )  # fmt: skip
    except OSError as error:
        return failed(artefact, explain(error))
    finally:
        if handle >= 0:
            os.close(handle)
    return collected(artefact, item)
