"""The rule by which a ledger with several runs in it is read: the last word counts. Reads lines, writes nothing.

Every run appends to the ledger and nothing is ever taken out of it, so an artefact may stand there as *interrupted*,
later as *collected*. All readers (report, verdict, commands) see what this rule leaves; the file keeps the rest.
"""

from __future__ import annotations

from collections.abc import Iterable

from forensics.model import LedgerLine, Outcome

_MISSED = frozenset({Outcome.FAILED, Outcome.NOT_APPLICABLE})


def settle(lines: Iterable[LedgerLine]) -> tuple[LedgerLine, ...]:
    """Return the lines that still hold, in their order.

    A line is overtaken by a later run's line on the same artefact. One that says of a whole collector that it was left
    out, interrupted or failed is overtaken by any line of a later run of that collector, whose artefacts have names of
    their own. Two lines of one run never overtake each other.
    """
    last_run: dict[str, str] = {}
    kept = []
    for number, line in reversed(tuple(enumerate(lines))):
        run = line.activity if "#" in line.activity else f"{line.activity}#line {number}"
        collector = f"collector {_name_collector(line)}"
        overtaken = last_run.get(line.artefact, run) != run
        if line.outcome in _MISSED and line.artefact == _name_collector(line):
            overtaken = overtaken or last_run.get(collector, run) != run
        last_run.setdefault(line.artefact, run)
        if line.activity:
            last_run.setdefault(collector, run)
        if not overtaken:
            kept.append(line)
    return tuple(reversed(kept))


def _name_collector(line: LedgerLine) -> str:
    return line.activity.partition("#")[0].rpartition(".")[2]
