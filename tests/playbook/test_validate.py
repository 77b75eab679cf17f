"""What is wrong with a playbook is said with file, line, column and a suggestion."""

import pytest

from forensics.errors import PlaybookError
from forensics.playbook.validate import find_problems, validate_playbook

HEAD = "apiVersion: ir/v1\nkind: Playbook\nid: x\nname: X\ndescription: d\n"
ISOLATE = "  - {id: c, uses: contain.isolate, rollback: {uses: contain.release}}\n"

WRONG = {
    "unknown key": (
        HEAD + "stepps: []\n",
        "f.yaml:6:1: unknown key 'stepps' (and 1 more; see 'ir playbook lint')",
        "did you mean 'steps'?",
    ),
    "unknown step key": (
        HEAD + "steps:\n  - id: a\n    usess: case.seal\n    uses: case.seal\n",
        "f.yaml:8:5: unknown key 'usess'",
        "did you mean 'uses'?",
    ),
    "missing key": (HEAD, "f.yaml:1:1: the key 'steps' is missing", "add 'steps:'"),
    "wrong constant": (
        HEAD + "severity: hihg\nsteps:\n" + ISOLATE,
        "f.yaml:6:11: 'severity' cannot be 'hihg'",
        "did you mean 'high'?",
    ),
    "unknown action": (
        HEAD + "steps:\n  - {id: a, uses: collect.al}\n",
        "f.yaml:7:19: unknown action 'collect.al'",
        "did you mean 'collect.all'?",
    ),
    "unknown action input": (
        HEAD + "steps:\n  - {id: a, uses: collect.all, with: {memmory: true}}\n",
        "f.yaml:7:39: 'collect.all' has no input 'memmory'",
        "did you mean 'memory'?",
    ),
    "wrong argument type": (
        HEAD + "steps:\n  - {id: a, uses: collect.all, with: {memory: 'yes'}}\n",
        "f.yaml:7:47: 'memory' must be a boolean",
        "write true or false",
    ),
    "wrong choice": (
        HEAD + "steps:\n  - {id: a, uses: report.render, with: {format: htlm}}\n",
        "f.yaml:7:49: 'format' cannot be 'htlm'",
        "did you mean 'html'?",
    ),
    "unknown input": (
        HEAD + "inputs: {memory: {type: boolean}}\nsteps:\n"
        "  - {id: a, uses: collect.all, with: {memory: '${inputs.memor}'}}\n",
        "f.yaml:8:47: 'inputs.memor' is no input of this playbook",
        "did you mean 'inputs.memory'?",
    ),
    "containment without rollback": (
        HEAD + "steps:\n  - {id: a, uses: contain.isolate}\n",
        "f.yaml:7:5: the containment step 'a' has no rollback",
        "add 'rollback: {uses: contain.release}'",
    ),
    "needs what stands below": (
        HEAD + "steps:\n  - {id: a, uses: collect.all, needs: [b]}\n  - {id: b, uses: case.seal}\n",
        "f.yaml:7:40: no step 'b' stands above this one",
        "a step needs steps that stand above it",
    ),
    "same id": (
        HEAD + "steps:\n  - {id: a, uses: case.seal}\n  - {id: a, uses: case.verify}\n",
        "f.yaml:8:10: a second step is called 'a'",
        "give each step its own id",
    ),
    "evidence that the action does not collect": (
        HEAD + "steps:\n  - {id: a, uses: collect.all, evidence: [{kind: imag}]}\n",
        "f.yaml:7:43: 'collect.all' does not collect 'imag'",
        "did you mean 'image'?",
    ),
    "weaker effect than the action has": (
        HEAD + "steps:\n  - {id: a, uses: contain.isolate, effects: read, rollback: {uses: contain.release}}\n",
        "f.yaml:7:45: 'contain.isolate' has the effect 'contain', not 'read'",
        "write 'effects: contain'",
    ),
    "destroy before evidence": (
        HEAD + "steps:\n  - {id: a, uses: collect.all, evidence: [{kind: image}]}\n"
        "  - {id: k, uses: case.seal, effects: destroy, approval: {approvers: [lead]}}\n",
        "f.yaml:8:5: 'k' would destroy before the evidence of 'a' is safe",
        "add 'a' to its 'needs'",
    ),
    "volatility": (
        HEAD + "steps:\n  - {id: late, uses: collect.inspect}\n  - {id: early, uses: collect.sockets}\n",
        "f.yaml:8:5: 'early' collects what is more volatile than 'late', which stands above it",
        "move 'early' above 'late'",
    ),
    "condition": (
        HEAD + "steps:\n  - {id: a, uses: case.seal, when: 'findngs.size() > 0'}\n",
        "f.yaml:7:36: the condition does not compile: 'findngs' is unknown here",
        "there are case, container, findings, inputs, steps, verdict",
    ),
    "duration": (
        HEAD + "steps:\n  - {id: a, uses: case.seal, timeout: 30}\n",
        "f.yaml:7:39: 'timeout': a duration is a number and a unit, as in 90s, 30m or 1h",
        "",
    ),
}


