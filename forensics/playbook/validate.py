"""Turns the text of a playbook into a normalised document: strict YAML, schema, lint. Runs nothing."""

from __future__ import annotations

from forensics.model import JsonObject
from forensics.playbook.catalogue import find_action
from forensics.playbook.explain import check_model
from forensics.playbook.lint import lint_playbook
from forensics.playbook.loader import Problem, parse_yaml, raise_problems
from forensics.playbook.schema import CallModel, PlaybookModel, StepModel
from forensics.text import show


def validate_playbook(raw: bytes, file: str) -> JsonObject:
    """Return the normalised document that :func:`forensics.playbook.plan.parse_playbook` reads.

    Raises:
        PlaybookError: the first thing that is wrong, with file, line, column and a suggestion.
    """
    problems, document = find_problems(raw, file)
    raise_problems(show(file), [problem for problem in problems if not problem.warning])
    return document


def find_problems(raw: bytes, file: str) -> tuple[list[Problem], JsonObject]:
    """Return everything that is wrong (empty: nothing) and the normalised document (empty where it is unusable).

    Raises:
        PlaybookError: the file is not the YAML that we accept.
    """
    document = parse_yaml(raw, file)
    model, problems = check_model(PlaybookModel, document)
    if model is None:
        return problems, {}
    return lint_playbook(model, document), normalise(model)


def normalise(model: PlaybookModel) -> JsonObject:
    """Return *model* with every default filled in, as plain JSON."""
    return {
        "id": model.id,
        "name": model.name,
        "description": model.description,
        "when_to_use": model.when_to_use,
        "severity": model.severity,
        "attack": model.attack,
        "references": model.references,
        "inputs": {name: value.model_dump() for name, value in model.inputs.items()},
        "steps": [_normalise_step(step) for step in model.steps],
        "finally": [_normalise_step(step) for step in model.finally_],
    }


def _normalise_step(step: StepModel) -> JsonObject:
    action = find_action(step.uses)
    return {
        "id": step.id,
        **_normalise_call(step),
        "effects": step.effects or (action.effects if action else "read"),
        "description": step.description,
        "needs": step.needs,
        "when": step.when,
        "timeout_s": step.timeout or 0.0,
        "attempts": step.retry.attempts if step.retry else 1,
        "delay_s": step.retry.delay if step.retry else 0.0,
        "on_failure": step.on_failure,
        "rollback": _normalise_call(step.rollback) if step.rollback else None,
        "evidence": [need.model_dump() for need in step.evidence],
        "approval": (
            {"approvers": step.approval.approvers, "expires_s": step.approval.expires} if step.approval else None
        ),
    }


def _normalise_call(call: CallModel) -> JsonObject:
    return {"uses": call.uses, "with": call.with_}
