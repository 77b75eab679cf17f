"""Tolerant reading of JSON evidence: a field of the wrong type reads as absent, and unreadable evidence is a gap."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from forensics.errors import IrError
from forensics.evidence.case import Case
from forensics.model import JsonObject, LedgerLine, Outcome


def object_at(document: Any, *keys: str) -> JsonObject:  # noqa: ANN401 - decoded JSON of the attacker's making
    """Return the object at the path *keys*, or an empty one."""
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document if isinstance(document, dict) else {}


def objects_at(document: Any, key: str) -> list[JsonObject]:  # noqa: ANN401 - decoded JSON
    """Return the objects of the list at *key*; members of another type are left out."""
    values = document.get(key) if isinstance(document, dict) else None
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def strings_at(document: Any, key: str) -> list[str]:  # noqa: ANN401 - decoded JSON
    """Return the strings of the list at *key*."""
    values = document.get(key) if isinstance(document, dict) else None
    return [value for value in values if isinstance(value, str)] if isinstance(values, list) else []


def text_at(document: Any, *keys: str) -> str:  # noqa: ANN401 - decoded JSON
    """Return the value at *keys* as text; nothing for what is absent, null, or no scalar."""
    *path, last = keys
    value = object_at(document, *path).get(last)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if isinstance(value, str | int | float) else ""


def number_at(document: JsonObject, key: str) -> int | None:
    """Return the integer at *key*, or None."""
    value = document.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


class EvidenceReader:
    """Reads a case's JSON evidence by kind, and remembers what it could not read."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self.problems: list[LedgerLine] = []

    def read(self, kind: str) -> Iterator[tuple[str, Any]]:
        """Yield (item id, decoded document) of each item of *kind*; an unreadable one becomes a problem."""
        for item in self._case.find(kind):
            if item.outcome is not Outcome.COLLECTED:
                continue
            try:
                yield item.id, self._case.read_json(item)
            except (IrError, OSError, ValueError, RecursionError) as error:
                reason = f"{item.id} cannot be read: {error}"
                self.problems.append(LedgerLine(f"report: {kind}", Outcome.FAILED, reason, items=(item.id,)))

    def first(self, kind: str) -> tuple[str, JsonObject]:
        """Return the first readable item of *kind* as an object; ``("", {})`` where there is none."""
        for item, document in self.read(kind):
            if isinstance(document, list):
                document = next((member for member in document if isinstance(member, dict)), {})  # noqa: PLW2901 - inspect may answer a list of one
            if isinstance(document, dict):
                return item, document
        return "", {}
