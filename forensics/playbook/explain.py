"""Turns what pydantic refuses into problems with a place in the file and a suggestion."""

from __future__ import annotations

import difflib
import types
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from forensics.playbook.loader import Path, Problem, YamlDocument
from forensics.playbook.schema import ACTION_NAME, ATTACK_ID, IDENTIFIER, REFERENCE
from forensics.text import show

Model = TypeVar("Model", bound=BaseModel)
_SHOWN = 60
_KEYS_AND_VALUES = ("keys and values", "write it as {key: value}, or one key a line, indented")
_SHAPES = {
    "string_type": ("text", "quote the value to make it text"),
    "list_type": ("a list", "write [one, two], or one '- item' a line"),
    "dict_type": _KEYS_AND_VALUES,
    "model_type": _KEYS_AND_VALUES,
    "bool_type": ("true or false", "write true or false; YAML 1.2 reads 'yes' and 'no' as text"),
    "int_type": ("a whole number", "write it without quotes"),
}
"""What pydantic calls a wrong type, in words, and how it is written."""
_PATTERNS = {
    IDENTIFIER: "write lower-case letters, digits, - and _, as in cryptominer-2",
    ACTION_NAME: "an action has a dot in its name, as in collect.all; see 'ir playbook actions'",
    ATTACK_ID: "write an ATT&CK technique, as in T1496 or T1496.001",
    REFERENCE: "write a whole address, as in https://attack.mitre.org/techniques/T1496/",
}
"""What has to look like something, and an example."""


def check_model(model: type[Model], document: YamlDocument) -> tuple[Model | None, list[Problem]]:
    """Return the validated *model* of *document*, or None and every problem."""
    if not isinstance(document.root, dict):
        return None, [document.problem((), "expected keys and values", "'ir playbook show default' prints an example")]
    try:
        return model.model_validate(document.root), []
    except ValidationError as error:
        problems = {_explain(model, document, details) for details in error.errors(include_url=False)}
        return None, sorted(problems, key=_order)


def _order(problem: Problem) -> tuple[bool, int, int]:
    """A missing key is often a misspelt one, so what is written wrongly comes first."""
    return problem.message.endswith("is missing"), problem.line, problem.column


def suggest(wrong: str, known: list[str]) -> str:
    """Return a hint: the nearest of *known*, or all of them."""
    close = difflib.get_close_matches(wrong, known, n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else f"known: {', '.join(sorted(known))}"


def _explain(model: type[BaseModel], document: YamlDocument, details: ErrorDetails) -> Problem:
    path = _existing_path(document, details["loc"])
    name = show(str(details["loc"][-1]), _SHOWN) if details["loc"] else "the file"
    kind = details["type"]
    if kind == "extra_forbidden":
        return document.problem(path, f"unknown key '{name}'", suggest(name, _known_keys(model, path[:-1])), key=True)
    if kind == "missing":
        return document.problem(path, f"the key '{name}' is missing", f"add '{name}:'")
    value = show(str(details["input"]), _SHOWN)
    if kind == "literal_error":
        expected = details["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        return document.problem(path, f"'{name}' cannot be '{value}'", suggest(value, expected))
    if kind == "string_pattern_mismatch":
        pattern = details["ctx"]["pattern"]
        return document.problem(path, f"'{value}' does not fit", _PATTERNS.get(pattern, f"it must match {pattern}"))
    subject = f"'{name}'" if details["loc"] and isinstance(details["loc"][-1], str) else "this"
    if kind in _SHAPES:
        said, hint = _SHAPES[kind]
        return document.problem(path, f"{subject} must be {said}", hint)
    return document.problem(path, f"{subject}: {_sentence(details['msg'])}", "")


def _sentence(message: str) -> str:
    message = message.removeprefix("Value error, ").removeprefix("Input ")
    return message[:1].lower() + message[1:]


def _existing_path(document: YamlDocument, loc: tuple[int | str, ...]) -> Path:
    """Return the longest beginning of *loc* that is in the file; pydantic adds names of union members."""
    path: Path = ()
    for part in loc:
        if (*path, part) not in document.values and (*path, part) not in document.keys:
            break
        path = (*path, part)
    return path


def _known_keys(model: type[BaseModel], path: Path) -> list[str]:
    current: Any = model
    for part in path:
        current = _step_into(current, part)
    current = _model_of(current)
    if current is None:
        return []
    return [info.alias or name for name, info in current.model_fields.items()]


def _step_into(annotation: object, part: str | int) -> object:
    model = _model_of(annotation)
    if model is not None and isinstance(part, str):
        by_alias = {info.alias or name: info.annotation for name, info in model.model_fields.items()}
        return by_alias.get(part)
    for candidate in _members(annotation):
        origin = get_origin(candidate)
        if origin in {list, dict}:
            return get_args(candidate)[-1]
    return None


def _model_of(annotation: object) -> type[BaseModel] | None:
    for candidate in _members(annotation):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _members(annotation: object) -> tuple[object, ...]:
    if get_origin(annotation) in {Union, types.UnionType}:
        return get_args(annotation)
    return (annotation,)
