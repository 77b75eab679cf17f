"""What every step of a run is given, and what the run tells its watcher. Standard library only."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from forensics.model import JsonObject, LedgerLine, StepResult
from forensics.playbook.plan import Playbook, Step

if TYPE_CHECKING:
    from pathlib import Path

    from forensics.engine.docker import DockerEngine
    from forensics.evidence.case import Case


@dataclass(frozen=True, slots=True)
class Request:
    """What has to be approved: the step, what exactly it would be called with, and until when the question is open.

    ``statement`` is the text that an approver signs; it names playbook, inputs, step and run by value.
    """

    step: Step
    arguments: JsonObject
    statement: bytes
    expires_at: float


@dataclass(frozen=True, slots=True)
class Answer:
    """Who approved, and how: ``terminal``, ``signature`` (with what was signed), or ``--yes``.

    ``nonce`` is the number that makes what was signed good for one use.
    """

    approver: str
    method: str = "terminal"
    signed: str = ""
    signature: str = ""
    nonce: str = ""


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


def deny(_request: Request) -> None:
    """Approve nothing: the answer where nobody can be asked."""


@dataclass
class Shared:
    """What all steps of a run have one of, and who may open it."""

    engine: DockerEngine | None = None
    mutex: threading.Lock = field(default_factory=threading.Lock)


@dataclass
class RunContext:
    """One run of a playbook: the case that receives, the container, and who answers questions.

    ``open_engine`` is called by the first step that needs the engine. ``approve`` returns who approved a step, or
    None. ``objects`` carries results between steps that conditions have no business with. Each step is given a copy
    of its own that shares all of it; there, ``step`` and ``run_id`` say which, ``grant`` who approved it, and
    ``again`` that an earlier try at it was interrupted.
    """

    case: Case
    container: str
    open_engine: Callable[[], DockerEngine]
    inputs: JsonObject = field(default_factory=dict)
    watcher: Watcher = field(default_factory=Silence)
    approve: Callable[[Request], Answer | None] = deny
    signing_key: str = ""
    tsa: str = ""
    rules: tuple[Path, ...] = ()
    results: dict[str, StepResult] = field(default_factory=dict)
    objects: dict[str, object] = field(default_factory=dict)
    playbook: Playbook | None = None
    step: Step | None = None
    run_id: str = ""
    grant: Answer | None = None
    again: bool = False
    _shared: Shared = field(default_factory=Shared)

    @property
    def engine(self) -> DockerEngine:
        """The connected engine.

        Raises:
            EngineUnavailableError: none answers.
        """
        with self._shared.mutex:
            if self._shared.engine is None:
                self._shared.engine = self.open_engine()
            return self._shared.engine

    def for_step(self, step: Step, grant: Answer | None, *, again: bool) -> RunContext:
        """Return the context of one step."""
        return replace(self, step=step, grant=grant, again=again)


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
