"""What a drill run gave, and its public shape ``ir.drills/1``. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from forensics.drill.schema import ScenarioModel
from forensics.drill.score import Score
from forensics.model import JsonObject


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds from the start of the playbook; None where that point was never reached."""

    contained: float | None = None
    collected: float | None = None
    first_finding: float | None = None
    sealed: float | None = None


@dataclass(frozen=True, slots=True)
class DrillResult:
    """One scored run. ``problems`` says why it has not passed; none means that it has."""

    scenario: str
    score: Score
    times: Times
    packets_escaped: int
    source_unchanged: bool
    verdict: str
    verified: bool
    flip_caught: bool
    restored: bool
    case: Path
    report: Path | None
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
        (contained is not None, "it was not contained"),
        (contained is None or contained <= limits.time_to_contain, f"containment took {contained} s"),
        (result.source_unchanged, "the source was changed"),
        (result.verified, "the case does not verify"),
        (result.flip_caught, "a flipped byte was not noticed"),
        (result.restored, "containment could not be undone"),
        (
            not model.expect_verdict or result.verdict in model.expect_verdict,
            f"the verdict is '{result.verdict}', not '{' or '.join(model.expect_verdict)}'",
        ),
    )
    return (*(sentence for holds, sentence in checks if not holds), *result.failures)
