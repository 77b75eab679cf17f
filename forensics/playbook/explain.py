"""Turns what pydantic refuses into problems with a place in the file and a suggestion."""

from __future__ import annotations

import difflib
import types
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from forensics.playbook.loader import Path, Problem, YamlDocument
from forensics.text import show

Model = TypeVar("Model", bound=BaseModel)
_SHOWN = 60


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
        return document.problem(path, f"'{value}' does not fit", f"it must match {details['ctx']['pattern']}")
    subject = f"'{name}': " if details["loc"] and isinstance(details["loc"][-1], str) else ""
    return document.problem(path, subject + _sentence(details["msg"]), _type_hint(kind))


def _sentence(message: str) -> str:
    message = message.removeprefix("Value error, ").removeprefix("Input ")
    return message[:1].lower() + message[1:]


def _type_hint(kind: str) -> str:
    return "quote the value to make it text" if kind == "string_type" else ""


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
