"""Runs a drill: sets the stage, runs the real playbook on it, scores what it found, and clears the stage.

Nothing of the playbook is replaced: containment, collection, analysis, report, seal and verification are the ones of
`ir run`. What the drill adds looks on from outside: the peer's log, the engine's own list of changes, a flipped byte.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.drill.result import DrillResult, Times, find_problems
from forensics.drill.scenario import Scenario
from forensics.drill.score import ProcessFact, score
from forensics.drill.stage import Stage, read_packets, set_stage
from forensics.errors import CaseExistsError, IrError, RefusedError, VerificationError
from forensics.model import Analysis, LedgerLine, StepOutcome, StepResult, Verdict
from forensics.playbook.compiled import read_playbook
from forensics.playbook.context import RunContext, Silence, Watcher
from forensics.playbook.plan import Playbook, Step
from forensics.playbook.run import find_failures, run_playbook
from forensics.text import show

if TYPE_CHECKING:
    from forensics.engine.base import Container
    from forensics.engine.docker import DockerEngine
    from forensics.evidence.case import Case
    from forensics.evidence.custody import Actor

_GRACE = timedelta(milliseconds=50)
"""A packet that was sent before the cut still has to pass the peer's pipe and the engine's log."""
_LISTEN_S = 0.5
_MARKS = {
    "contain.isolate": "contained",
    "collect.all": "collected",
    "analyze.findings": "first_finding",
    "case.seal": "sealed",
}
_NOTHING = Analysis(Verdict.NO_EVIDENCE, (), (), (), (), (), (), (), ())


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What the engine says of the suspect; the same before and after, or the toolkit has changed the source."""

    started_at: str
    restarts: int
    pid: int
    changes: tuple[tuple[str, str], ...]


@dataclass
class Stopwatch:
    """A watcher that notes when each mark of the run was reached, and passes everything on."""

    steps: dict[str, Step]
    inner: Watcher
    started: float = field(default_factory=time.monotonic)
    contained_at: datetime | None = None
    marks: dict[str, float] = field(default_factory=dict)

    def begin(self, step: Step) -> None:
        """Pass on."""
        self.inner.begin(step)

    def end(self, result: StepResult) -> None:
        """Note the time of a step that ended well, pass on."""
        mark = _MARKS.get(self.steps[result.step].call.uses)
        if mark and result.outcome in {StepOutcome.DONE, StepOutcome.PARTIAL}:
            self.marks[mark] = round(time.monotonic() - self.started, 3)
            if mark == "contained":
                self.contained_at = datetime.now(UTC)
        self.inner.end(result)

    def start(self, artefact: str) -> None:
        """Pass on."""
        self.inner.start(artefact)

    def done(self, line: LedgerLine) -> None:
        """Pass on."""
        self.inner.done(line)


class Announcer(Silence):
    """A watcher that is also told what the drill itself does."""

    def say(self, _text: str) -> None:
        """Tell nobody."""


def run_drill(  # noqa: PLR0913 - what a run needs, the last two by name
    engine: DockerEngine,
    scenario: Scenario,
    root: Path,
    actor: Actor,
    *,
    announcer: Announcer | None = None,
    image: str = "",
) -> DrillResult:
    """Run *scenario* into a new case at *root* and return the scored result; the stage is gone afterwards.

    *image* names an image of the engine to take busybox from, where this host has none.

    Raises:
        CaseExistsError: something is at *root*; nothing was set up.
        IrError: the stage could not be set, or the case cannot be made.
    """
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise CaseExistsError(f"something is at {show(str(root))} already", hint="give a new folder with --case")
    announcer = announcer or Announcer()
    playbook = read_playbook(scenario.model.playbook)
    steps = {step.id: step for step in playbook.steps + playbook.finally_steps}
    with set_stage(engine, scenario, announcer.say, image) as stage, _forgotten(stage):
        before = read_fingerprint(engine, stage.suspect)
        watch = Stopwatch(steps, announcer)
        with open_drill_case(engine, stage.suspect, root, actor) as case:
            context = RunContext(case, stage.suspect.id, lambda: engine, {"container": stage.suspect.id}, watch)
            results = run_playbook(playbook, context)
            announcer.say("count escaped packets, compare the source, flip a byte of a copy")
            time.sleep(_LISTEN_S)
            escaped = count_escaped(read_packets(engine, stage), watch.contained_at)
            unchanged = read_fingerprint(engine, stage.suspect) == before
            verified = _is_verified(root)
            restored = _restore(playbook, context)
        return _score(scenario, stage, case, context, _Seen(watch, results, escaped, unchanged, verified, restored))


