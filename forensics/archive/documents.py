"""Hostile JSON documents of images: bounded decoding, and accessors that never trust a type."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from forensics.archive.limits import Anomaly, Report
from forensics.archive.nouns import HistoryLine
from forensics.model import JsonObject
from forensics.text import show

_MAX_SIZE = (1 << 63) - 1
DIGEST = re.compile(r"(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})\Z")


def parse_json(raw: bytes, name: str, report: Report) -> object:
    """Return the decoded document, None (with an anomaly) for what is no JSON."""

    def note_duplicates(pairs: list[tuple[str, object]]) -> JsonObject:
        decoded = dict(pairs)
        if len(decoded) != len(pairs):
            message = f"{show(name)} repeats a key; readers disagree on which value counts"
            report(Anomaly("duplicate-json-key", message))
        return decoded

    try:
        decoded: object = json.loads(raw, object_pairs_hook=note_duplicates)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else show(str(error), 120)
        report(Anomaly("bad-json", f"{show(name)} is no JSON document: {reason}"))
        return None
    return decoded


def get_object(document: object, key: str) -> JsonObject:
    """Return an object member, empty where it is anything else."""
    value = document.get(key) if isinstance(document, dict) else None
    return value if isinstance(value, dict) else {}


def get_list(document: object, key: str) -> list[object]:
    """Return a list member, empty where it is anything else."""
    value = document.get(key) if isinstance(document, dict) else None
    return value if isinstance(value, list) else []


def get_text(document: object, key: str) -> str:
    """Return a string member, empty where it is anything else."""
    value = document.get(key) if isinstance(document, dict) else None
    return value if isinstance(value, str) else ""


def get_texts(document: object, key: str) -> list[str]:
    """Return the strings of a list member."""
    return [value for value in get_list(document, key) if isinstance(value, str)]


def get_size(document: object, key: str = "size") -> int:
    """Return a size member, -1 where there is none, -2 for what is no size."""
    value = document.get(key) if isinstance(document, dict) else None
    if value is None:
        return -1
    return value if type(value) is int and 0 <= value <= _MAX_SIZE else -2


def describe_size(size_bytes: int) -> str:
    """Return what :func:`get_size` found, for a sentence."""
    return f"{size_bytes} bytes" if size_bytes >= 0 else "a size that is no size"


def count_values(raw: bytes) -> int:
    """Return about how many values a JSON document has, before it is decoded."""
    return sum(raw.count(mark) for mark in (b",", b"[", b"{"))


def parse_platform(document: object) -> str:
    """Return ``os/architecture[/variant]`` of a descriptor's platform or of a configuration, empty if it names none."""
    parts = [get_text(document, key) for key in ("os", "architecture", "variant")]
    return "/".join(part for part in parts if part)


def align_history(config: JsonObject, layers: int, report: Report) -> tuple[HistoryLine, ...]:
    """Return the history lines with the layer that each made; empty layers count for nothing (OCI config.md)."""
    lines: list[HistoryLine] = []
    made = 0
    for line in get_list(config, "history"):
        empty = isinstance(line, dict) and line.get("empty_layer") is True
        layer = None if empty or made >= layers else made
        made += not empty
        lines.append(
            HistoryLine(get_text(line, "created"), get_text(line, "created_by"), get_text(line, "comment"), layer)
        )
    if lines and made != layers:
        report(Anomaly("history-mismatch", f"the history speaks of {made} layers, the image has {layers}"))
    return tuple(lines)


def find_created_by(history: Sequence[HistoryLine], layer: int) -> str:
    """Return the command that made *layer*, empty where the history does not say."""
    return next((line.created_by or line.comment for line in history if line.layer == layer), "")


def cap(items: Sequence[object], limit: int, what: str, report: Report) -> list[object]:
    """Return at most *limit* items, and say so when some were left out."""
    if len(items) > limit:
        report(Anomaly("too-many", f"{len(items)} {what}; only {limit} are read"))
    return list(items[:limit])
