"""What `ir collect` shows a person: the plan, each artefact as it ends, and what is missing at the end."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.cli.frame import emit_json, say
from forensics.model import LedgerLine, Outcome
from forensics.text import show

if TYPE_CHECKING:
    from forensics.collect import Collector

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
_STEP = 1024


class Told:
    """Progress on stderr: one line for each artefact, and the name of a collector when it begins."""

    def start(self, artefact: str) -> None:
        """Say what is being collected now; a long one would look like a hang otherwise."""
        say(f"… {artefact}", err=True)

    def done(self, line: LedgerLine) -> None:
        """Say how one artefact ended."""
        size = f", {show_size(line.size_bytes)}" if line.size_bytes else ""
        reason = f": {show(line.reason)}" if line.reason else ""
        say(f"  {show(line.artefact)}  {line.outcome.value}{size}, {line.seconds:.2f} s{reason}", err=True)


def show_size(size_bytes: int) -> str:
    """Return a size for a reader."""
    value = float(size_bytes)
    for unit in _UNITS:
        if value < _STEP or unit == _UNITS[-1]:
            break
        value /= _STEP
    return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"


def show_plan(chosen: tuple[Collector, ...], obstacles: list[LedgerLine | None], *, as_json: bool) -> int:
    """Show what would be collected, in order, what each disturbs, and what cannot be had here."""
    steps = [
        {
            "artefact": collector.name,
            "summary": collector.summary,
            "needs": sorted(collector.needs),
            "disturbs": collector.disturbs,
            "obstacle": f"{obstacle.outcome.value}: {obstacle.reason}" if obstacle else "",
        }
        for collector, obstacle in zip(chosen, obstacles, strict=True)
    ]
    if as_json:
        emit_json({"schema": "ir.collection-plan/1", "plan": steps})
        return 0
    for step in steps:
        say(f"{step['artefact']:<14} {step['summary']}")
        for note in ("disturbs", "obstacle"):
            if step[note]:
                say(f"{'':<14} {note}: {show(str(step[note]))}")
    return 0


def show_result(root: Path, lines: tuple[LedgerLine, ...], seconds: float, *, quiet: bool) -> int:
    """Show the totals and name every failure; return the exit code."""
    outcomes = Counter(line.outcome for line in lines)
    if not quiet:
        size = show_size(sum(line.size_bytes for line in lines if line.outcome is not Outcome.FAILED))
        counted = ", ".join(f"{outcomes[outcome]} {outcome.value}" for outcome in Outcome if outcomes[outcome])
        say(f"{counted}; {size} in {seconds:.1f} s")
        for line in lines:
            if line.disturbed:
                say(f"disturbed: {show(line.disturbed)}")
        say(f"case: {show(str(root))}")
    for line in lines:
        if line.outcome is Outcome.FAILED:
            say(f"ir: not collected: {show(line.artefact)}: {show(line.reason)}", err=True)
    return 1 if outcomes[Outcome.FAILED] else 0
