"""Collects the process table as the host sees it: by cgroup, by pid namespace, by descent, and the engine's own list.

Asks nothing of the container, whose `ps` may be the attacker's. That the views disagree is for analysis to say.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from forensics.collect.context import CollectContext, collected, empty, failed, name_some
from forensics.engine.host import HostProcess
from forensics.errors import EngineError
from forensics.model import JsonObject, LedgerLine
from forensics.text import from_bytes

_VIEWS = {"cgroup": "cgroup", "pid_namespace": "pid-namespace", "descendant": "descendant"}


def collect_processes(context: CollectContext) -> Iterator[LedgerLine]:
    """Keep every process with its arguments, environment, open files, identity, capabilities and namespaces."""
    processes = context.processes
    item = context.case.add(
        "processes", _render(processes), source=f"container {context.container.id}",
        method="read from /proc on the host", filename="content.json",
    )  # fmt: skip
    yield collected("processes", item, reason=_count(processes)) if processes else empty("processes", "none", item)
    for process in processes:
        if process.errors:
            yield failed(f"processes pid {process.pid}", "; ".join(process.errors))


def _render(processes: tuple[HostProcess, ...]) -> Iterator[bytes]:
    """Yield the document in pieces: of a hundred thousand processes it would be hundreds of megabytes."""
    yield b'{"processes": ['
    for number, process in enumerate(processes):
        yield b",\n" if number else b"\n"
        yield json.dumps(process.to_document(), ensure_ascii=True, sort_keys=True).encode("ascii")
    views: JsonObject = {key: _pids_seen_by(processes, view) for key, view in _VIEWS.items()}
    yield b'],\n"views": ' + json.dumps(views).encode("ascii") + b"}\n"


def collect_engine_top(context: CollectContext) -> Iterator[LedgerLine]:
    """Keep the engine's process list: a view of its own, made by the host's ps (Podman: by the container's pids)."""
    try:
        document = context.engine.top(context.container)
    except EngineError as error:
        yield failed("engine-top", error.message)
        return
    source = f"container {context.container.id}"
    document["pids_of"] = "container" if context.info.name == "podman" else "host"
    item = context.keep_json("engine-top", document, source=source, method="engine API: top")
    yield collected("engine-top", item) if document.get("Processes") else empty("engine-top", "no process", item)


def _pids_seen_by(processes: tuple[HostProcess, ...], view: str) -> list[int]:
    return [process.pid for process in processes if view in process.seen_by]


def _count(processes: tuple[HostProcess, ...]) -> str:
    names = name_some(from_bytes(process.argv[0] if process.argv else process.comm) for process in processes)
    return f"{len(processes)} processes, {sum(process.threads for process in processes)} threads: {names}"
