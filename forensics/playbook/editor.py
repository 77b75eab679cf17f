"""The JSON Schema of playbooks for editors: completes keys and actions, and shows their help. Checks nothing itself."""

from __future__ import annotations

from forensics.model import JsonObject
from forensics.playbook.action import Action, Parameter
from forensics.playbook.catalogue import list_actions
from forensics.playbook.schema import PlaybookModel

_TYPES = {"list": "array"}
_REFERENCE = r"\$\{inputs\.[a-z0-9][a-z0-9_-]*\}"


def build_schema() -> JsonObject:
    """Return the schema (draft 2020-12), with every action and its inputs; `lint` checks more than it can say."""
    schema: JsonObject = PlaybookModel.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Playbook"
    actions = list_actions()
    for name in ("StepModel", "RollbackModel"):
        model = schema["$defs"][name]
        model["properties"]["uses"] = {
            "description": "the action",
            "oneOf": [{"const": action.name, "description": action.help} for action in actions],
        }
        model["allOf"] = [_describe_call(action) for action in actions]
    return schema


def _describe_call(action: Action) -> JsonObject:
    """Return what `with` may hold where `uses` names *action*."""
    required = [parameter.name for parameter in action.parameters if parameter.required]
    given: JsonObject = {
        "properties": {parameter.name: _describe(parameter) for parameter in action.parameters},
        "additionalProperties": False,
    }
    then: JsonObject = {"properties": {"with": given | ({"required": required} if required else {})}}
    if required:
        then["required"] = ["with"]
    return {"if": {"properties": {"uses": {"const": action.name}}, "required": ["uses"]}, "then": then}


def _describe(parameter: Parameter) -> JsonObject:
    """Return the schema of one argument; an input may stand in its place."""
    described: JsonObject = {"type": _TYPES.get(parameter.type, parameter.type)}
    if parameter.type == "list":
        described["items"] = {"type": "string"}
    if parameter.choices:
        described["enum"] = list(parameter.choices)
    about: JsonObject = {"description": parameter.help}
    if parameter.default is not None:
        about["default"] = list(parameter.default) if isinstance(parameter.default, tuple) else parameter.default
    return {"anyOf": [described, {"type": "string", "pattern": _REFERENCE}], **about}
