"""Conditions in CEL over the case, the findings, the inputs and earlier steps; bounded, and without side effects.

cel-python takes 130 ms to import: only playbooks that use ``when`` pay for it.
"""

from __future__ import annotations

from typing import Any

import celpy
import lark
from celpy import adapter, celparser, celtypes, evaluation

from forensics.text import show

NAMES = ("case", "container", "findings", "inputs", "steps", "verdict")
"""What a condition may speak of."""
_MAX_LENGTH = 1000
_MAX_DEPTH = 60
_BINDERS = ("all", "exists", "exists_one", "map", "filter")
_ARGUMENTS = 2
"""Where a method call's tree keeps its arguments, after the object and the name."""
_MAX_MACROS = 3
"""Each nested macro multiplies the work by the number of findings."""
_SHOWN = 200


class ConditionError(ValueError):
    """A condition that does not compile, or that has no answer."""

    def __init__(self, message: str, *, hint: str = "conditions are CEL: findings.size() > 0") -> None:
        """Keep the sentence and what to do."""
        super().__init__(message)
        self.hint = hint


def compile_condition(expression: str) -> celpy.Runner:
    """Return the runnable form of *expression*.

    Raises:
        ConditionError: it is too large, no CEL, or speaks of names that do not exist.
    """
    if len(expression) > _MAX_LENGTH:
        raise ConditionError(f"longer than {_MAX_LENGTH} characters")
    if sum(expression.count(opening) for opening in "([{") > _MAX_DEPTH:
        raise ConditionError("too many brackets")
    if sum(expression.count(f"{macro}(") for macro in _BINDERS) > _MAX_MACROS:
        raise ConditionError(f"more than {_MAX_MACROS} of all, exists, map, filter")
    environment = celpy.Environment()
    try:
        tree = environment.compile(expression)
    except celparser.CELParseError as error:
        where = f" at character {error.column}" if error.column else " at its end"
        raise ConditionError(f"not CEL{where}") from error
    unknown = _free_names(tree) - set(NAMES)
    if unknown:
        raise ConditionError(f"'{min(unknown)}' is unknown here", hint=f"there are {', '.join(NAMES)}")
    return environment.program(tree)


def evaluate(expression: str, values: dict[str, Any]) -> bool:
    """Return whether *expression* holds for *values* (plain JSON, by the names of :data:`NAMES`).

    Raises:
        ConditionError: it does not compile, fails, or is neither true nor false.
    """
    program = compile_condition(expression)
    try:
        answer = program.evaluate({name: adapter.json_to_cel(value) for name, value in values.items()})
    except evaluation.CELEvalError as error:
        raise ConditionError(
            f"it has no answer: {show(str(error.args[0] if error.args else error), _SHOWN)}"
        ) from error
    if not isinstance(answer, celtypes.BoolType):
        raise ConditionError("it is neither true nor false")
    return bool(answer)


def _free_names(tree: lark.Tree[lark.Token]) -> set[str]:
    """Return the identifiers that no macro binds."""
    names = {str(node.children[0]) for node in tree.find_data("ident")}
    return names - {name for call in tree.find_data("member_dot_arg") for name in _bound_names(call)}


def _bound_names(call: lark.Tree[lark.Token]) -> set[str]:
    """Return what the first argument of a macro binds; any other call binds nothing."""
    if str(call.children[1]) not in _BINDERS or len(call.children) <= _ARGUMENTS:
        return set()
    first = call.children[_ARGUMENTS].children[0]  # type: ignore[union-attr]  # arguments are trees by the grammar
    return {str(node.children[0]) for node in first.find_data("ident")}  # type: ignore[union-attr]  # so is each