@pytest.mark.parametrize(("text", "message", "hint"), WRONG.values(), ids=WRONG.keys())
def test_says_what_is_wrong_and_where(text: str, message: str, hint: str) -> None:
    with pytest.raises(PlaybookError) as caught:
        validate_playbook(text.encode(), "f.yaml")
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_counts_the_other_problems() -> None:
    with pytest.raises(PlaybookError, match=r"unknown action 'a\.b' \(and 1 more; see 'ir playbook lint'\)"):
        validate_playbook((HEAD + "steps:\n  - {id: a, uses: a.b}\n  - {id: b, uses: a.c}\n").encode(), "f")


def test_destroying_needs_approval_as_a_warning() -> None:
    text = (
        HEAD + "steps:\n  - {id: a, uses: collect.all, evidence: [{kind: image}]}\n"
        "  - {id: k, uses: case.seal, needs: [a], effects: destroy}\n"
    )
    problems, document = find_problems(text.encode(), "f")
    assert [(problem.message, problem.warning) for problem in problems] == [
        ("'k' destroys without anyone's approval", True)
    ]
    assert document["steps"][1]["effects"] == "destroy"


def test_fills_in_every_default() -> None:
    document = validate_playbook((HEAD + "steps:\n" + ISOLATE).encode(), "f")
    assert document["steps"][0] == {
        "id": "c", "uses": "contain.isolate", "with": {}, "effects": "contain", "description": "", "needs": [],
        "when": "", "timeout_s": 0.0, "attempts": 1, "delay_s": 0.0, "on_failure": "abort",
        "rollback": {"uses": "contain.release", "with": {}}, "evidence": [], "approval": None,
    }  # fmt: skip


STEP = "steps:\n  - {id: a, uses: case.verify}\n"
HOSTILE = {
    "a key in look-alike letters": (STEP + "\u0455teps: []\n", "unknown key '\u0455teps'", "did you mean 'steps'?"),
    "a key that turns the line around": (STEP + "\u202estep: 1\n", r"unknown key '\u202estep'", "known: "),
    "a key with a hidden NUL": (STEP + '"a\\0b": 1\n', r"unknown key 'a\x00b'", "known: "),
    "a key with a terminal escape": (STEP + '"\\e[31mx": 1\n', r"unknown key '\x1b[31mx'", "known: "),
    "an id with a NUL": ('steps:\n  - {id: "a\\0", uses: case.verify}\n', r"'a\x00' does not fit", "write lower-case"),
    "a duration without end": (
        f"steps:\n  - {{id: a, uses: case.verify, timeout: {'9' * 400}d}}\n",
        "a year at most",
        "",
    ),
    "a pause of a thousand years": (
        "steps:\n  - {id: a, uses: case.verify, retry: {attempts: 10, delay: 999999d}}\n",
        "a year at most",
        "",
    ),
    "a mapping as an argument": (
        "steps:\n  - {id: a, uses: case.note, with: {text: {a: b}}}\n",
        "'text': an argument is text",
        "",
    ),
    "a number in a list of texts": (
        "steps:\n  - {id: a, uses: command.run, effects: read, with: {argv: [/bin/x, 1]}}\n",
        "a list holds texts only",
        "",
    ),
    "a negative budget": (
        "steps:\n  - {id: a, uses: collect.memory, with: {budget_bytes: -1}}\n",
        "'budget_bytes' must be 0 or more",
        "most",
    ),
    "a reference within a reference": (
        "steps:\n  - {id: a, uses: case.note, with: {text: '${inputs.${inputs.a}}'}}\n",
        "is no input of this playbook",
        "",
    ),
    "three thousand steps": (
        "steps:\n" + "".join(f"  - {{id: s{n}, uses: case.verify}}\n" for n in range(3000)),
        "at most 200 items",
        "",
    ),
    "a bomb as a condition": (
        f"steps:\n  - {{id: a, uses: case.verify, when: '{'!' * 999}'}}\n",
        "more than 120 operators",
        "conditions are CEL",
    ),
    "an assignment for a condition": (
        "steps:\n  - {id: a, uses: case.verify, when: 'verdict = 1'}\n",
        "not CEL at character",
        "compare with ==",
    ),
    "a list where keys belong": (
        "steps:\n  - {id: a, uses: case.verify, with: [a]}\n",
        "'with' must be keys and values",
        "write",
    ),
    "a word where a list belongs": (
        "steps:\n  - {id: a, uses: case.verify, needs: b}\n",
        "'needs' must be a list",
        "write [",
    ),
    "no steps at all": ("steps:\n", "'steps' must be a list", "write ["),
    "text that holds a colon": ("severity: a: b\n" + STEP, "not YAML: mapping values", "quote text that holds ': '"),
    "a tab": ("steps:\n\t- {id: a, uses: case.verify}\n", "not YAML: found", ""),
}


@pytest.mark.parametrize(("text", "message", "hint"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_and_careless_files_get_one_plain_sentence(text: str, message: str, hint: str) -> None:
    with pytest.raises(PlaybookError) as caught:
        validate_playbook((HEAD + text).encode(), "f")
    assert message in caught.value.message
    assert caught.value.hint.startswith(hint)
    assert caught.value.message.startswith("f:")
    assert (caught.value.message + caught.value.hint).isprintable()
