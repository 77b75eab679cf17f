"""Steps (2) and (3) of a verification: the custody chain, and the items that it attests."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from forensics.evidence.activity import find_open
from forensics.evidence.custody import FIRST_PREV
from forensics.evidence.files import hash_file, read_file
from forensics.evidence.findings import Findings
from forensics.model import JsonObject

_ITEM = re.compile(rb'\{"id":"E[0-9]*","path":"(data/E[A-Za-z0-9/._-]*)","sha256":"([0-9a-f]*)",.*\}\n')
_ATTESTED = re.compile(rb'"action":"acquire",.*"details":\{"item_line":"([0-9a-f]*)"')
_LISTED = re.compile(r"([0-9a-f]{64})  (data/E[A-Za-z0-9/._-]*)")
_WRITTEN = re.compile(rb'"(analysis/[a-z]+\.jsonl?)":"([0-9a-f]{64})"')
_RENDERED = re.compile(rb'"action":"report",.*"hash_after":"sha256:([0-9a-f]{64})",.*"path":"(report/[a-z.]+)"\}\}\n')
_MAX_LOG = 1 << 27
_STEP_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Log:
    """The custody log as raw lines and the digest of each."""

    lines: tuple[bytes, ...]
    heads: tuple[str, ...]

    def documents(self) -> list[JsonObject]:
        """Return the entries that can be read; a line that cannot is a problem of its own."""
        documents: list[JsonObject] = []
        for line in self.lines:
            try:
                document = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(document, dict):
                documents.append(document)
        return documents


@dataclass(frozen=True, slots=True)
class Items:
    """The item lines, and what each file of theirs must have: (hex digest, path below the case)."""

    lines: tuple[bytes, ...] = ()
    wanted: tuple[tuple[str, str], ...] = ()
    ids: frozenset[str] = field(default_factory=frozenset)


def check_chain(root: Path, case_id: str, found: Findings) -> Log:
    """Check that each line continues the one before, and that the first records ``case.json``."""
    *lines, rest = read_file(root / "custody.jsonl", _MAX_LOG).split(b"\n")
    if rest:
        found.open("the last line of custody.jsonl is torn")
    raw_lines = tuple(line + b"\n" for line in lines)
    heads: list[str] = []
    head = FIRST_PREV
    for number, raw in enumerate(raw_lines, 1):
        start = f'{{"seq":{number},"prev":"{head}","ts_utc":"'.encode("ascii")
        middle = f',"case_id":"{case_id}","evidence_ids":['.encode("ascii")
        if not (raw.startswith(start) and middle in raw and raw.endswith(b"}\n")):
            found.bad(f"custody.jsonl line {number} does not continue the chain of this case")
        head = hashlib.sha256(raw).hexdigest()
        heads.append(head)
    digest = hash_file(root / "data/case.json").sha256
    if not raw_lines or f'"hash_after":"sha256:{digest}"'.encode("ascii") not in raw_lines[0]:
        found.bad("data/case.json is not what was recorded")
    return Log(raw_lines, tuple(heads))


def check_items(root: Path, log: Log, *, sealed: bool, found: Findings) -> Items:
    """Check that the custody log attests exactly these item lines, in their order; return what they promise."""
    path = root / "data/items.jsonl"
    content = read_file(path, _MAX_LOG).split(b"\n") if path.is_file() and not path.is_symlink() else [b""]
    lines = tuple(line + b"\n" for line in content[:-1])
    if content[-1]:
        found.open("the last line of data/items.jsonl is torn")
    attested = [match[1].decode("ascii") for line in log.lines for match in _ATTESTED.finditer(line)]
    digests = [hashlib.sha256(line).hexdigest() for line in lines]
    if digests != attested:
        if not sealed and digests[:-1] == attested:
            found.open("the last item has no custody entry")
        else:
            found.bad("data/items.jsonl and custody.jsonl do not hold the same items")
    wanted: list[tuple[str, str]] = []
    for line in lines:
        wanted += _read_promises(root, line, found)
        _remark_failure(line, found)
    return Items(lines, tuple(wanted))


def read_derived(log: Log) -> dict[str, str]:
    """Return the last digest (hex) that the log holds of each file below ``analysis/`` and ``report/``, by path."""
    recorded: dict[str, str] = {}
    for line in log.lines:
        recorded |= {match[1].decode("ascii"): match[2].decode("ascii") for match in _WRITTEN.finditer(line)}
        if match := _RENDERED.search(line):
            recorded[match[2].decode("ascii")] = match[1].decode("ascii")
    return recorded


def _read_promises(root: Path, line: bytes, found: Findings) -> list[tuple[str, str]]:
    match = _ITEM.fullmatch(line)
    if not match or b"../" in match[1]:
        found.bad("data/items.jsonl holds a line that is no item")
        return []
    path, digest = match[1].decode("ascii"), match[2].decode("ascii")
    if not (root / path).is_dir():
        return [(digest, path)]
    listing = f"{path}.sha256"
    if not (root / listing).is_file() or (root / listing).is_symlink():
        found.bad(f"{listing} is missing")
        return [(digest, listing)]
    lines = read_file(root / listing, _MAX_LOG).decode("latin-1").split("\n")[:-1]
    matches = [_LISTED.fullmatch(each) for each in lines]
    if not all(matches) or any("../" in each for each in lines):
        found.bad(f"{listing} holds a line that is no digest of ours")
    return [(digest, listing), *((each[1], each[2]) for each in matches if each)]


def _remark_failure(line: bytes, found: Findings) -> None:
    try:
        item = json.loads(line)
        if item["outcome"] == "failed":
            found.remark(f"{item['id']} ({item['kind']}) is incomplete: {item['reason']}")
    except (ValueError, TypeError, KeyError, RecursionError):
        found.bad("data/items.jsonl holds a line that is no item")


def check_activities(log: Log, found: Findings) -> None:
    """Name every act that was begun and not carried through, unless a later act says that it finished it."""
    entries = (tuple(entry.get(name) for name in ("result", "details", "ts_utc", "error")) for entry in log.documents())
    for name, act in find_open((result, details, at, error) for result, details, at, error in entries).items():
        why = act.reason if act.reason.startswith("interrupted") else f"interrupted: {act.reason}"
        found.open(f"{name.partition('#')[0]}, begun {act.begun}, {why if act.reason else 'has no end on record'}")


def check_clock(log: Log, found: Findings) -> None:
    """Remark where the wall clock and the monotonic clock of one boot disagree by more than a second."""
    for before, after in pairwise(log.documents()):
        try:
            if not before["location"]["boot_id"] or before["location"]["boot_id"] != after["location"]["boot_id"]:
                continue
            wall = datetime.fromisoformat(after["ts_utc"]) - datetime.fromisoformat(before["ts_utc"])
            step = wall.total_seconds() - (after["monotonic_ns"] - before["monotonic_ns"]) / 1e9
        except (KeyError, TypeError, ValueError):
            continue
        if abs(step) > _STEP_SECONDS:
            found.remark(
                f"the clock stepped by {step:+.3f} s between custody entries {before['seq']} and {after['seq']}"
            )
