"""The custody log: append-only, one ASCII JSON object a line, each chained to the raw line before it.

``prev`` is the SHA-256 of the previous raw line with its newline (64 zeros for the first), so
``sed -n 3p custody.jsonl | sha256sum`` is what line 4 must begin with. Nothing here ever changes a line.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

from forensics.errors import CaseError
from forensics.evidence.files import append_line, read_file
from forensics.evidence.place import Location, Tool
from forensics.frozen import dataclass, field, to_dict
from forensics.model import JsonObject

FIRST_PREV = "0" * 64
LOG_NAME = "custody.jsonl"
_MAX_LOG_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts. ``key_fpr`` is the fingerprint of the signing key, where one is known."""

    name: str
    title: str = ""
    org: str = ""
    contact: str = ""
    os_uid: int | None = field(default_factory=os.getuid)
    key_fpr: str | None = None


@dataclass(frozen=True, slots=True)
class Authority:
    """By which right it is done, and in which run of which playbook."""

    legal_basis: str | None = None
    ticket: str | None = None
    playbook: str | None = None
    step: str | None = None
    run_id: str | None = None
    approval: str | None = None


@dataclass(frozen=True, slots=True)
class SourceAltered:
    """The act changed the source: what, why that could not be avoided, and who answers for it."""

    what: str
    why_unavoidable: str
    responsible: str
    altered: bool = True

    def to_document(self) -> JsonObject:
        """Return the JSON form."""
        return {
            "bool": self.altered,
            "what": self.what,
            "why_unavoidable": self.why_unavoidable,
            "responsible": self.responsible,
        }


@dataclass(frozen=True, slots=True)
class Clock:
    """What the time stamps rest on; the offset is measured against the system's time service, None when unknown."""

    source: str = "CLOCK_REALTIME, not compared"
    offset_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Act:
    """What is to be recorded: the part of a custody entry that the caller knows."""

    action: str
    evidence_ids: tuple[str, ...] = ()
    purpose: str = ""
    result: str = "ok"
    error: str | None = None
    hash_before: str | None = None
    hash_after: str | None = None
    witness: str | None = None
    counterparty: str | None = None
    source_altered: SourceAltered | None = None
    details: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class CustodyEntry:
    """One line of the log. ``sha256`` is the digest of the raw line, which the next line carries as ``prev``."""

    seq: int
    prev: str
    ts_utc: str
    tz_local: str
    clock_source: str
    clock_offset_ms: float | None
    monotonic_ns: int
    case_id: str
    evidence_ids: tuple[str, ...]
    action: str
    actor: Actor
    witness: str | None
    counterparty: str | None
    authority: Authority
    purpose: str
    location: JsonObject
    tool: JsonObject
    hash_before: str | None
    hash_after: str | None
    result: str
    error: str | None
    source_altered: JsonObject | None
    details: JsonObject | None
    sha256: str


@dataclass(frozen=True, slots=True)
class Writer:
    """Everything that stays the same from one entry to the next."""

    case_id: str
    actor: Actor
    authority: Authority
    clock: Clock
    location: Location
    tool: Tool


class CustodyLog:
    """The log of one case. Appending re-reads the head when somebody else appended meanwhile."""

    def __init__(self, directory: int, path: Path, *, first_prev: str = FIRST_PREV) -> None:
        """Take the descriptor of the folder that holds the log, and the log's path."""
        self._directory = directory
        self._path = path
        self._first_prev = first_prev
        self._size = 0
        self._count = 0
        self._head = first_prev

    @property
    def count(self) -> int:
        """Number of lines."""
        self._refresh()
        return self._count

    @property
    def head(self) -> str:
        """SHA-256 of the last raw line."""
        self._refresh()
        return self._head

    def append(self, act: Act, writer: Writer) -> CustodyEntry:
        """Append one line and fsync it; it stands in the log when this returns."""
        self._refresh()
        document = _to_document(act, writer, seq=self._count + 1, prev=self._head)
        raw = json.dumps(document, ensure_ascii=True, separators=(",", ":")).encode("ascii")
        append_line(self._path.name, self._directory, raw)
        self._head = hashlib.sha256(raw + b"\n").hexdigest()
        self._count += 1
        self._size += len(raw) + 1
        return parse_line(raw + b"\n")

    def _refresh(self) -> None:
        try:
            size = self._path.lstat().st_size
        except FileNotFoundError:
            return
        if size == self._size:
            return
        lines = read_raw_lines(self._path)
        self._size, self._count = sum(map(len, lines)), len(lines)
        self._head = hashlib.sha256(lines[-1]).hexdigest() if lines else self._first_prev


def read_raw_lines(path: Path) -> list[bytes]:
    """Return the whole lines of a log with their newlines; an unfinished last line is left out."""
    content = read_file(path, _MAX_LOG_BYTES)
    return [line + b"\n" for line in content.split(b"\n")[:-1]]


def parse_line(raw: bytes) -> CustodyEntry:
    """Return the entry of one raw line.

    Raises:
        CaseError: the line is not one of ours.
    """
    try:
        document = json.loads(raw)
        document["actor"] = Actor(**document["actor"])
        document["authority"] = Authority(**document["authority"])
        document["evidence_ids"] = tuple(document["evidence_ids"])
        return CustodyEntry(**document, sha256=hashlib.sha256(raw).hexdigest())
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise CaseError("a line of custody.jsonl is no custody entry", hint="run 'ir verify' on the case") from error


def _to_document(act: Act, writer: Writer, *, seq: int, prev: str) -> JsonObject:
    now_ns = time.time_ns()
    return {
        "seq": seq,
        "prev": prev,
        "ts_utc": format_utc(now_ns),
        "tz_local": time.strftime("%z"),
        "clock_source": writer.clock.source,
        "clock_offset_ms": writer.clock.offset_ms,
        "monotonic_ns": time.monotonic_ns(),
        "case_id": writer.case_id,
        "evidence_ids": list(act.evidence_ids),
        "action": act.action,
        "actor": to_dict(writer.actor),
        "witness": act.witness,
        "counterparty": act.counterparty,
        "authority": to_dict(writer.authority),
        "purpose": act.purpose,
        "location": to_dict(writer.location),
        "tool": to_dict(writer.tool),
        "hash_before": act.hash_before,
        "hash_after": act.hash_after,
        "result": act.result,
        "error": act.error,
        "source_altered": act.source_altered.to_document() if act.source_altered else None,
        "details": act.details,
    }


def format_utc(time_ns: int) -> str:
    """Return RFC 3339 UTC with microseconds."""
    seconds, rest = divmod(time_ns, 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest // 1000:06d}Z"
