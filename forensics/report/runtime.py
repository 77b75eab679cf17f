"""Processes and connections of the suspect, as the host saw them. Reads evidence only."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from forensics.model import Finding, JsonObject
from forensics.report.document import Connection, Process
from forensics.report.fields import EvidenceReader, number_at, objects_at, strings_at, text_at
from forensics.report.masking import Masker

_CAPTURE = "containment-capture"
_DEEPEST = 24
_STATE_ORDER = {"ESTABLISHED": 0, "SYN_SENT": 1, "SYN_RECV": 2, "LISTEN": 3}


def read_processes(evidence: EvidenceReader, findings: Iterable[Finding], masker: Masker) -> tuple[Process, ...]:
    """Return processes, parents before children, siblings by pid (those of the cut, where none were collected)."""
    numbers = _number_by_pid(findings)
    rows: list[Process] = []
    for item, document in (*evidence.read("processes"), *evidence.read(_CAPTURE)):
        by_pid = {pid: entry for entry in objects_at(document, "processes") if (pid := number_at(entry, "pid"))}
        for depth, pid in _walk(by_pid):
            rows.append(_read_process(by_pid[pid], depth, numbers.get(pid, ()), item, masker))
        if rows:
            break
    return tuple(rows)


def _number_by_pid(findings: Iterable[Finding]) -> dict[int, tuple[int, ...]]:
    numbers: dict[int, list[int]] = defaultdict(list)
    for number, finding in enumerate(findings, start=1):
        for pid in sorted({ref.pid for ref in finding.evidence if ref.pid is not None}):
            numbers[pid].append(number)
    return {pid: tuple(values) for pid, values in numbers.items()}


def _walk(by_pid: dict[int, JsonObject]) -> Iterator[tuple[int, int]]:
    """Yield (depth, pid) in pre-order. A process that is its own ancestor (a forged table) is still shown once."""
    children: dict[int, list[int]] = defaultdict(list)
    for pid, entry in by_pid.items():
        children[number_at(entry, "ppid") or 0].append(pid)
    roots = sorted(pid for pid, entry in by_pid.items() if (number_at(entry, "ppid") or 0) not in by_pid)
    seen: set[int] = set()
    waiting = [(0, pid) for pid in (*sorted(by_pid, reverse=True), *reversed(roots))]
    while waiting:
        depth, pid = waiting.pop()
        if pid in seen:
            continue
        seen.add(pid)
        yield min(depth, _DEEPEST), pid
        waiting.extend((depth + 1, child) for child in sorted(children[pid], reverse=True))


def _read_process(entry: JsonObject, depth: int, findings: tuple[int, ...], item: str, masker: Masker) -> Process:
    argv = strings_at(entry, "argv")
    return Process(
        pid=number_at(entry, "pid") or 0,
        ns_pid=number_at(entry, "ns_pid"),
        depth=depth,
        name=text_at(entry, "comm"),
        command=masker.apply(" ".join(argv)),
        executable=text_at(entry, "exe"),
        user=_name_user(entry),
        started_at=text_at(entry, "start_time_utc"),
        signals=tuple(_find_signals(entry)),
        findings=findings,
        item=item,
    )


def _name_user(entry: JsonObject) -> str:
    uid = text_at(entry, "uid")
    return "root" if uid == "0" else f"uid {uid}" if uid else ""


def _find_signals(entry: JsonObject) -> Iterator[str]:
    if entry.get("exe_memfd") is True:
        yield "runs from memory only"
    elif entry.get("exe_deleted") is True:
        yield "executable deleted"
    if number_at(entry, "tracer_pid"):
        yield f"traced by {entry['tracer_pid']}"
    if entry.get("maps_deleted"):
        yield "maps deleted files"


def read_connections(evidence: EvidenceReader, processes: Iterable[Process]) -> tuple[Connection, ...]:
    """Return the internet sockets of the suspect, those seen just before the cut among them; peers outside first.

    Sockets without an address (unix, netlink) stay in the evidence; packet sockets, which listen to everything, do not.
    """
    names = {process.pid: process.name for process in processes}
    rows: dict[tuple[str, ...], Connection] = {}
    for item, document in (*evidence.read(_CAPTURE), *evidence.read("sockets")):
        for entry in objects_at(document, "sockets"):
            if text_at(entry, "local_addr") or text_at(entry, "proto") == "packet":
                row = _read_connection(entry, names, item)
                rows.setdefault((row.protocol, row.local, row.remote, row.process), row)
    return tuple(sorted(rows.values(), key=_rank))


def _rank(row: Connection) -> tuple[bool, int, str, str, str]:
    return (not row.external, _STATE_ORDER.get(row.state, 9), row.protocol, row.local, row.remote)


def _read_connection(entry: JsonObject, names: Mapping[int, str], item: str) -> Connection:
    remote = text_at(entry, "remote_addr")
    pid = text_at(entry, "pid")
    program = names.get(number_at(entry, "pid") or 0, "")
    return Connection(
        protocol=text_at(entry, "proto"),
        local=_join_port(text_at(entry, "local_addr"), text_at(entry, "local_port")),
        remote=_join_port(remote, text_at(entry, "remote_port")),
        state=text_at(entry, "state"),
        process=f"{program} ({pid})" if program and pid else pid,
        external=is_external(remote),
        item=item,
    )


def _join_port(address: str, port: str) -> str:
    if not address:
        return ""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def is_external(address: str) -> bool:
    """Tell whether *address* is one of the public internet."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_global
