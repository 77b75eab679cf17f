"""Reads lists of indicators that a user gives: plain, CSV, STIX 2.1. Bounded; what is not understood is named.

Of STIX patterns those are used that compare for equality (``=``, ``IN``, ``ISSUBSET`` of networks), alone or joined by
OR; hashes of one file may be joined by AND. Everything else is named as not used, never guessed.
"""

from __future__ import annotations

import csv
import hashlib
import ipaddress
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forensics.errors import UsageError
from forensics.text import from_bytes, show

MOST_BYTES = 64 << 20
MOST_ENTRIES = 1_000_000
_MOST_UNUSED = 50
_HEX = {32: "md5", 40: "sha1", 64: "sha256"}
_DOMAIN = re.compile(r"^(?=.{4,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)+(?:[a-z]{2,24}|xn--[a-z0-9-]{2,59})$")
_EMAIL = re.compile(r"^[\w.+-]{1,64}@[\w.-]{3,190}\.[a-z]{2,24}$", re.IGNORECASE)
_URL = re.compile(r"^[a-z][a-z0-9+.-]{1,20}://[^\s]{3,2000}$", re.IGNORECASE)
_COMPARISON = re.compile(
    r"\s*([a-z0-9-]+):([\w.\-'\"\[\]*]+?)\s*(=|==|IN|ISSUBSET)\s*('(?:[^'\\]|\\.)*'|\((?:\s*'(?:[^'\\]|\\.)*'\s*,?)+\))\s*"
)
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'")
_HASH_NAMES = {"sha-256": "sha256", "sha256": "sha256", "sha-1": "sha1", "sha1": "sha1", "md5": "md5"}
_VALUE_COLUMNS = re.compile(
    r"^(?:indicator|value|ioc|observable|hash|sha-?256|sha-?1|md5|ip|ip_?address|address|domain|hostname|host|url|path"
    r"|file_?path|file|filename|email|indicator_value|pattern)$",
    re.IGNORECASE,
)
_LABEL_COLUMNS = re.compile(r"^(?:comment|description|label|name|threat|malware|tags?|title|family)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Entry:
    """One indicator: *kind* is sha256, sha1, md5, path, name, address (also a network), domain, url or email."""

    kind: str
    value: str
    line: int
    label: str = ""


@dataclass(frozen=True, slots=True)
class IocList:
    """One list; ``unused`` names what of it is not used and why."""

    name: str
    sha256: str
    entries: tuple[Entry, ...]
    unused: tuple[str, ...] = ()
    unused_count: int = 0


def read_ioc_file(path: Path) -> IocList:
    """Read a list.

    Raises:
        UsageError: it cannot be read, is too large, or holds nothing that can be used.
    """
    name = show(os.fsencode(path.name))
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{show(os.fsencode(path))} cannot be read: {error.strerror}", hint="name a list") from error
    if len(raw) > MOST_BYTES:
        raise UsageError(f"{name} is larger than {MOST_BYTES >> 20} MiB", hint="split the list")
    entries: dict[tuple[str, str], Entry] = {}
    unused: list[str] = []
    for found in _read(from_bytes(raw.removeprefix(b"\xef\xbb\xbf"))):
        if isinstance(found, str):
            unused.append(found)
        elif len(entries) < MOST_ENTRIES:
            entries.setdefault((found.kind, found.value), found)
    if not entries:
        first = f": {unused[0]}" if unused else ""
        raise UsageError(f"{name} holds no indicator that can be used{first}", hint="hashes, paths, addresses, domains")
    digest = hashlib.sha256(raw).hexdigest()
    return IocList(name, digest, tuple(entries.values()), tuple(unused[:_MOST_UNUSED]), len(unused))


def _read(text: str) -> Iterator[Entry | str]:
    head = text.lstrip()[:1]
    if head in {"{", "["}:
        yield from _read_json(text)
        return
    lines = text.splitlines()
    first = next((line for line in lines if line.strip() and not line.lstrip().startswith("#")), "")
    delimiter = next((mark for mark in ("\t", ",", ";", "|") if mark in first), "")
    yield from _read_table(lines, delimiter) if delimiter else _read_plain(lines)


def _read_plain(lines: Iterable[str]) -> Iterator[Entry | str]:
    for number, line in enumerate(lines, start=1):
        value, _, label = line.strip().partition(" #")
        value = value.strip()
        if not value or value.startswith(("#", "//", ";")):
            continue
        first = value.split()[0]
        kind_value = classify(value) or (classify(first) if first != value else None)
        rest = label.strip() or value.removeprefix(first).strip(" *")
        yield Entry(*kind_value, number, rest) if kind_value else f"line {number}: not understood: {show(value, 60)}"


def _read_table(lines: list[str], delimiter: str) -> Iterator[Entry | str]:
    reader = csv.reader(lines, delimiter=delimiter)
    values: list[int] | None = None
    labels: list[int] = []
    for row in reader:
        cells = [cell.strip() for cell in row]
        if not any(cells) or cells[0].startswith("#"):
            continue
        if values is None:
            values = [index for index, cell in enumerate(cells) if _VALUE_COLUMNS.match(cell)]
            labels = [index for index, cell in enumerate(cells) if _LABEL_COLUMNS.match(cell)]
            if values or labels:
                continue
        picked = [cells[index] for index in values if index < len(cells)] or cells
        label = next((cells[index] for index in labels if index < len(cells) and cells[index]), "")
        found = [pair for cell in picked if cell and (pair := classify(cell))]
        for kind, value in found if values else found[:1]:
            yield Entry(kind, value, reader.line_num, label)
        if not found:
            yield f"line {reader.line_num}: not understood: {show(delimiter.join(cells), 60)}"


def refang(value: str) -> str:
    """Return *value* with the defanging of addresses undone: ``hxxp``, ``[.]``, ``(.)``, ``[:]``, ``[at]``."""
    value = re.sub(r"\[(?:\.|dot)\]|\((?:\.|dot)\)|\{(?:\.|dot)\}", ".", value, flags=re.IGNORECASE)
    value = re.sub(r"\[(?:@|at)\]|\((?:@|at)\)", "@", value, flags=re.IGNORECASE)
    value = value.replace("[:]", ":").replace("[/]", "/").replace("[://]", "://").replace("\\.", ".")
    return re.sub(r"\bh[xX]{2}p(?=s?:)", "http", value)


def classify(raw: str) -> tuple[str, str] | None:  # noqa: PLR0911 - one line a kind
    """Return kind and normal form of one written indicator, or None."""
    value = refang(raw.strip().strip("\"'"))
    kind = _HEX.get(len(value))
    if kind and re.fullmatch(r"[0-9a-fA-F]+", value):
        return kind, value.lower()
    if prefixed := re.match(r"^(?:sha-?256|sha-?1|md5):\s*([0-9a-fA-F]+)$", value, re.IGNORECASE):
        return classify(prefixed[1])
    if value.startswith("/") and len(value) > 1:
        return "path", re.sub(r"/+", "/", value)
    if address := _read_address(value):
        return "address", address
    if _URL.match(value):
        return "url", value.rstrip("/")
    if _EMAIL.match(value):
        return "email", value.lower()
    lowered = value.lower().rstrip(".").removeprefix("*.")
    return ("domain", lowered) if _DOMAIN.match(lowered) else None


def _read_address(value: str) -> str:
    host, colon, port = value.rpartition(":")
    if colon and port.isdecimal() and host.count(":") == 0:
        value = host
    try:
        network = ipaddress.ip_network(value.strip("[]"), strict=False)
    except ValueError:
        return ""
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def _read_json(text: str) -> Iterator[Entry | str]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        yield "it begins like JSON and is none"
        return
    objects = document.get("objects", [document]) if isinstance(document, dict) else document
    line, position = 1, 0
    for part in objects if isinstance(objects, list) else []:
        identity = str(part.get("id", "")) if isinstance(part, dict) else ""
        place = text.find(f'"{identity}"', position) if identity else -1
        if place >= 0:
            line += text.count("\n", position, place)
            position = place
        if isinstance(part, str):
            pair = classify(part)
            yield Entry(*pair, line) if pair else f"line {line}: not understood: {show(part, 60)}"
        elif isinstance(part, dict):
            yield from _read_object(part, line)


def _read_object(part: dict[str, Any], line: int) -> Iterator[Entry | str]:
    """Yield what one STIX object says; marking, relationships and the like are silent."""
    kind, label = str(part.get("type", "")), str(part.get("name") or part.get("description") or "")[:120]
    if kind == "indicator":
        if part.get("revoked") is True:
            yield f"line {line}: a revoked indicator"
        elif str(part.get("pattern_type", "stix")) != "stix":
            yield f"line {line}: a pattern of type {show(str(part.get('pattern_type')), 20)} is not used"
        else:
            yield from _read_pattern(str(part.get("pattern", "")), line, label)
    elif kind in {"ipv4-addr", "ipv6-addr", "domain-name", "url", "email-addr"}:
        pair = classify(str(part.get("value", "")))
        yield Entry(*pair, line, label) if pair else f"line {line}: not understood: {kind}"
    elif kind == "file" and isinstance(part.get("hashes"), dict):
        for name, value in part["hashes"].items():
            pair = classify(str(value)) if str(name).lower() in _HASH_NAMES else None
            yield (
                Entry(*pair, line, label) if pair else f"line {line}: a hash of type {show(str(name), 20)} is not used"
            )


def _read_pattern(pattern: str, line: int, label: str) -> Iterator[Entry | str]:
    """Yield the entries of a pattern, or one sentence that it is not used."""
    whole = f"line {line}: pattern not used: {show(pattern, 100)}"
    body = pattern.strip()
    observations = re.split(r"\]\s*OR\s*\[", body[1:-1]) if body.startswith("[") and body.endswith("]") else []
    found: list[Entry] = []
    for observation in observations:
        entries = _read_observation(observation, line, label)
        if not entries:
            yield whole
            return
        found += entries
    if found:
        yield from found
    else:
        yield whole


def _read_observation(text: str, line: int, label: str) -> list[Entry]:
    entries: list[Entry] = []
    operators: set[str] = set()
    position = 0
    text = text.strip()
    while match := _COMPARISON.match(text, position):
        found = [pair for value in _QUOTED.findall(match[4]) if (pair := _read_comparison(match[1], match[2], value))]
        if not found:
            return []
        entries += [Entry(kind, value, line, label) for kind, value in found]
        position = match.end()
        if position >= len(text):
            break
        joined = re.compile(r"(AND|OR)\b").match(text, position)
        if not joined:
            return []
        operators.add(joined[1])
        position = joined.end()
    hashes = all(entry.kind in {"sha256", "sha1", "md5"} for entry in entries)
    return entries if position >= len(text) and (operators <= {"OR"} or hashes) else []


def _read_comparison(kind: str, place: str, value: str) -> tuple[str, str] | None:
    value = value.replace("\\'", "'").replace("\\\\", "\\")
    plain = place.replace("'", "").replace('"', "").lower()
    if kind == "file" and plain.startswith("hashes."):
        name = _HASH_NAMES.get(plain.removeprefix("hashes."))
        pair = classify(value)
        return pair if pair and pair[0] == name else None
    if kind == "file" and plain == "name":
        return ("path", value) if value.startswith("/") else ("name", value) if value else None
    if kind == "directory" and plain == "path":
        return ("path", value) if value.startswith("/") else None
    values = {"ipv4-addr", "ipv6-addr", "domain-name", "url", "email-addr"}
    if (kind in values and plain == "value") or (
        kind == "network-traffic" and plain in {"dst_ref.value", "src_ref.value"}
    ):
        return classify(value)
    return None
