"""Conditions: bounded CEL over what a run knows."""

import pytest

from forensics.playbook.condition import ConditionError, compile_condition, evaluate

VALUES = {
    "case": {"id": "c"},
    "container": {"name": "web"},
    "findings": [{"severity": "critical"}, {"severity": "low"}],
    "inputs": {"memory": False},
    "steps": {"contain": {"outcome": "done"}},
    "verdict": "compromised",
}


@pytest.mark.parametrize(
    ("expression", "answer"),
    [
        ('findings.exists(f, f.severity == "critical")', True),
        ('findings.all(f, f.severity == "critical")', False),
        ("findings.size() > 1 && !inputs.memory", True),
        ('steps.contain.outcome == "done"', True),
        ('verdict == "no-evidence"', False),
    ],
)
def test_answers(expression: str, answer: bool) -> None:
    assert evaluate(expression, VALUES) is answer


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("1 +", "not CEL at character 3"),
        ("foo == 1", "'foo' is unknown here"),
        ("findings.exists(f, f.severity == 'x') && g", "'g' is unknown here"),
        ("a" * 1001, "longer than 1000 characters"),
        ("[" * 61, "too many brackets"),
        ("findings.all(a, findings.all(b, findings.all(c, findings.all(d, true))))", "more than 3 of all"),
    ],
)
def test_refuses_to_compile(expression: str, message: str) -> None:
    with pytest.raises(ConditionError, match=message):
        compile_condition(expression)


@pytest.mark.parametrize("expression", ['"text"', "steps.nothing.outcome == 'done'", "1 / 0 == 1", "verdict == 1"])
def test_no_answer_is_an_error_and_never_false(expression: str) -> None:
    with pytest.raises(ConditionError):
        evaluate(expression, VALUES)
