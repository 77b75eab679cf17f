"""The schema for editors knows every action, and what may stand beside it."""

from __future__ import annotations

from forensics.playbook.catalogue import list_actions
from forensics.playbook.editor import build_schema


def test_knows_every_action_with_its_help_and_its_inputs() -> None:
    step = build_schema()["$defs"]["StepModel"]
    offered = {choice["const"]: choice["description"] for choice in step["properties"]["uses"]["oneOf"]}
    assert offered == {action.name: action.help for action in list_actions()}
    rules = {rule["if"]["properties"]["uses"]["const"]: rule["then"]["properties"]["with"] for rule in step["allOf"]}
    for action in list_actions():
        rule = rules[action.name]
        assert set(rule["properties"]) == {parameter.name for parameter in action.parameters}
        assert rule["additionalProperties"] is False
        assert rule.get("required", []) == [p.name for p in action.parameters if p.required]


def test_names_keys_as_they_are_written_and_refuses_others() -> None:
    schema = build_schema()
    assert {"apiVersion", "kind", "steps", "finally", "when_to_use"} <= set(schema["properties"])
    assert schema["additionalProperties"] is False
    assert "with" in schema["$defs"]["StepModel"]["properties"]
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
