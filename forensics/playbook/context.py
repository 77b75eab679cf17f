"""What every step of a run is given, and what the run tells its watcher. Standard library only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from forensics.model import JsonObject, LedgerLine, StepResult
from forensics.playbook.plan import Playbook, Step

if TYPE_CHECKING:
    from pathlib import Path

    from forensics.engine.docker import DockerEngine
    from forensics.evidence.case import Case


class Watcher(Protocol):
    """Told how a run goes on; the core has no user interface of its own."""

    def begin(self, step: Step) -> None:
        """A step begins."""

    def end(self, result: StepResult) -> None:
        """A step has ended, one way or another."""

    def start(self, artefact: str) -> None:
        """A collector begins within a step."""

    def done(self, line: LedgerLine) -> None:
        """An artefact has ended within a step."""


class Silence:
    """A :class:`Watcher` that tells nobody."""

    def begin(self, step: Step) -> None:
        """Do nothing."""

    def end(self, result: StepResult) -> None:
        """Do nothing."""

    def start(self, artefact: str) -> None:
        """Do nothing."""

    def done(self, line: LedgerLine) -> None:
        """Do nothing."""


def deny(_step: Step) -> str:
    """Approve nothing: the answer where nobody can be asked."""
    return ""


@dataclass
class RunContext:
    """One run of a playbook: the case that receives, the container, and who answers questions.

    ``open_engine`` is called by the first step that needs the engine. ``approve`` returns who approved a step, or an
    empty string. ``objects`` carries results between steps that conditions have no business with.
    """

    case: Case
    container: str
    open_engine: Callable[[], DockerEngine]
    inputs: JsonObject = field(default_factory=dict)
    watcher: Watcher = field(default_factory=Silence)
    approve: Callable[[Step], str] = deny
    signing_key: str = ""
    tsa: str = ""
    rules: tuple[Path, ...] = ()
    results: dict[str, StepResult] = field(default_factory=dict)
    objects: dict[str, object] = field(default_factory=dict)
    _engine: DockerEngine | None = None

    @property
    def engine(self) -> DockerEngine:
        """The connected engine.

        Raises:
            EngineUnavailableError: none answers.
        """
        if self._engine is None:
            self._engine = self.open_engine()
        return self._engine


@dataclass(frozen=True, slots=True)
class Done:
    """What an action answers: a value for conditions, and what it could not do, one sentence each."""

    value: JsonObject = field(default_factory=dict)
    failures: tuple[str, ...] = ()


def fill_inputs(playbook: Playbook, given: JsonObject) -> JsonObject:
    """Return the value of every declared input: what was given, else the default, else an empty one of its type."""
    empty: JsonObject = {"container": "", "string": "", "integer": 0, "boolean": False}
    filled = {}
    for item in playbook.inputs:
        default = empty[item.type] if item.default is None else item.default
        filled[item.name] = given.get(item.name, default)
    return filled
