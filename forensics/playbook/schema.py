"""What a playbook file may say (design §8), as pydantic models; every unknown key is an error.

Only :mod:`forensics.playbook.validate` and the scenario reader import this module: nothing on the way of `ir isolate`.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)\Z")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LONGEST_S = 366 * 86400.0
_MAX_TEXT = 4000

IDENTIFIER = r"^[a-z0-9][a-z0-9_-]{0,63}$"
ACTION_NAME = r"^[a-z][a-z0-9_-]*(\.[a-z][a-z0-9_-]*)+$"
ATTACK_ID = r"^T[0-9]{4}(\.[0-9]{3})?$"
REFERENCE = r"^https?://[!-~]+$"
Identifier = Annotated[str, Field(pattern=IDENTIFIER)]
ActionName = Annotated[str, Field(pattern=ACTION_NAME, max_length=100)]
AttackId = Annotated[str, Field(pattern=ATTACK_ID)]
Text = Annotated[str, Field(max_length=_MAX_TEXT)]


def parse_duration(value: object) -> object:
    """Return seconds of ``90s``, ``30m``, ``1h``; anything else is left for pydantic to refuse."""
    if not isinstance(value, str):
        raise ValueError("a duration is a number and a unit, as in 90s, 30m or 1h")  # noqa: TRY004 - pydantic wants ValueError
    match = _DURATION.match(value)
    if not match:
        raise ValueError("a duration is a number and a unit, as in 90s, 30m or 1h")
    return float(match[1]) * _UNIT_S[match[2]]


def _positive(value: float) -> float:
    if value <= 0:
        raise ValueError("a duration must be longer than nothing")
    if value > _LONGEST_S:
        raise ValueError("a duration is a year at most")
    return value


def _check_argument(value: object) -> object:
    """Return an argument of an action; which type it must have is the action's business."""
    if isinstance(value, list) and not all(isinstance(item, str) for item in value):
        raise ValueError("a list holds texts only; quote its numbers")
    if isinstance(value, dict):
        raise ValueError("an argument is text, a number, true, false or a list of texts")  # noqa: TRY004 - pydantic wants ValueError
    return value


Duration = Annotated[float, BeforeValidator(parse_duration, json_schema_input_type=str), AfterValidator(_positive)]


Argument = Annotated[
    Any,
    AfterValidator(_check_argument),
    WithJsonSchema(
        {"type": ["string", "number", "boolean", "array", "null"], "items": {"type": "string"}},
    ),
]


class StrictModel(BaseModel):
    """No unknown keys, no type guessing."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)


class InputModel(StrictModel):
    """One value that whoever runs the playbook gives."""

    type: Literal["container", "string", "integer", "boolean"]
    required: bool = False
    default: str | int | bool | None = None
    description: Text = ""


class CallModel(StrictModel):
    """A registered action and its arguments."""

    uses: ActionName
    with_: dict[str, Argument] = Field(default_factory=dict, alias="with")


class RollbackModel(CallModel):
    """The action that undoes a step; ``effects`` where the action itself cannot say."""

    effects: Literal["read", "contain", "mutate", "destroy"] | None = None


class EvidenceModel(StrictModel):
    """A kind of evidence that the step must leave in the case."""

    kind: Identifier
    required: bool = True


class ApprovalModel(StrictModel):
    """Who may allow the step, and how long the question stays open."""

    approvers: Annotated[list[Identifier], Field(min_length=1)]
    expires: Duration = 3600.0


class RetryModel(StrictModel):
    """How often to try in all, and the first pause; each further pause is twice as long."""

    attempts: Annotated[int, Field(ge=1, le=10)]
    delay: Duration = 1.0


class StepModel(CallModel):
    """One step: an action, when it runs, what it changes, and what happens when it fails."""

    id: Identifier
    description: Text = ""
    needs: list[Identifier] = Field(default_factory=list)
    when: Annotated[str, Field(max_length=1000)] = ""
    timeout: Duration | None = None
    retry: RetryModel | None = None
    effects: Literal["read", "contain", "mutate", "destroy"] | None = None
    on_failure: Literal["abort", "continue", "rollback"] = "abort"
    rollback: RollbackModel | None = None
    evidence: list[EvidenceModel] = Field(default_factory=list)
    approval: ApprovalModel | None = None


class PlaybookModel(StrictModel):
    """A whole playbook file."""

    api_version: Literal["ir/v1"] = Field(alias="apiVersion")
    kind: Literal["Playbook"]
    id: Identifier
    name: Annotated[str, Field(min_length=1, max_length=200)]
    description: Text
    when_to_use: Text = ""
    severity: Literal["critical", "high", "medium", "low", "info"] = "medium"
    attack: list[AttackId] = Field(default_factory=list)
    references: list[Annotated[str, Field(pattern=REFERENCE, max_length=500)]] = Field(default_factory=list)
    inputs: dict[Identifier, InputModel] = Field(default_factory=dict)
    steps: Annotated[list[StepModel], Field(min_length=1, max_length=200)]
    finally_: list[StepModel] = Field(default_factory=list, alias="finally", max_length=50)
