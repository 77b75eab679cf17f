"""The published JSON Schema of ``ir.report/1`` describes the document that is rendered, and would notice another."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from report_samples import build_analysis, build_case

from forensics.report.build import build
from forensics.report.json import render_json

SCHEMA = Path(__file__).parents[2] / "docs/schemas/ir.report-1.schema.json"


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = json.loads(SCHEMA.read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    case = build_case(tmp_path_factory.mktemp("schema") / "case")
    return dict(json.loads(render_json(build(case, build_analysis()))))


def test_the_rendered_report_conforms(validator: Draft202012Validator, document: dict[str, Any]) -> None:
    assert [error.message for error in validator.iter_errors(document)] == []


def test_every_key_that_is_rendered_is_described(validator: Draft202012Validator, document: dict[str, Any]) -> None:
    described = validator.schema["properties"]
    assert set(document) == set(described)
    for section in ("findings", "changes", "deleted_recovered", "ledger"):
        name = {"findings": "finding", "changes": "change", "deleted_recovered": "recovered", "ledger": "ledger_line"}
        assert set(document[section][0]) == set(validator.schema["$defs"][name[section]]["properties"])
    for section in ("layers", "timeline", "processes", "connections", "settings", "items", "indicators", "secrets"):
        assert set(document[section][0]) == set(described[section]["items"]["properties"])


@pytest.mark.parametrize("key", ["schema", "verdict", "findings", "ledger", "containment", "custody"])
def test_a_report_without_a_key_or_with_another_value_does_not(
    validator: Draft202012Validator, document: dict[str, Any], key: str
) -> None:
    without, other = copy.deepcopy(document), copy.deepcopy(document)
    del without[key]
    other[key] = 7

    assert not validator.is_valid(without)
    assert not validator.is_valid(other)
