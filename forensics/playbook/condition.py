"""Conditions in CEL over the case, the findings, the inputs and earlier steps; bounded, and without side effects.

cel-python takes 130 ms to import: only playbooks that use ``when`` pay for it.
"""

from __future__ import annotations

import re
from typing import Any

import celpy
import lark
from celpy import adapter, celparser, celtypes, evaluation

from forensics.playbook.timeout import StepTimeout, time_limit
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
_MAX_OPERATORS = 120
_AGAIN_SECONDS = 0.5
LIMIT_SECONDS = 10.0
"""Enough for the largest number of findings on a slow host; a bomb costs no more."""
_MOST = 1 << 1000
_SHOWN = 200
_MACRO = re.compile(r"\b(?:all|exists|exists_one|map|filter)\s*\(")
_ASSIGNMENT = re.compile(r"[^=!<>]=[^=]|\b(?:and|or|not)\b")
_TYPE_NAMES = frozenset({"int", "uint", "double", "bool", "string", "bytes", "list", "map", "null_type", "type"})
_FAULTS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
    lark.LarkError,
)
"""What celpy and its parser raise, beside their own errors, over input that they did not expect."""


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
    return _compile(expression)[0]


def _compile(expression: str) -> tuple[celpy.Runner, frozenset[str]]:
    """Return the runnable form, and the names of :data:`NAMES` that it speaks of."""
    _check_size(expression)
    environment = celpy.Environment()
    try:
        tree = environment.compile(expression)
        names = _free_names(tree)
        program = environment.program(tree)
    except celparser.CELParseError as error:
        where = f" at character {error.column}" if error.column else " at its end"
        single = _ASSIGNMENT.search(expression)
        hint = "compare with ==, join with && and ||" if single else "conditions are CEL: findings.size() > 0"
        raise ConditionError(f"not CEL{where}", hint=hint) from error
    except _FAULTS as error:
        raise ConditionError(f"it cannot be compiled ({type(error).__name__})") from error
    unknown = names - set(NAMES) - _TYPE_NAMES
    if unknown:
        raise ConditionError(f"'{show(min(unknown), 60)}' is unknown here", hint=f"there are {', '.join(NAMES)}")
    return program, frozenset(names & set(NAMES))


def _check_size(expression: str) -> None:
    if len(expression) > _MAX_LENGTH:
        raise ConditionError(f"longer than {_MAX_LENGTH} characters")
    if sum(expression.count(opening) for opening in "([{") > _MAX_DEPTH:
        raise ConditionError("too many brackets")
    if sum(expression.count(sign) for sign in "!?.+-*/%&|<>=") > _MAX_OPERATORS:
        raise ConditionError(f"more than {_MAX_OPERATORS} operators")
    if len(_MACRO.findall(expression)) > _MAX_MACROS:
        raise ConditionError(f"more than {_MAX_MACROS} of all, exists, map, filter")


def evaluate(expression: str, values: dict[str, Any]) -> bool:
    """Return whether *expression* holds for *values* (plain JSON, by the names of :data:`NAMES`).

    It takes :data:`LIMIT_SECONDS` at most.

    Raises:
        ConditionError: it does not compile, fails, takes too long, or is neither true nor false.
    """
    program, names = _compile(expression)
    try:
        with time_limit(LIMIT_SECONDS, again=_AGAIN_SECONDS):
            answer = program.evaluate({name: _to_cel(values[name], 0) for name in names if name in values})
    except evaluation.CELEvalError as error:
        raise ConditionError(
            f"it has no answer: {show(str(error.args[0] if error.args else error), _SHOWN)}"
        ) from error
    except StepTimeout as error:
        raise ConditionError(f"it takes longer than {LIMIT_SECONDS:g} seconds") from error
    except _FAULTS as error:
        raise ConditionError(f"it has no answer ({type(error).__name__}: {show(str(error), _SHOWN)})") from error
    if not isinstance(answer, celtypes.BoolType):
        raise ConditionError("it is neither true nor false")
    return bool(answer)


def _to_cel(value: Any, depth: int) -> Any:  # noqa: ANN401 - JSON in, CEL's own types out
    """Return *value* as CEL has it; what CEL cannot hold becomes text or a number of less precision, never a fault."""
    if depth > _MAX_DEPTH:
        return celtypes.StringType("nested too deep")
    if isinstance(value, dict):
        items = value.items()
        return celtypes.MapType({celtypes.StringType(_clean(str(k))): _to_cel(v, depth + 1) for k, v in items})
    if isinstance(value, list | tuple):
        return celtypes.ListType([_to_cel(item, depth + 1) for item in value])
    if isinstance(value, str):
        return celtypes.StringType(_clean(value))
    if isinstance(value, int) and not isinstance(value, bool) and not -(1 << 63) <= value < 1 << 63:
        return celtypes.StringType(str(value)[:_SHOWN]) if abs(value) > _MOST else celtypes.DoubleType(value)
    return adapter.json_to_cel(value)


def _clean(text: str) -> str:
    """Return *text* without lone surrogates, which are hostile names' unknown bytes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


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
