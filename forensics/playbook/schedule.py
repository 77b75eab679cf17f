"""Says which steps wait for which, so that independent ones run beside each other. Pure; starts nothing.

Where no step says `needs`, each waits for all above it. Otherwise a step waits for a step above it when it needs it;
when one of the two changes something or must be alone; when one reads what the other writes; when both collect and the
other's evidence is more volatile (RFC 3227); or when its condition asks about what came before.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from forensics.playbook.action import Action
from forensics.playbook.plan import Step

_LOOKS_BACK = re.compile(r"\b(?:case|findings|steps|verdict)\b")
_UNKNOWN = Action("", "", "destroy", "")


def find_waits(steps: Sequence[Step], actions: dict[str, Action]) -> dict[str, frozenset[str]]:
    """Return for each step the steps above it that must have ended before it may begin."""
    waits: dict[str, frozenset[str]] = {}
    if not any(step.needs for step in steps):
        return {step.id: frozenset(above.id for above in steps[:number]) for number, step in enumerate(steps)}
    for number, step in enumerate(steps):
        waits[step.id] = frozenset(
            above.id for above in steps[:number] if above.id in step.needs or _must_wait(above, step, actions)
        )
    return waits


def find_beside(waits: dict[str, frozenset[str]]) -> dict[str, tuple[str, ...]]:
    """Return for each step those that may run beside it: neither waits for the other, however indirectly."""
    before: dict[str, set[str]] = {}
    for name, direct in waits.items():
        before[name] = set(direct).union(*(before[other] for other in direct))
    return {
        name: tuple(
            other for other in waits if other != name and other not in before[name] and name not in before[other]
        )
        for name in waits
    }


def _must_wait(above: Step, step: Step, actions: dict[str, Action]) -> bool:
    first, second = (actions.get(one.call.uses, _UNKNOWN) for one in (above, step))
    if _is_alone(above, first) or _is_alone(step, second) or (step.when and _LOOKS_BACK.search(step.when)):
        return True
    if first.is_collector() and second.is_collector():
        return first.spans or second.spans or first.volatility != second.volatility
    return bool(first.writes & (second.reads | second.writes) or first.reads & second.writes)


def _is_alone(step: Step, action: Action) -> bool:
    return action.alone or step.effects != "read" or action.effects != "read" or step.approval is not None
