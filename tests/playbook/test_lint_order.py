"""Attempts to get a destroying step past the linter, or evidence out of order: each is refused with its reason."""

import pytest

from forensics.errors import PlaybookError
from forensics.playbook.validate import find_problems, validate_playbook

HEAD = "apiVersion: ir/v1\nkind: Playbook\nid: x\nname: X\ndescription: d\n"
KEEP = "  - {id: keep, uses: collect.snapshot, evidence: [{kind: image}]}\n"
APPROVED = "approval: {approvers: [lead]}"

FOOLED = {
    "in finally, which always runs": (
        f"steps:\n{KEEP}finally:\n  - {{id: k, uses: remediate.kill, {APPROVED}}}\n",
        "'k' would destroy before the evidence of 'keep' is safe",
    ),
    "beside what preserves, by needs of something else": (
        (f"steps:\n{KEEP}  - {{id: n, uses: case.note, with: {{text: x}}}}\n"
        f"  - {{id: k, uses: remediate.kill, needs: [n], {APPROVED}}}\n"),
        "'k' would destroy before the evidence of 'keep' is safe",
    ),
    "what preserves may be skipped by its condition": (
        ("inputs: {no: {type: boolean}}\nsteps:\n"
        "  - {id: keep, uses: collect.snapshot, when: inputs.no, evidence: [{kind: image}]}\n"
        f"  - {{id: k, uses: remediate.remove, {APPROVED}}}\n"),
        "'k' would destroy before the evidence of 'keep' is safe",
    ),
    "what preserves may fail and the run goes on": (
        ("steps:\n  - {id: keep, uses: collect.snapshot, on_failure: continue, evidence: [{kind: image}]}\n"
        f"  - {{id: k, uses: remediate.stop, {APPROVED}}}\n"),
        "'k' would destroy before the evidence of 'keep' is safe",
    ),
    "needs in a circle": (
        (f"steps:\n  - {{id: k, uses: remediate.kill, needs: [keep], {APPROVED}}}\n"
        "  - {id: keep, uses: collect.snapshot, needs: [k], evidence: [{kind: image}]}\n"),
        "no step 'keep' stands above this one",
    ),
    "needs itself": (
        f"steps:\n{KEEP}  - {{id: k, uses: remediate.kill, needs: [k, keep], {APPROVED}}}\n",
        "no step 'k' stands above this one",
    ),
    "evidence that is only wished for": (
        ("steps:\n  - {id: keep, uses: collect.snapshot, evidence: [{kind: image, required: false}]}\n"
        f"  - {{id: k, uses: remediate.kill, needs: [keep], {APPROVED}}}\n"),
        "'k' would destroy, and no step requires evidence",
    ),
    "evidence of something else": (
        ("steps:\n  - {id: keep, uses: collect.clock, evidence: [{kind: clock}]}\n"
        f"  - {{id: k, uses: remediate.remove, needs: [keep], {APPROVED}}}\n"),
        "'k' may destroy the file system, and no step that it needs requires evidence 'image'",
    ),
    "a rollback that destroys": (
        "steps:\n  - {id: c, uses: contain.isolate, rollback: {uses: remediate.remove}}\n",
        "the rollback of 'c' would destroy",
    ),
    "a rollback of one's own that destroys": (
        ("steps:\n  - {id: c, uses: collect.clock, on_failure: rollback, "
        "rollback: {uses: command.run, effects: destroy, with: {argv: [/bin/true]}}}\n"),
        "the rollback of 'c' would destroy",
    ),
    "a rollback that does not say what it does": (
        "steps:\n  - {id: c, uses: contain.isolate, rollback: {uses: command.run, with: {argv: [/bin/true]}}}\n",
        "the rollback of 'c' does not say what it does",
    ),
    "a rollback that undoes nothing": (
        "steps:\n  - {id: c, uses: contain.isolate, rollback: {uses: collect.inspect}}\n",
        "'collect.inspect' does not undo the containment of 'c'",
    ),
    "a command that does not say what it does": (
        "steps:\n  - {id: r, uses: command.run, with: {argv: [/usr/bin/docker, rm, -f, web]}}\n",
        "'r' does not say what 'command.run' does",
    ),
    "a command that contains without a rollback": (
        "steps:\n  - {id: r, uses: command.run, effects: contain, with: {argv: [/bin/true]}}\n",
        "the containment step 'r' has no rollback",
    ),
    "a command that destroys before": (
        f"steps:\n  - {{id: r, uses: command.run, effects: destroy, with: {{argv: [/bin/true]}}, {APPROVED}}}\n{KEEP}",
        "'r' would destroy before the evidence of 'keep' is safe",
    ),
    "a destroying action under a milder name": (
        f"steps:\n{KEEP}  - {{id: k, uses: remediate.kill, effects: read}}\n",
        "'remediate.kill' has the effect 'destroy', not 'read'",
    ),
    "collecting in finally what the steps have passed": (
        f"steps:\n{KEEP}finally:\n  - {{id: late, uses: collect.memory}}\n",
        "'late' collects what is more volatile than 'keep', which stands above it",
    ),
    "collecting again what all has collected": (
        "steps:\n  - {id: all, uses: collect.all}\n  - {id: late, uses: collect.processes}\n",
        "'late' collects what is more volatile than 'all', which stands above it",
    ),
    "the rest after a later one": (
        "steps:\n  - {id: a, uses: collect.memory}\n  - {id: rest, uses: collect.rest}\n",
        "'rest' collects what is more volatile than 'a', which stands above it",
    ),
    "leaving something out of all, and taking it later": (
        "steps:\n  - {id: all, uses: collect.all, with: {skip: [sockets]}}\n  - {id: late, uses: collect.sockets}\n",
        "'late' collects what is more volatile than 'all', which stands above it",
    ),
    "collecting from what was killed": (
        (f"steps:\n{KEEP}  - {{id: k, uses: remediate.kill, needs: [keep], {APPROVED}}}\n"
        "finally:\n  - {id: late, uses: collect.sockets}\n"),
        "'late' collects what 'k' has ended",
    ),
    "collecting into a sealed case": (
        "steps:\n  - {id: seal, uses: case.seal}\n  - {id: late, uses: collect.inspect}\n",
        "'late' collects into a case that 'seal' has sealed",
    ),
    "an input of another type": (
        "inputs: {who: {type: string}}\nsteps:\n  - {id: a, uses: collect.all, with: {memory: '${inputs.who}'}}\n",
        "'memory' must be a boolean, not the string input 'who'",
    ),
    "a missing argument": (
        "steps:\n  - {id: a, uses: case.note}\n",
        "'case.note' needs the input 'text'",
    ),
    "a shell line instead of a list": (
        "steps:\n  - {id: a, uses: command.run, effects: read, with: {argv: 'rm -rf /'}}\n",
        "'argv' must be a list of texts",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "message"), FOOLED.values(), ids=FOOLED.keys())
