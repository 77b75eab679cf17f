"""Runs a drill: sets the stage, runs the real playbook on it, scores what it found, and clears the stage.

Nothing of the playbook is replaced: containment, collection, analysis, report, seal and verification are the ones of
`ir run`. What the drill adds looks on from outside: the peer's counters, the engine's own export, a flipped byte. Steps
that need an approval are not approved: a rehearsal destroys nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.drill.own import require_own
from forensics.drill.peer import count_escaped, read_clock_offset
from forensics.drill.proof import catches_flipped_byte, is_verified
from forensics.drill.result import DrillResult, StepFact, Times, find_problems
from forensics.drill.scenario import Scenario
from forensics.drill.score import ProcessFact, score
from forensics.drill.stage import Stage, read_packets, set_stage
from forensics.drill.watch import Announcer, Stopwatch, read_attachments, read_fingerprint
from forensics.errors import CaseExistsError, IrError
from forensics.model import Analysis, StepOutcome, StepResult, Verdict
from forensics.playbook.compiled import read_playbook
from forensics.playbook.context import RunContext
from forensics.playbook.plan import Playbook
from forensics.playbook.run import find_failures, run_playbook
from forensics.text import show

if TYPE_CHECKING:
    from forensics.engine.base import Container
    from forensics.engine.docker import DockerEngine
    from forensics.evidence.case import Case
    from forensics.evidence.custody import Actor

_LISTEN_S = 0.5
_NOTHING = Analysis(Verdict.NO_EVIDENCE, (), (), (), (), (), (), (), ())


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was seen from outside while the playbook ran."""

    watch: Stopwatch
    results: tuple[StepResult, ...]
    escaped: int
    unchanged: bool
    verified: bool
    restored: bool
    engine: str


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
    with set_stage(engine, scenario, announcer.say, image) as stage, _forgotten(stage):
        info = engine.info()
        with open_drill_case(engine, stage.suspect, root, actor) as case:
            watch = Stopwatch({step.id: step for step in playbook.steps + playbook.finally_steps}, announcer)
            context = RunContext(case, stage.suspect.id, lambda: engine, {"container": stage.suspect.id}, watch)
            seen = _rehearse(engine, playbook, context, stage, watch)
        seen = replace(seen, engine=f"{info.name} {info.version}", verified=is_verified(root))
        announcer.say("flip a byte of a copy, score")
        return _score(scenario, stage, case, context, seen)


def _rehearse(engine: DockerEngine, playbook: Playbook, context: RunContext, stage: Stage, watch: Stopwatch) -> _Seen:
    """Run the playbook and look on."""
    require_own(engine.find_container(stage.suspect.id), stage.run_id)
    before = read_fingerprint(engine, stage.suspect)
    attached = read_attachments(engine, stage.suspect)
    offset = read_clock_offset(engine)
    watch.started = time.monotonic()
    results = run_playbook(playbook, context)
    time.sleep(_LISTEN_S)
    contained_at = watch.contained_at and watch.contained_at + offset
    escaped = count_escaped(read_packets(engine, stage), contained_at)
    unchanged = before is not None and read_fingerprint(engine, stage.suspect) == before
    restored = _restore(playbook, context) and read_attachments(engine, stage.suspect) == attached
    return _Seen(watch, results, escaped, unchanged, verified=False, restored=restored, engine="")


@contextmanager
def _forgotten(stage: Stage) -> Iterator[None]:
    """Leave no pointer to the case of a container that will not exist, also when the run breaks off."""
    from forensics.containment.pointers import forget  # noqa: PLC0415 - listing drills needs no containment

    try:
        yield
    finally:
        forget(stage.suspect.id)


def _score(scenario: Scenario, stage: Stage, case: Case, context: RunContext, seen: _Seen) -> DrillResult:
    analysis = context.objects.get("analysis")
    found = analysis if isinstance(analysis, Analysis) else _NOTHING
    report = context.objects.get("report")
    scored = score(scenario.model, found, read_process_facts(case), stage.peers)
    marks = dict(seen.watch.marks)
    if not scored.found:
        marks.pop("first_finding", None)
    result = DrillResult(
        scenario=scenario.id,
        playbook=scenario.model.playbook,
        engine=seen.engine,
        score=scored,
        times=Times(**marks),
        packets_escaped=seen.escaped,
        source_unchanged=seen.unchanged,
        verdict=found.verdict.value if analysis is found else None,
        verified=seen.verified,
        flip_caught=seen.verified and catches_flipped_byte(case.root),
        restored=seen.restored,
        case=case.root,
        report=report if isinstance(report, Path) else None,
        steps=tuple(StepFact(r.step, r.outcome.value, r.reason, round(r.seconds, 3)) for r in seen.results),
        failures=find_failures(tuple(r for r in seen.results if _counts(r, scenario))),
    )
    return replace(result, problems=find_problems(scenario.model, result))


def _counts(result: StepResult, scenario: Scenario) -> bool:
    """Return whether a step that did not end well speaks against the run.

    A denied one does not: nobody approves in a rehearsal. Where nothing is frozen, things end while they are read.
    """
    expected = (
        {StepOutcome.DENIED} if scenario.model.thresholds.contained else {StepOutcome.DENIED, StepOutcome.PARTIAL}
    )
    return result.outcome not in expected


def open_drill_case(engine: DockerEngine, suspect: Container, root: Path, actor: Actor) -> Case:
    """Make the case of a drill."""
    from forensics.collect.subject import open_case_for  # noqa: PLC0415 - listing drills needs no case

    return open_case_for(suspect, root, engine.info(), engine.url, actor)


def read_process_facts(case: Case) -> tuple[ProcessFact, ...]:
    """Return the process table that the case holds."""
    facts = []
    for item in case.find("processes"):
        for process in case.read_json(item)["processes"]:
            facts.append(ProcessFact(int(process["pid"]), " ".join(process["argv"]), str(process["exe"])))
    return tuple(facts)


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
