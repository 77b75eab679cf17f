"""The nouns of containment: an action with its effect and its inverse, a plan, what the operator asked for.

The plan is read by the dry run, the journal, the apply loop, the proof and the undo alike. An action carries in its
parameters everything that its inverse needs, so that the custody log alone is enough to undo it. Nothing here acts.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from forensics.engine.base import NetworkAttachment
from forensics.errors import CaseError, EngineError
from forensics.frozen import to_dict
from forensics.model import JsonObject

NOTHING = "nothing to "
"""How the note of an action begins that found nothing to change."""


class NotApplicableError(EngineError):
    """This engine knows no such change; the sentence says what holds instead."""


class ActionKind(enum.StrEnum):
    """What an action does; the words are those of the journal and never change."""

    FREEZE = "freeze"
    RESTART_POLICY = "restart-policy"
    END_LOOP = "end-restart-loop"
    FILTER = "filter"
    BLOCK_ADDRESS = "block-address"
    LOWER_FAR_ENDS = "lower-far-ends"
    DISCONNECT = "disconnect"
    REMOVE_INTERFACE = "remove-interface"
    LOWER_INTERFACE = "lower-interface"
    REMOVE_FAR_END = "remove-far-end"
    DESTROY_SOCKETS = "destroy-sockets"


class Action(NamedTuple):
    """One reversible change: what it does, what undoes it, what must hold before, and who else feels it."""

    id: str
    kind: ActionKind
    effect: str
    inverse: str
    precondition: str
    affects: tuple[str, ...] = ()
    parameters: JsonObject = {}  # noqa: RUF012 - never changed; an action is frozen

    def to_document(self) -> JsonObject:
        """Return the JSON form, which :func:`parse_action` reads."""
        return self._asdict() | {"kind": str(self.kind), "affects": list(self.affects)}


class Plan(NamedTuple):
    """What is to be done to one container, in order, and what the operator should know before."""

    container_id: str
    container_name: str
    actions: tuple[Action, ...]
    warnings: tuple[str, ...] = ()

    def to_document(self) -> JsonObject:
        """Return the JSON form."""
        return {
            "container": self.container_id,
            "name": self.container_name,
            "actions": [action.to_document() for action in self.actions],
            "warnings": list(self.warnings),
        }


class IsolationOptions(NamedTuple):
    """What the operator, or the playbook's contain step, asked for.

    ``host_first`` lets the host cut before the engine is asked to disconnect: for many at once, which the engine
    disconnects one after the other.
    """

    freeze: bool = True
    reason: str = ""
    cut_sharing: bool = False
    host_first: bool = False


def parse_action(document: JsonObject) -> Action:
    """Return the action of its JSON form.

    Raises:
        CaseError: the custody log holds something that is no action of ours.
    """
    try:
        return Action(
            id=str(document["id"]),
            kind=ActionKind(document["kind"]),
            effect=str(document["effect"]),
            inverse=str(document["inverse"]),
            precondition=str(document["precondition"]),
            affects=tuple(document["affects"]),
            parameters=dict(document["parameters"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CaseError("the custody log holds an unknown containment action", hint="run 'ir verify'") from error


def attachment_to_document(attachment: NetworkAttachment) -> JsonObject:
    """Return a network attachment as JSON."""
    return to_dict(attachment)


def parse_recorded_attachment(document: JsonObject) -> NetworkAttachment:
    """Return the attachment of its recorded JSON form.

    Raises:
        CaseError: it is none.
    """
    try:
        values = dict(document)
        for name in ("aliases", "links"):
            values[name] = tuple(values[name])
        values["driver_opts"] = tuple((key, value) for key, value in values["driver_opts"])
        return NetworkAttachment(**values)
    except (KeyError, TypeError, ValueError) as error:
        raise CaseError("the custody log holds an unknown network attachment", hint="run 'ir verify'") from error
