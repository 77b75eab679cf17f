"""Collects the container's output: as the engine tells it, and the log files themselves where they are on this host."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from forensics.collect.context import CollectContext, collected, empty, failed, not_applicable
from forensics.collect.streams import peek
from forensics.collect.walk import explain, open_directory, read_content
from forensics.engine.base import EngineAnswerError
from forensics.errors import EngineError
from forensics.model import LedgerLine
from forensics.text import show

_NOT_IMPLEMENTED = 501


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
    except EngineAnswerError as error:
        if error.status == _NOT_IMPLEMENTED:
            return not_applicable("logs", f"the log driver '{show(driver)}' sends the output away and cannot be read")
        return failed("logs", error.message)
    except EngineError as error:
        return failed("logs", error.message)
    return collected("logs", item)


def _collect_files(context: CollectContext) -> Iterator[LedgerLine]:
    if not context.info.is_local:
        yield not_applicable("log-files", "remote engine")
        return
    lines = [line for path in _find_places(context) for line in _collect_place(context, path)]
    yield from lines
    if not lines and context.container.raw.get("LogPath"):
        yield empty("log-files", "the engine has not written one yet")
    elif not lines:
        yield not_applicable("log-files", "the log driver keeps no files of its own on this host")


def _find_places(context: CollectContext) -> Iterator[Path]:
    """Yield where log files begin: what inspect names, and where the engine keeps what inspect does not tell.

    The driver ``local`` has a folder of its own; for drivers that cannot be read the engine keeps a copy (20.10).
    """
    if path := str(context.container.raw.get("LogPath") or ""):
        yield Path(path)
    if context.info.root_dir and context.container.id:
        folder = Path(context.info.root_dir) / "containers" / context.container.id
        yield folder / "local-logs" / "container.log"
        yield folder / "container-cached.log"


def _collect_place(context: CollectContext, path: Path) -> Iterator[LedgerLine]:
    """Keep a log file and those that rotation made of it, whose names begin like its own."""
    try:
        folder = open_directory(path.parent)
    except FileNotFoundError:
        return
    except OSError as error:
        yield failed("log-files", explain(error))
        return
    try:
        names = sorted(name for name in os.listdir(folder) if name.startswith(path.name))  # noqa: PTH208 - by descriptor
        for name in names:
            yield _collect_file(context, folder, name, path.parent / name)
    except OSError as error:
        yield failed("log-files", explain(error))
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
