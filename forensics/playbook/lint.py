"""What a schema cannot say: actions that exist, an order that loses nothing, containment that can be undone.

Reads the validated model; runs nothing. The order of volatility follows RFC 3227 section 2.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain

from forensics.playbook.action import TYPES, Action, Parameter
from forensics.playbook.catalogue import find_action, list_names
from forensics.playbook.explain import suggest
from forensics.playbook.lint_order import RANKS, Placed, check_order
from forensics.playbook.loader import Path, Problem, YamlDocument
from forensics.playbook.schema import CallModel, PlaybookModel, StepModel
from forensics.text import show

_NAMES = {
    "string": "text",
    "integer": "an integer",
    "number": "a number",
    "boolean": "a boolean",
    "list": "a list of texts",
}
_INPUT_REFERENCE = re.compile(r"\$\{([^}]*)\}")
_INPUT_NAME = re.compile(r"inputs\.([a-z0-9][a-z0-9_-]*)\Z")


def lint_playbook(model: PlaybookModel, document: YamlDocument) -> list[Problem]:
    """Return every problem, in the order of the file."""
    steps: list[tuple[Path, StepModel]] = [(("steps", number), step) for number, step in enumerate(model.steps)]
    last: list[tuple[Path, StepModel]] = [(("finally", number), step) for number, step in enumerate(model.finally_)]
    problems = chain(
        _check_inputs(model, document),
        _check_ids(steps + last, document),
        chain.from_iterable(_check_step(path, step, model, document) for path, step in steps + last),
        check_order(steps, last, document),
    )
    return sorted(problems, key=lambda problem: (problem.line, problem.column))


def _check_inputs(model: PlaybookModel, document: YamlDocument) -> Iterator[Problem]:
    wanted: dict[str, tuple[type, ...]] = {"integer": (int,), "boolean": (bool,), "string": (str,), "container": (str,)}
    for name, value in model.inputs.items():
        path: Path = ("inputs", name, "default")
        if value.default is None:
            continue
        if value.required:
            yield document.problem(path, f"the input '{name}' is required, so it has no default", "remove one of them")
        if not _is_of_type(value.default, wanted[value.type]):
            yield document.problem(path, f"the default of '{name}' is no {value.type}", "make both the same type")


def _check_ids(steps: Placed, document: YamlDocument) -> Iterator[Problem]:
    seen: set[str] = set()
    for path, step in steps:
        if step.id in seen:
            yield document.problem((*path, "id"), f"a second step is called '{step.id}'", "give each step its own id")
        for number, need in enumerate(step.needs):
            if need not in seen:
                hint = suggest(need, sorted(seen)) if seen else "a step needs steps that stand above it"
                yield document.problem((*path, "needs", number), f"no step '{need}' stands above this one", hint)
        seen.add(step.id)


def _check_step(path: Path, step: StepModel, model: PlaybookModel, document: YamlDocument) -> Iterator[Problem]:
    yield from _check_call(path, step, model, document)
    if step.rollback:
        yield from _check_call((*path, "rollback"), step.rollback, model, document)
    action = find_action(step.uses)
    if action:
        yield from _check_effects(path, step, action, document)
    if step.when:
        yield from _check_condition((*path, "when"), step.when, document)


def _check_call(path: Path, call: CallModel, model: PlaybookModel, document: YamlDocument) -> Iterator[Problem]:
    action = find_action(call.uses)
    if action is None:
        yield document.problem((*path, "uses"), f"unknown action '{call.uses}'", suggest(call.uses, list_names()))
        return
    for parameter in action.parameters:
        if parameter.required and not call.with_.get(parameter.name):
            where = (*path, "with") if call.with_ else path
            yield document.problem(where, f"'{action.name}' needs the input '{parameter.name}'", parameter.help)
    for name, value in call.with_.items():
        place: Path = (*path, "with", name)
        found = action.find_parameter(name)
        if found is None:
            known = [item.name for item in action.parameters]
            hint = suggest(name, known) if known else "it takes none"
            yield document.problem(place, f"'{action.name}' has no input '{name}'", hint, key=True)
        else:
            yield from _check_argument(place, found, value, model, document)


def _check_argument(
    path: Path, parameter: Parameter, value: object, model: PlaybookModel, document: YamlDocument
) -> Iterator[Problem]:
    texts = [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)]
    references = [reference for text in texts for reference in _INPUT_REFERENCE.findall(text)]
    for reference in references:
        match = _INPUT_NAME.match(reference)
        if not match or match[1] not in model.inputs:
            known = [f"inputs.{name}" for name in model.inputs]
            hint = suggest(reference, known) if known else "declare it under 'inputs'"
            yield document.problem(path, f"'{show(reference, 60)}' is no input of this playbook", hint)
            return
    if references and isinstance(value, str):
        yield from _check_reference(path, parameter, value, model, document)
    elif not _is_of_type(value, TYPES[parameter.type]):
        hint = "write true or false" if parameter.type == "boolean" else parameter.help
        yield document.problem(path, f"'{parameter.name}' must be {_NAMES[parameter.type]}", hint)
    elif isinstance(value, int | float) and parameter.minimum is not None and value < parameter.minimum:
        yield document.problem(path, f"'{parameter.name}' must be {parameter.minimum:g} or more", parameter.help)
    elif parameter.choices and value not in parameter.choices:
        hint = suggest(str(value), [*parameter.choices])
        yield document.problem(path, f"'{parameter.name}' cannot be '{show(str(value), 60)}'", hint)


def _check_reference(
    path: Path, parameter: Parameter, value: str, model: PlaybookModel, document: YamlDocument
) -> Iterator[Problem]:
    """An input that stands alone keeps its type; within other text it becomes text."""
    whole = _INPUT_REFERENCE.fullmatch(value)
    name = whole[1].partition(".")[2] if whole else ""
    given = {"container": "string"}.get(model.inputs[name].type, model.inputs[name].type) if whole else "string"
    if given != parameter.type and (given, parameter.type) != ("integer", "number"):
        said = f"the {given} input '{name}'" if whole else "text"
        yield document.problem(path, f"'{parameter.name}' must be {_NAMES[parameter.type]}, not {said}", parameter.help)


def _check_effects(path: Path, step: StepModel, action: Action, document: YamlDocument) -> Iterator[Problem]:
    declared = step.effects or action.effects
    if RANKS[declared] < RANKS[action.effects]:
        message = f"'{action.name}' has the effect '{action.effects}', not '{declared}'"
        yield document.problem((*path, "effects"), message, f"write 'effects: {action.effects}'")
    if action.declares and step.effects is None:
        hint = "add 'effects: read', contain, mutate or destroy: the worst it does to the suspect"
        yield document.problem(path, f"'{step.id}' does not say what '{action.name}' does", hint)
    if step.on_failure == "rollback" and step.rollback is None:
        yield document.problem((*path, "on_failure"), f"the step '{step.id}' has no rollback", "add 'rollback:'")
    yield from _check_rollback(path, step, declared, document)
    produced = set(action.produces)
    for number, need in enumerate(step.evidence):
        if need.required and need.kind not in produced:
            message = f"'{action.name}' does not collect '{need.kind}'"
            hint = suggest(need.kind, sorted(produced)) if produced else "it collects nothing"
            yield document.problem((*path, "evidence", number), message, hint)


def _check_rollback(path: Path, step: StepModel, declared: str, document: YamlDocument) -> Iterator[Problem]:
    hint = "add 'rollback: {uses: contain.release}'"
    if declared == "contain" and step.uses != "contain.release" and step.rollback is None:
        yield document.problem(path, f"the containment step '{step.id}' has no rollback", hint)
    if step.rollback is None or (action := find_action(step.rollback.uses)) is None:
        return
    place: Path = (*path, "rollback", "uses")
    effects = step.rollback.effects or action.effects
    if action.declares and step.rollback.effects is None:
        yield document.problem(
            place, f"the rollback of '{step.id}' does not say what it does", "add 'effects: contain'"
        )
    if RANKS[effects] < RANKS[action.effects]:
        message = f"'{action.name}' has the effect '{action.effects}', not '{effects}'"
        yield document.problem((*path, "rollback", "effects"), message, f"write 'effects: {action.effects}'")
    if max(RANKS[effects], RANKS[action.effects]) >= RANKS["mutate"]:
        message = f"the rollback of '{step.id}' would {max(effects, action.effects, key=RANKS.__getitem__)}"
        yield document.problem(place, message, "a rollback only undoes; make it a step with needs and approval")
    elif step.uses == "contain.isolate" and effects == "read":
        yield document.problem(place, f"'{action.name}' does not undo the containment of '{step.id}'", hint)


def _check_condition(path: Path, expression: str, document: YamlDocument) -> Iterator[Problem]:
    from forensics.playbook.condition import ConditionError, compile_condition  # noqa: PLC0415 - 130 ms, only if used

    try:
        compile_condition(expression)
    except ConditionError as error:
        yield document.problem(path, f"the condition does not compile: {error}", error.hint)


def _is_of_type(value: object, types: tuple[type, ...]) -> bool:
    return isinstance(value, types) and (bool in types or not isinstance(value, bool))
