"""The clock of the records: what the kernel says of its time service, and what the collector measured."""

from __future__ import annotations

from pathlib import Path

from evidence_cases import ACTOR, make_case

from forensics.evidence.case import Case
from forensics.evidence.clock import read_clock
from forensics.evidence.custody import Clock


def test_the_kernel_says_whether_a_time_service_steers_the_clock() -> None:
    clock = read_clock()
    assert clock.source.startswith("CLOCK_REALTIME, ")
    assert (clock.offset_ms is not None) == (clock.source == "CLOCK_REALTIME, synchronised (adjtimex)")


def test_entries_carry_the_clock_that_was_measured(tmp_path: Path) -> None:
    with make_case(tmp_path / "case") as case:
        case.clock = Clock("chrony", -3.25)
        entry = case.record("note")
        assert (entry.clock_source, entry.clock_offset_ms) == ("chrony", -3.25)
    with Case.open(case.root, actor=ACTOR) as again:
        assert again.record("note").clock_source == read_clock().source
