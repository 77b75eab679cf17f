"""Containment's part of the custody log: every change is on record before it happens, and the log alone can undo it.

``details.event`` is *plan*, *apply*, *undo*, *cut*, *proof* or *released*. An *apply* whose end is missing counts as
done: the process may have been killed between the change and the record of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from forensics.containment.actions import NOTHING, Action, NotApplicableError, Plan, parse_action
from forensics.errors import IrError
from forensics.model import EvidenceItem, JsonObject

if TYPE_CHECKING:
    from forensics.evidence.case import Case

_ACTION = "containment"
_METHOD = "ir containment"


class Performed(NamedTuple):
    """How one action ended; ``error`` is empty where it was done, or where the engine knows no such thing."""

    action: Action
    error: str = ""
    note: str = ""
    is_applicable: bool = True

    @property
    def result(self) -> str:
        """The word for it: *ok*, *failed* or *not applicable*."""
        if not self.is_applicable:
            return "not applicable"
        return "failed" if self.error else "ok"

    @property
    def found_nothing(self) -> bool:
        """Whether there was nothing to change."""
        return self.note.startswith(NOTHING)

    def makes_up_for(self, other: Performed) -> bool:
        """Whether this is the same change as *other*, and done."""
        mine, theirs = ((one.action.parameters.get("attachment") or {}).get("name") for one in (self, other))
        return not self.error and self.action.kind is other.action.kind and mine == theirs

    def to_document(self) -> JsonObject:
        """Return the JSON form."""
        return self.action.to_document() | {
            "result": self.result,
            "error": self.error or None,
            "note": self.note or None,
        }


class Journal:
    """Writes and reads the containment entries of one container in one case."""

    def __init__(self, case: Case, container_id: str) -> None:
        """Take the case; nothing is written yet."""
        self._case = case
        self._container_id = container_id

    def write_plan(self, plan: Plan, reason: str) -> None:
        """Put the whole plan with every inverse into the custody log, before anything is changed."""
        self._record("plan", purpose=reason, plan=plan.to_document())

    def keep_plan(self, plan: Plan, reason: str) -> None:
        """Keep the plan as an item too; what undo needs stands in the log, so this does not hold the freeze up."""
        self._store("ir.containment-plan/1", plan.to_document() | {"reason": reason})

    def perform(self, action: Action, change: Callable[[], str]) -> Performed:
        """Record the beginning of an action, do it, record its end. A failure is a result, not an exception."""
        return self._perform("apply", action, change)

    def undo(self, action: Action, change: Callable[[], str]) -> Performed:
        """Record the beginning of an undo, do it, record its end."""
        return self._perform("undo", action, change)

    def write_capture(self, document: JsonObject) -> None:
        """Keep what dies with the cut: connections, routes, neighbours, processes."""
        if not self._case.sealed:
            self._case.add_json("containment-capture", document, source=self._source, method="host /proc and netlink")

    def write_cut(self, document: JsonObject, reason: str) -> None:
        """Put on record that the host has cut it off, or why that is not certain yet; the proof comes at the end."""
        self._record("cut", result="failed" if reason else "ok", error=reason or None, cut=document)

    def write_proof(self, event: str, document: JsonObject, *, succeeded: bool, reasons: tuple[str, ...]) -> None:
        """Keep a proof; *event* is ``proof`` after a cut and ``released`` after an undo."""
        item = self._store(f"ir.containment-{event}/1", document)
        self._record(
            event,
            result="ok" if succeeded else "failed",
            error="; ".join(reasons) or None,
            evidence_ids=(item.id,) if item else (),
            **({"probe": document["probe"]} if "probe" in document else {}),
        )

    def read_probe(self) -> JsonObject:
        """Return what the first proof of the open containment says of its probe; nothing where there is none."""
        found: JsonObject = {}
        for entry in self._case.custody():
            details = entry.details or {}
            if entry.action != _ACTION or details.get("container") != self._container_id:
                continue
            if details.get("event") == "proof" and not found:
                found = dict(details.get("probe") or {})
            elif details.get("event") == "released":
                found = {}
        return found

    def read_open(self) -> tuple[Action, ...]:
        """Return the actions that were begun and not undone, in the order of their beginning."""
        begun: dict[str, Action] = {}
        for entry in self._case.custody():
            details = entry.details or {}
            if entry.action != _ACTION or details.get("container") != self._container_id:
                continue
            if details.get("event") == "apply" and entry.result == "begin":
                action = parse_action(details["action"])
                begun.setdefault(action.id, action)
            elif details.get("event") == "undo" and entry.result == "ok":
                begun.pop(details["action"]["id"], None)
        return tuple(begun.values())

    def count_actions(self) -> int:
        """Return the highest number that an action of this case has; numbers are never given twice."""
        numbers = [0]
        for entry in self._case.custody():
            action = (entry.details or {}).get("action") if entry.action == _ACTION else None
            if isinstance(action, dict):
                numbers.append(int(str(action["id"])[1:]))
        return max(numbers)

    @property
    def _source(self) -> str:
        return f"container {self._container_id[:12]}"

    def _perform(self, event: str, action: Action, change: Callable[[], str]) -> Performed:
        document = action.to_document()
        self._record(
            event, result="begin", purpose=action.effect if event == "apply" else action.inverse, action=document
        )
        try:
            note = change()
        except NotApplicableError as error:
            self._record(event, result="not applicable", action=document, note=error.message)
            return Performed(action, note=error.message, is_applicable=False)
        except (IrError, OSError) as error:  # an OSError: what was looked at a moment ago is gone
            message = error.message if isinstance(error, IrError) else str(error)
            self._record(event, result="failed", error=message, action=document)
            return Performed(action, error=message)
        self._record(event, action=document, note=note)
        return Performed(action, note=note)

    def _store(self, schema: str, document: JsonObject) -> EvidenceItem | None:
        if self._case.sealed:
            return None
        document = {"schema": schema, **document}
        return self._case.add_json("containment", document, source=self._source, method=_METHOD)

    def _record(
        self,
        event: str,
        *,
        result: str = "ok",
        error: str | None = None,
        purpose: str = "",
        evidence_ids: tuple[str, ...] = (),
        **details: object,
    ) -> None:
        self._case.record(
            _ACTION,
            evidence_ids=evidence_ids,
            purpose=purpose,
            result=result,
            error=error,
            details={"event": event, "container": self._container_id, **details},
        )
