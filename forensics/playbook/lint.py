"""What a schema cannot say: actions that exist, an order that loses nothing, containment that can be undone.

Reads the validated model; runs nothing. The order of volatility follows RFC 3227 section 2.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain

from forensics.playbook.actions import ACTIONS, Action, Parameter
from forensics.playbook.explain import suggest
from forensics.playbook.loader import Path, Problem, YamlDocument
from forensics.playbook.schema import CallModel, PlaybookModel, StepModel

Placed = Sequence[tuple[Path, StepModel]]
"""Steps, and where each stands in the file."""
_RANKS = {"read": 0, "contain": 1, "mutate": 2, "destroy": 3}
_INPUT_REFERENCE = re.compile(r"\$\{([^}]*)\}")
_INPUT_NAME = re.compile(r"inputs\.([a-z0-9][a-z0-9_-]*)\Z")
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


def lint_playbook(model: PlaybookModel, document: YamlDocument) -> list[Problem]:
    """Return every problem, in the order of the file."""
    steps: list[tuple[Path, StepModel]] = [(("steps", number), step) for number, step in enumerate(model.steps)]
    last: list[tuple[Path, StepModel]] = [(("finally", number), step) for number, step in enumerate(model.finally_)]
    problems = chain(
        _check_inputs(model, document),
        _check_ids(steps + last, document),
        chain.from_iterable(_check_step(path, step, model, document) for path, step in steps + last),
        _check_volatility(steps, document),
        _check_destruction(steps, document),
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
    action = ACTIONS.get(step.uses)
    if action:
        yield from _check_effects(path, step, action, document)
    if step.when:
        yield from _check_condition((*path, "when"), step.when, document)


def _check_call(path: Path, call: CallModel, model: PlaybookModel, document: YamlDocument) -> Iterator[Problem]:
    action = ACTIONS.get(call.uses)
    if action is None:
        yield document.problem((*path, "uses"), f"unknown action '{call.uses}'", suggest(call.uses, list(ACTIONS)))
        return
    for name, value in call.with_.items():
        place: Path = (*path, "with", name)
        parameter = action.find_parameter(name)
        if parameter is None:
            known = [item.name for item in action.parameters]
            hint = suggest(name, known) if known else "it takes none"
            yield document.problem(place, f"'{action.name}' has no input '{name}'", hint, key=True)
        else:
            yield from _check_argument(place, parameter, value, model, document)


def _check_argument(
    path: Path, parameter: Parameter, value: object, model: PlaybookModel, document: YamlDocument
) -> Iterator[Problem]:
    references = _INPUT_REFERENCE.findall(value) if isinstance(value, str) else []
    for reference in references:
        match = _INPUT_NAME.match(reference)
        if not match or match[1] not in model.inputs:
            known = [f"inputs.{name}" for name in model.inputs]
            hint = suggest(reference, known) if known else "declare it under 'inputs'"
            yield document.problem(path, f"'{reference}' is no input of this playbook", hint)
    if references:
        return
    if not _is_of_type(value, _TYPES[parameter.type]):
        yield document.problem(path, f"'{parameter.name}' must be a {parameter.type}", parameter.help)
    elif parameter.choices and value not in parameter.choices:
        yield document.problem(
            path, f"'{parameter.name}' cannot be '{value}'", suggest(str(value), [*parameter.choices])
        )


def _check_effects(path: Path, step: StepModel, action: Action, document: YamlDocument) -> Iterator[Problem]:
    declared = step.effects or action.effects
    if _RANKS[declared] < _RANKS[action.effects]:
        message = f"'{action.name}' has the effect '{action.effects}', not '{declared}'"
        yield document.problem((*path, "effects"), message, f"write 'effects: {action.effects}'")
    if action.name == "contain.isolate" and step.rollback is None:
        hint = "add 'rollback: {uses: contain.release}'"
        yield document.problem(path, f"the containment step '{step.id}' has no rollback", hint)
    if step.on_failure == "rollback" and step.rollback is None:
        yield document.problem((*path, "on_failure"), f"the step '{step.id}' has no rollback", "add 'rollback:'")
    produced = set(action.produces)
    for number, need in enumerate(step.evidence):
        if need.required and need.kind not in produced:
            message = f"'{action.name}' does not collect '{need.kind}'"
            hint = suggest(need.kind, sorted(produced)) if produced else "it collects nothing"
            yield document.problem((*path, "evidence", number), message, hint)


def _check_condition(path: Path, expression: str, document: YamlDocument) -> Iterator[Problem]:
    from forensics.playbook.condition import ConditionError, compile_condition  # noqa: PLC0415 - 130 ms, only if used

    try:
        compile_condition(expression)
    except ConditionError as error:
        yield document.problem(path, f"the condition does not compile: {error}", error.hint)


def _check_volatility(steps: Placed, document: YamlDocument) -> Iterator[Problem]:
    before: tuple[int, StepModel] | None = None
    for path, step in steps:
        action = ACTIONS.get(step.uses)
        if action is None or action.volatility is None:
            continue
        if before and action.volatility < before[0]:
            message = f"'{step.id}' collects what is more volatile than '{before[1].id}', which stands above it"
            yield document.problem(path, message, f"move '{step.id}' above '{before[1].id}'")
        if before is None or action.volatility >= before[0]:
            before = (action.volatility, step)


def _check_destruction(steps: Placed, document: YamlDocument) -> Iterator[Problem]:
    """A step that mutates or destroys comes after everything that preserves, and needs it."""
    needed: dict[str, set[str]] = {}
    for path, step in steps:
        needed[step.id] = set(step.needs).union(*(needed.get(need, set()) for need in step.needs))
        action = ACTIONS.get(step.uses)
        effects = max(step.effects or "read", action.effects if action else "read", key=_RANKS.__getitem__)
        if _RANKS[effects] < _RANKS["mutate"]:
            continue
        required = [other for _, other in steps if any(need.required for need in other.evidence)]
        if not required:
            yield document.problem(
                path, f"'{step.id}' would {effects}, and no step requires evidence", "add 'evidence:'"
            )
        for other in required:
            if other.id not in needed[step.id]:
                message = f"'{step.id}' would {effects} before the evidence of '{other.id}' is safe"
                yield document.problem(path, message, f"add '{other.id}' to its 'needs'")
        if effects == "destroy" and step.approval is None:
            problem = document.problem(path, f"'{step.id}' destroys without anyone's approval", "add 'approval:'")
            yield replace(problem, warning=True)


def _is_of_type(value: object, types: tuple[type, ...]) -> bool:
    return isinstance(value, types) and (bool in types or not isinstance(value, bool))
