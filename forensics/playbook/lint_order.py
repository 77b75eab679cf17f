"""Proves of a playbook that volatile things are collected first, and nothing is destroyed before it is preserved.

Works on what is written, whatever happens at run time: a step that was skipped or has failed meets nobody's need, so a
step that needs every step that requires evidence never runs without that evidence. `needs` cannot go in circles: they
only name steps above. Rollbacks never mutate or destroy, and `finally` is held to the same rules as the steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain

from forensics.playbook.action import Action
from forensics.playbook.catalogue import find_action
from forensics.playbook.collect_actions import COLLECTED, list_until
from forensics.playbook.loader import Path, Problem, YamlDocument
from forensics.playbook.schema import StepModel

Placed = Sequence[tuple[Path, StepModel]]
"""Steps, and where each stands in the file."""
RANKS = {"read": 0, "contain": 1, "mutate": 2, "destroy": 3}
_LAST = 100
_OPTIONAL = "memory"
_RUNNING_ENDS = 60
"""What is less volatile than this does not end with the last process."""


def check_order(steps: Placed, last: Placed, document: YamlDocument) -> Iterator[Problem]:
    """Yield what is in the wrong order, `finally` included."""
    placed = [*steps, *last]
    return chain(
        _check_volatility(placed, document),
        _check_destruction(placed, document),
        _check_late(placed, document),
        _check_release(placed, document),
    )


def _check_volatility(placed: Placed, document: YamlDocument) -> Iterator[Problem]:
    covered: set[str] = set()
    highest: tuple[int, str] = (0, "")
    for path, step in placed:
        names = _collectors(step, covered)
        if not names:
            continue
        first, most = (pick(_volatility(name) for name in names) for pick in (min, max))
        if first < highest[0]:
            message = f"'{step.id}' collects what is more volatile than '{highest[1]}', which stands above it"
            yield document.problem(path, message, f"move '{step.id}' above '{highest[1]}'")
        elif most >= highest[0]:
            highest = (most, step.id)
        covered |= names


def _collectors(step: StepModel, covered: set[str]) -> set[str]:
    """Return the collectors that *step* runs after *covered* have run."""
    memory = bool(step.with_.get(_OPTIONAL))
    if step.uses == "collect.all":
        skipped = step.with_.get("skip")
        return set(list_until("host", memory=memory)) - set(skipped if isinstance(skipped, list) else ())
    if step.uses == "collect.rest":
        last = str(step.with_.get("until", "host"))
        return set(list_until(last if last in COLLECTED else "host", memory=memory)) - covered
    name = step.uses.removeprefix("collect.")
    if name in COLLECTED and name != step.uses:
        return {name}
    action = find_action(step.uses)
    return {step.uses} if action and action.is_collector() else set()


def _volatility(name: str) -> int:
    action = COLLECTED.get(name) or find_action(name)
    return _LAST if action is None or action.volatility is None else action.volatility


def find_effects(step: StepModel, action: Action | None) -> str:
    """Return the worst that a step declares or its action does."""
    return max(step.effects or "read", action.effects if action else "read", key=RANKS.__getitem__)


def _check_destruction(placed: Placed, document: YamlDocument) -> Iterator[Problem]:
    """A step that mutates or destroys needs everything that preserves."""
    needed: dict[str, set[str]] = {}
    required = [other for _, other in placed if any(need.required for need in other.evidence)]
    for path, step in placed:
        needed[step.id] = set(step.needs).union(*(needed.get(need, set()) for need in step.needs))
        action = find_action(step.uses)
        effects = find_effects(step, action)
        if RANKS[effects] < RANKS["mutate"]:
            continue
        if not required:
            yield document.problem(
                path, f"'{step.id}' would {effects}, and no step requires evidence", "add 'evidence:'"
            )
        for other in required:
            if other.id not in needed[step.id]:
                message = f"'{step.id}' would {effects} before the evidence of '{other.id}' is safe"
                yield document.problem(path, message, f"add '{other.id}' to its 'needs'")
        if effects == "destroy":
            before = [other for _, other in placed if other.id in needed[step.id]]
            yield from _check_losses(path, step, action, before, document)


def _check_losses(
    path: Path, step: StepModel, action: Action | None, before: list[StepModel], document: YamlDocument
) -> Iterator[Problem]:
    """What the step ends must have been collected by a step that it needs; the file system as required evidence."""
    loses = action.loses if action else ()
    safe = {need.kind for other in before for need in other.evidence if need.required}
    if "snapshot" in loses and "image" not in safe:
        message = f"'{step.id}' may destroy the file system, and no step that it needs requires evidence 'image'"
        yield document.problem(path, message, "add 'evidence: [{kind: image}]' to a step that collects the snapshot")
    collected: set[str] = set()
    for other in before:
        collected |= _collectors(other, collected)
    missing = [name for name in loses if name not in collected and name != "snapshot"]
    if missing:
        hint = "collect them first, or 'collect.all'"
        problem = document.problem(path, f"'{step.id}' ends what was not collected: {', '.join(missing)}", hint)
        yield replace(problem, warning=True)
    if step.approval is None:
        problem = document.problem(
            path, f"'{step.id}' destroys without anyone's approval", "add 'approval:'; without it the step is refused"
        )
        yield replace(problem, warning=True)


def _check_late(placed: Placed, document: YamlDocument) -> Iterator[Problem]:
    """Nothing can be collected from what was ended, nor into a case that is sealed."""
    sealed, ended, gone = "", "", ""
    for path, step in placed:
        names = _collectors(step, set())
        live = any(_volatility(name) < _RUNNING_ENDS for name in names)
        if names and sealed:
            yield document.problem(
                path, f"'{step.id}' collects into a case that '{sealed}' has sealed", f"move it above '{sealed}'"
            )
        if (live and ended) or (names and gone):
            by = gone or ended
            yield document.problem(path, f"'{step.id}' collects what '{by}' has ended", f"move it above '{by}'")
        action = find_action(step.uses)
        sealed = sealed or (step.id if step.uses == "case.seal" else "")
        loses = action.loses if action and find_effects(step, action) == "destroy" else ()
        ended = ended or (step.id if "processes" in loses else "")
        gone = gone or (step.id if "snapshot" in loses else "")


def _check_release(placed: Placed, document: YamlDocument) -> Iterator[Problem]:
    released = ""
    for path, step in placed:
        if released and any(need.required for need in step.evidence):
            problem = document.problem(
                path,
                f"'{released}' lets the container go on before '{step.id}' has preserved it",
                f"move '{step.id}' above '{released}'",
            )
            yield replace(problem, warning=True)
        released = released or (step.id if step.uses == "contain.release" else "")