@contextmanager
def _forgotten(stage: Stage) -> Iterator[None]:
    """Leave no pointer to the case of a container that will not exist, also when the run breaks off."""
    from forensics.containment.pointers import forget  # noqa: PLC0415 - listing drills needs no containment

    try:
        yield
    finally:
        forget(stage.suspect.id)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was seen from outside while the playbook ran."""

    watch: Stopwatch
    results: tuple[StepResult, ...]
    escaped: int
    unchanged: bool
    verified: bool
    restored: bool


def _score(scenario: Scenario, stage: Stage, case: Case, context: RunContext, seen: _Seen) -> DrillResult:
    analysis = context.objects.get("analysis")
    analysis = analysis if isinstance(analysis, Analysis) else _NOTHING
    report = context.objects.get("report")
    result = DrillResult(
        scenario=scenario.id,
        score=score(scenario.model, analysis, read_process_facts(case), stage.peer_address),
        times=Times(**seen.watch.marks),
        packets_escaped=seen.escaped,
        source_unchanged=seen.unchanged,
        verdict=analysis.verdict.value,
        verified=seen.verified,
        flip_caught=seen.verified and catches_flipped_byte(case.root),
        restored=seen.restored,
        case=case.root,
        report=report if isinstance(report, Path) else None,
        failures=find_failures(seen.results),
    )
    return replace(result, problems=find_problems(scenario.model, result))


def open_drill_case(engine: DockerEngine, suspect: Container, root: Path, actor: Actor) -> Case:
    """Make the case of a drill."""
    from forensics.collect.subject import open_case_for  # noqa: PLC0415 - listing drills needs no case

    return open_case_for(suspect, root, engine.info(), engine.url, actor)


def read_fingerprint(engine: DockerEngine, suspect: Container) -> Fingerprint:
    """Return what must not change while the toolkit works."""
    now = engine.find_container(suspect.id)
    changes = tuple(sorted((path, kind.value) for path, kind in engine.diff(now)))
    return Fingerprint(now.started_at, int(now.raw.get("RestartCount") or 0), now.pid, changes)


def count_escaped(stamps: tuple[str, ...], contained_at: datetime | None) -> int:
    """Return how many packets the peer received after containment; all of them when there was none."""
    if contained_at is None:
        return len(stamps)
    return sum(_parse_stamp(stamp) > contained_at + _GRACE for stamp in stamps)


def _parse_stamp(stamp: str) -> datetime:
    """Return an engine's RFC 3339 time; it has nanoseconds, and none at all on a whole second."""
    whole, _, fraction = stamp.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{whole}.{fraction[:6]:0<6}+00:00")


def read_process_facts(case: Case) -> tuple[ProcessFact, ...]:
    """Return the process table that the case holds."""
    facts = []
    for item in case.find("processes"):
        for process in case.read_json(item)["processes"]:
            facts.append(ProcessFact(int(process["pid"]), " ".join(process["argv"]), str(process["exe"])))
    return tuple(facts)


def _is_verified(root: Path) -> bool:
    from forensics.evidence.verify import verify_case  # noqa: PLC0415 - listing drills verifies nothing

    try:
        verify_case(root)
    except VerificationError:
        return False
    return True


def _restore(playbook: Playbook, context: RunContext) -> bool:
    """Undo the containment by the rollback of its own step."""
    from forensics.playbook.run import call_action  # noqa: PLC0415 - see above

    step = playbook.find_step("contain.isolate")
    if step is None or step.rollback is None:
        return True
    try:
        return not call_action(step.rollback, step.rollback.arguments, context).failures
    except IrError:
        return False


def catches_flipped_byte(root: Path) -> bool:
    """Whether verification refuses a copy of the case in which one bit of one evidence byte is flipped."""
    with tempfile.TemporaryDirectory(prefix="ir-drill-") as folder:
        copy = Path(folder) / "case"
        shutil.copytree(root, copy, symlinks=True)
        files = sorted(path for path in (copy / "data").rglob("*") if path.is_file() and path.stat().st_size)
        if not files:
            raise RefusedError("the case holds no evidence, so there is no byte to flip")
        victim = files[len(files) // 2]
        victim.chmod(0o600)
        with victim.open("r+b") as file:
            file.seek(victim.stat().st_size // 2)
            byte = file.read(1)[0]
            file.seek(-1, 1)
            file.write(bytes([byte ^ 1]))
        return not _is_verified(copy)
