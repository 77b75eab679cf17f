"""Longer acts in the custody log: a begin, an end, and what a crash left without one. Reads and writes no evidence.

An act that was interrupted stays open until a later one that did all of it says so by name (`finishes`): repeating a
part never makes the whole look finished. Killed, it has no end on record; stopped by its operator, or an acquisition
stopped by anything (a full disk), it has an end that says so and settles nothing.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from forensics.model import JsonObject

if TYPE_CHECKING:
    from forensics.evidence.case import Case

_BEGIN = "begin"
_INTERRUPTED = "interrupted"


class OpenAct(NamedTuple):
    """An act that was begun and not carried through; ``reason`` is empty where nothing says why."""

    begun: str
    details: JsonObject
    reason: str


@contextmanager
def conduct(  # noqa: PLR0913 - the facts of an act, by name
    case: Case, action: str, name: str, purpose: str, *, plan: Iterable[str], finishes: Iterable[str]
) -> Generator[str]:
    """Put begin and end of an act on record and give its name there; what :meth:`Case.activity` does."""
    planned, finished = list(plan), list(finishes)
    with case.door.mutex:  # two acts that begin at once must not share a name
        details: JsonObject = {"activity": f"{name}#{case.head[0] + 1}"}
        begun = {**details, "plan": planned} if planned else details
        case.record(action, purpose=purpose, result=_BEGIN, details=begun)
    try:
        yield details["activity"]
    except BaseException as error:
        cut_short = action == "acquire" or not isinstance(error, Exception)
        result = _INTERRUPTED if cut_short else "failed"
        case.record(action, purpose=purpose, result=result, error=describe(error), details=details)
        raise
    case.record(action, purpose=purpose, details={**details, "finishes": finished} if finished else details)


def describe(error: BaseException) -> str:
    """Return an error as one short sentence for the record."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted by the operator"
    text = error.strerror if isinstance(error, OSError) else str(error)
    return (text or str(error) or type(error).__name__)[:1000]


def find_open(entries: Iterable[tuple[object, object, object, object]]) -> dict[str, OpenAct]:
    """Return every act that was not carried through, by its name.

    *entries* are (result, details, time, error) of a custody log in its order; their types are not trusted.
    """
    opened: dict[str, OpenAct] = {}
    for result, details, at, error in entries:
        if not isinstance(details, dict) or not isinstance(name := details.get("activity"), str):
            continue
        if result == _BEGIN:
            opened[name] = OpenAct(str(at), details, "")
        elif result == _INTERRUPTED:
            opened[name] = opened.get(name, OpenAct(str(at), details, ""))._replace(reason=str(error))
        else:
            finished: Any = details.get("finishes") if result == "ok" else None
            for ended in (name, *(finished if isinstance(finished, list) else ())):
                if isinstance(ended, str):
                    opened.pop(ended, None)
    return opened
