"""Which networks the container is on, or was on until containment cut it off: read from inspect and from the case.

After `ir isolate` the engine knows of no attachment any more; the plan in the case does, and the neighbours are still
there. Asks nobody and changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from forensics.errors import CaseError
from forensics.model import JsonObject

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.collect.context import CollectContext

_PLAN = "ir.containment-plan/1"


class AttachedNetwork(NamedTuple):
    """One network of the container; ``is_cut`` when only the containment plan knows of it."""

    name: str
    id: str
    is_cut: bool

    @property
    def ref(self) -> str:
        """What the engine is asked for."""
        return self.id or self.name


def find_networks(context: CollectContext) -> tuple[AttachedNetwork, ...]:
    """Return the networks that inspect names, then those that containment cut and that are not attached again."""
    present = tuple(AttachedNetwork(one.name, one.network_id, is_cut=False) for one in context.container.networks)
    known = {one.ref for one in present}
    cut = {one.ref: one for one in _read_cut(context) if one.ref not in known}
    return (*present, *cut.values())


def _read_cut(context: CollectContext) -> Iterator[AttachedNetwork]:
    for item in context.case.find("containment"):
        try:
            document = context.case.read_json(item)
        except (CaseError, OSError):  # `ir verify` tells of it; what inspect names is collected all the same
            continue
        if document.get("schema") == _PLAN and document.get("container") == context.container.id:
            yield from _parse_actions(document.get("actions"))


def _parse_actions(actions: object) -> Iterator[AttachedNetwork]:
    for action in actions if isinstance(actions, list) else ():
        attachment = _object(_object(_object(action).get("parameters")).get("attachment"))
        if name := str(attachment.get("name") or ""):
            yield AttachedNetwork(name, str(attachment.get("network_id") or ""), is_cut=True)


def _object(value: object) -> JsonObject:
    return value if isinstance(value, dict) else {}