def test_is_refused(text: str, message: str) -> None:
    problems, _ = find_problems((HEAD + text).encode(), "f")
    assert message in [problem.message for problem in problems if not problem.warning]
    assert all(problem.line >= 6 for problem in problems)
    with pytest.raises(PlaybookError):
        validate_playbook((HEAD + text).encode(), "f")


SOUND = {
    "kill after everything": (
        "steps:\n  - {id: all, uses: collect.all, evidence: [{kind: image}]}\n"
        f"  - {{id: k, uses: remediate.remove, needs: [all], {APPROVED}}}\n"
    ),
    "needs through a step between": (
        f"steps:\n{KEEP}  - {{id: n, uses: case.note, needs: [keep], with: {{text: x}}}}\n"
        f"  - {{id: k, uses: remediate.block-image, needs: [n], {APPROVED}}}\n"
    ),
    "in finally, with its needs": (
        f"steps:\n{KEEP}finally:\n  - {{id: b, uses: remediate.block-image, needs: [keep], {APPROVED}}}\n"
    ),
    "volumes before the file system": (
        "steps:\n  - {id: v, uses: collect.volumes}\n  - {id: s, uses: collect.snapshot}\n"
    ),
    "piece by piece": (
        "steps:\n  - {id: a, uses: collect.rest, with: {until: sockets}}\n"
        "  - {id: b, uses: collect.rest, with: {until: executables}}\n  - {id: m, uses: collect.memory}\n"
    ),
}


@pytest.mark.parametrize("text", SOUND.values(), ids=SOUND.keys())
def test_is_accepted_without_a_word(text: str) -> None:
    problems, _ = find_problems((HEAD + text).encode(), "f")
    assert problems == []


def test_ending_what_was_not_collected_is_a_warning_that_names_it() -> None:
    problems, _ = find_problems(
        f"{HEAD}steps:\n{KEEP}  - {{id: k, uses: remediate.kill, needs: [keep], {APPROVED}}}\n".encode(), "f"
    )
    assert [(p.message, p.warning) for p in problems] == [
        ("'k' ends what was not collected: sockets, processes, executables, tmpfs", True)
    ]


def test_letting_it_go_on_before_it_is_preserved_is_a_warning() -> None:
    text = f"{HEAD}steps:\n  - {{id: go, uses: contain.release}}\n{KEEP}"
    problems, _ = find_problems(text.encode(), "f")
    assert [(p.message, p.warning) for p in problems] == [
        ("'go' lets the container go on before 'keep' has preserved it", True)
    ]
