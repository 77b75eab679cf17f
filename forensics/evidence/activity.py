"""Longer acts in the custody log: a begin, an end, and what a crash left without one. Reads and writes no evidence.

An act that was interrupted stays open until a later one that did all of it says so by name (`finishes`): repeating a
part never makes the whole look finished.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from forensics.model import JsonObject

if TYPE_CHECKING:
    from forensics.evidence.case import Case

_BEGIN = "begin"


@contextmanager
def conduct(  # noqa: PLR0913 - the facts of an act, by name
    case: Case, action: str, name: str, purpose: str, *, plan: Iterable[str], finishes: Iterable[str]
) -> Generator[str]:
    """Put begin and end of an act on record and give its name there; what :meth:`Case.activity` does."""
    details: JsonObject = {"activity": f"{name}#{case.head[0] + 1}"}
    planned, finished = list(plan), list(finishes)
    begun = {**details, "plan": planned} if planned else details
    case.record(action, purpose=purpose, result=_BEGIN, details=begun)
    try:
        yield details["activity"]
    except BaseException as error:
        case.record(action, purpose=purpose, result="failed", error=str(error) or repr(error), details=details)
        raise
    case.record(action, purpose=purpose, details={**details, "finishes": finished} if finished else details)


def find_open(entries: Iterable[tuple[object, object, object]]) -> dict[str, tuple[str, JsonObject]]:
    """Return every act without an end, by its name: when it began, and the details of that entry.

    *entries* are (result, details, time) of a custody log in its order; their types are not trusted.
    """
    opened: dict[str, tuple[str, JsonObject]] = {}
    for result, details, at in entries:
        if not isinstance(details, dict) or not isinstance(name := details.get("activity"), str):
            continue
        if result == _BEGIN:
            opened[name] = (str(at), details)
            continue
        finished: Any = details.get("finishes") if result == "ok" else None
        for ended in (name, *(finished if isinstance(finished, list) else ())):
            if isinstance(ended, str):
                opened.pop(ended, None)
    return opened
