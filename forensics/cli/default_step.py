"""The step of playbooks/default.yaml that a command runs: its parameters, and under whose authority. Runs nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from forensics.model import JsonObject
from forensics.playbook.compiled import read_playbook
from forensics.playbook.run import plan_run

if TYPE_CHECKING:
    from forensics.evidence.case import Case


class DefaultStep(NamedTuple):
    """What the playbook says; ``step`` is empty where it has no such step."""

    arguments: JsonObject
    playbook: str
    step: str

    def authorize(self, case: Case) -> None:
        """Let the custody entries from now on name the playbook and its step."""
        if self.step:
            case.authority = replace(case.authority, playbook=self.playbook, step=self.step)


def read_default_step(uses: str, container: str) -> DefaultStep:
    """Return the first step of the default playbook that calls the action *uses*, its inputs filled in.

    Raises:
        PlaybookError: the playbook does not validate.
    """
    playbook = read_playbook("default")
    name = f"{playbook.id} sha256:{playbook.digest}"
    for planned in plan_run(playbook, {"container": container}):
        if planned.step.call.uses == uses:
            return DefaultStep(planned.arguments, name, planned.step.id)
    return DefaultStep({}, name, "")
