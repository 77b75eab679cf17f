"""Finds an action by name: ours in the table, a responder's own behind an entry point of the group `ir.actions`.

An installed package offers one by an entry point whose name is the action's name and whose value is an
:class:`forensics.playbook.action.Action`. Only the one that a playbook names is ever imported; ours cannot be replaced.
"""

from __future__ import annotations

import re
from functools import cache

from forensics.errors import PlaybookError
from forensics.playbook.action import TYPES, Action
from forensics.playbook.actions import ACTIONS
from forensics.text import show

GROUP = "ir.actions"
_EFFECTS = ("read", "contain", "mutate", "destroy")
_TARGET = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*")


def find_action(name: str) -> Action | None:
    """Return the action called *name*, None where nobody offers one.

    Raises:
        PlaybookError: an installed package offers it, and what it offers is no action.
    """
    found = ACTIONS.get(name)
    return found if found is not None else _load_own(name)


def list_names() -> list[str]:
    """Return the name of every action, a responder's own after ours; imports none of them."""
    return [*ACTIONS, *(name for name in _list_own() if name not in ACTIONS)]


def list_actions() -> tuple[Action, ...]:
    """Return every action, importing the responder's own.

    Raises:
        PlaybookError: a package offers something that is no action.
    """
    return tuple(action for name in list_names() if (action := find_action(name)))


def _list_own() -> tuple[str, ...]:
    from importlib.metadata import entry_points  # noqa: PLC0415 - 20 ms, only where a name is not ours

    return tuple(sorted({point.name for point in entry_points(group=GROUP)}))


@cache
def _load_own(name: str) -> Action | None:
    from importlib.metadata import entry_points  # noqa: PLC0415 - as above

    points = tuple(entry_points(group=GROUP, name=name))
    if not points:
        return None
    distribution = points[0].dist.name if points[0].dist else "an installed package"
    where = f"the action '{show(name, 60)}' of {show(distribution)}"
    if len({point.value for point in points}) > 1:
        raise PlaybookError(f"{where} is offered twice", hint="uninstall one of the packages")
    try:
        action = points[0].load()
    except Exception as error:  # a foreign module may fail in any way while it is imported
        raise PlaybookError(f"{where} cannot be imported: {error}", hint="mend or uninstall the package") from error
    problem = _find_fault(action, name)
    if problem:
        raise PlaybookError(f"{where} {problem}", hint="see playbooks/README.md, 'Your own actions'")
    found: Action = action
    return found


def _find_fault(action: object, name: str) -> str:
    if not isinstance(action, Action):
        return "is no forensics.playbook.action.Action"
    if action.name != name:
        return f"calls itself '{show(str(action.name), 60)}'"
    if action.effects not in _EFFECTS:
        return f"has effects that are none of {', '.join(_EFFECTS)}"
    if not _TARGET.fullmatch(action.target):
        return "has a target that is not module:function"
    if any(parameter.type not in TYPES for parameter in action.parameters):
        return f"has a parameter whose type is none of {', '.join(TYPES)}"
    return ""
