"""What a drill run gave, and its public shape ``ir.drills/1``. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from forensics.drill.schema import ScenarioModel
from forensics.drill.score import Score
from forensics.model import JsonObject

NOT_CONTAINED = "it was not contained"


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds from the start of the playbook; None where that point was never reached."""

    contained: float | None = None
    collected: float | None = None
    first_finding: float | None = None
    sealed: float | None = None


@dataclass(frozen=True, slots=True)
class StepFact:
    """How one step of the playbook ended."""

    id: str
    outcome: str
    reason: str
    seconds: float


@dataclass(frozen=True, slots=True)
class DrillResult:
    """One scored run. ``problems`` says why it has not passed; none means that it has.

    ``verdict`` is None when nothing was analysed, which is not the same as no evidence.
    """

    scenario: str
    playbook: str
    engine: str
    score: Score
    times: Times
    packets_escaped: int
    source_unchanged: bool
    verdict: str | None
    verified: bool
    flip_caught: bool
    restored: bool
    case: Path
    report: Path | None
    steps: tuple[StepFact, ...] = ()
    failures: tuple[str, ...] = ()
    problems: tuple[str, ...] = field(default=())

    @property
    def passed(self) -> bool:
        """Whether the run met every threshold of its scenario."""
        return not self.problems

    def to_document(self) -> JsonObject:
        """Return one entry of ``drills`` in ``ir.drills/1``."""
        return {
            "scenario": self.scenario,
            "playbook": self.playbook,
            "engine": self.engine,
            "passed": self.passed,
            "recall": round(self.score.recall, 4),
            "precision": round(self.score.precision, 4),
            "found": list(self.score.found),
            "missed": list(self.score.missed),
            "false_positives": list(self.score.false_positives),
            "packets_escaped": self.packets_escaped,
            "time_to_contain_s": self.times.contained,
            "time_to_collect_s": self.times.collected,
            "time_to_first_finding_s": self.times.first_finding,
            "time_to_sealed_case_s": self.times.sealed,
            "source_unchanged": self.source_unchanged,
            "verdict": self.verdict,
            "verified": self.verified,
            "flipped_byte_caught": self.flip_caught,
            "restored": self.restored,
            "case": str(self.case),
            "report": str(self.report) if self.report else None,
            "steps": [
                {"step": step.id, "outcome": step.outcome, "reason": step.reason, "seconds": step.seconds}
                for step in self.steps
            ],
            "failures": list(self.failures),
            "problems": list(self.problems),
        }


def find_problems(model: ScenarioModel, result: DrillResult) -> tuple[str, ...]:
    """Return every way in which *result* is below the thresholds of its scenario."""
    limits = model.thresholds
    contained = result.times.contained
    checks = (
        (result.score.recall >= limits.recall, f"recall {result.score.recall:.2f} < {limits.recall:g}"),
        (result.score.precision >= limits.precision, f"precision {result.score.precision:.2f} < {limits.precision:g}"),
        (
            result.packets_escaped <= limits.packets_escaped,
            f"{result.packets_escaped} packets escaped after containment",
        ),
        (contained is not None or not limits.contained, NOT_CONTAINED),
        (contained is None or contained <= limits.time_to_contain, f"containment took {contained} s"),
        (result.times.sealed is not None, "the case was not sealed"),
        (result.verdict is not None, "nothing was analysed"),
        (result.source_unchanged, "the source was changed"),
        (result.verified, "the case does not verify"),
        (result.flip_caught, "a flipped byte was not noticed"),
        (result.restored, "containment could not be undone"),
        (
            not model.expect_verdict or result.verdict in {None, *model.expect_verdict},
            f"the verdict is '{result.verdict}', not '{' or '.join(model.expect_verdict)}'",
        ),
    )
    return (*(sentence for holds, sentence in checks if not holds), *result.failures)


def make_broken_document(scenario: str, message: str) -> JsonObject:
    """Return the entry of ``drills`` for a run that gave no result; every key is there, and it has not passed."""
    nothing = DrillResult(
        scenario=scenario,
        playbook="",
        engine="",
        score=Score((), (), (), 0.0, 0.0),
        times=Times(),
        packets_escaped=0,
        source_unchanged=False,
        verdict=None,
        verified=False,
        flip_caught=False,
        restored=False,
        case=Path(),
        report=None,
        problems=(message,),
    )
    return {**nothing.to_document(), "case": None}
