"""Runs the table of collectors over one container and keeps the completeness ledger.

Every selected artefact ends as a line, whatever happens to the container meanwhile; only a case that cannot be written
stops the run. Has no user interface; tells a :class:`Progress`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from forensics.collect.context import (
    CollectContext,
    CollectOptions,
    Collector,
    Need,
    Progress,
    Silence,
    Source,
    failed,
    not_applicable,
)
from forensics.collect.resume import ACTIVITY, COLLECTION, find_finished, find_incomplete, find_mended, find_settled
from forensics.collect.table import COLLECTORS
from forensics.collect.walk import explain
from forensics.errors import ContainerNotFoundError, EngineError, UsageError
from forensics.evidence.custody import format_utc
from forensics.model import LedgerLine, Outcome

if TYPE_CHECKING:
    from forensics.collect.yara_look import FirstLook
    from forensics.engine.base import Container, EngineInfo
    from forensics.evidence.case import Case


def plan(options: CollectOptions) -> tuple[Collector, ...]:
    """Return the collectors that *options* select, most volatile first.

    Raises:
        UsageError: ``only`` or ``skip`` names a collector that does not exist.
    """
    known = {collector.name for collector in COLLECTORS}
    for name in sorted((options.only | options.skip) - known):
        raise UsageError(f"there is no collector {name!r}", hint=f"collectors: {', '.join(sorted(known))}")
    wanted = options.only or {c.name for c in COLLECTORS if not c.optional or (c.name == "memory" and options.memory)}
    chosen = [collector for collector in COLLECTORS if collector.name in wanted - options.skip]
    return tuple(sorted(chosen, key=lambda collector: collector.rank))


def collect(  # noqa: PLR0913 - what is given by name may be left out
    case: Case,
    engine: Source,
    container: Container,
    options: CollectOptions | None = None,
    progress: Progress | None = None,
    *,
    info: EngineInfo | None = None,
) -> tuple[LedgerLine, ...]:
    """Collect into *case* and return the ledger lines of this run, which are in the case's ledger too.

    *info* spares asking the engine twice.

    Raises:
        UsageError: the options name an unknown collector.
        EngineError: the engine does not even tell what it is.
        StorageError, OSError: the case cannot be written; what was recorded up to here is whole.
    """
    options = options or CollectOptions()
    finished = find_finished(case)
    incomplete = find_incomplete(case) if options.resume else {}
    left_out = finished - incomplete.keys() if options.resume else frozenset()
    chosen = tuple(one for one in plan(options) if one.name not in left_out)
    context = CollectContext(
        case=case,
        engine=engine,
        container=container,
        info=info or engine.info(container),
        options=options,
        started_at=format_utc(time.time_ns()),
        first_look=_open_first_look(chosen),
    )
    lines: list[LedgerLine] = []
    ledger = _Ledger(case, progress or Silence(), lines, incomplete)
    names = [collector.name for collector in chosen]
    settled = find_settled(case, finished.union(names))
    try:
        with case.activity("acquire", COLLECTION, "collection in order of volatility", plan=names, finishes=settled):
            _run_all(context, chosen, ledger)
    finally:
        if context.first_look:
            context.first_look.close()
    for collector in COLLECTORS if not options.only else ():
        if collector not in chosen and collector.name not in finished:
            reason = "left out by --skip" if collector.name in options.skip else f"not asked for (--{collector.name})"
            ledger.note(_without_run(not_applicable(collector.name, reason)))
    return tuple(lines)


def _open_first_look(chosen: tuple[Collector, ...]) -> FirstLook | None:
    """Start the search for known malice beside what is collected first, if changed files are to be searched."""
    if not any(collector.name == "changes" for collector in chosen):
        return None
    from forensics.collect.yara_look import FirstLook  # noqa: PLC0415 - only where it is needed

    return FirstLook()


class _Ledger:
    """Writes each line to the case at once, then tells it."""

    def __init__(
        self, case: Case, progress: Progress, lines: list[LedgerLine], before: Mapping[str, tuple[LedgerLine, ...]]
    ) -> None:
        self._case, self.progress, self._lines, self.before = case, progress, lines, before

    def note(self, line: LedgerLine) -> None:
        self._case.note(line)
        self._lines.append(line)
        self.progress.done(line)


def _run_all(context: CollectContext, chosen: tuple[Collector, ...], ledger: _Ledger) -> None:
    started = time.monotonic()
    limit = context.options.budget_seconds
    for number, collector in enumerate(chosen):
        if limit is not None and time.monotonic() - started > limit:
            spent = f"the time budget of {limit:g} s was used up before it began"
            ledger.note(_without_run(failed(collector.name, spent)))
            continue
        try:
            _run(context, collector, ledger)
        except BaseException as error:
            if not isinstance(error, Exception):  # Ctrl-C, or the time limit of a playbook's step
                _note_missed(chosen[number:], ledger, str(error))
            raise


def _note_missed(missed: tuple[Collector, ...], ledger: _Ledger, why: str) -> None:
    for collector in missed:
        reason = f"interrupted before it was collected{': ' if why else ''}{why}"
        ledger.note(_without_run(failed(collector.name, reason)))


def _without_run(line: LedgerLine) -> LedgerLine:
    """Return the line of a whole collector that did not run to its end: any later run of it overtakes this line."""
    return replace(line, activity=f"{ACTIVITY}{line.artefact}")


def _run(context: CollectContext, collector: Collector, ledger: _Ledger) -> None:
    ledger.progress.start(collector.name)
    with context.case.activity("acquire", f"{ACTIVITY}{collector.name}", collector.summary) as activity:
        told = []
        for line in _timed(_attempt(context, collector)):
            told.append(replace(line if line.disturbed else _disturb(line, collector), activity=activity))
            ledger.note(told[-1])
        for line in find_mended(ledger.before.get(collector.name, ()), told):
            ledger.note(replace(line, activity=activity))


def _disturb(line: LedgerLine, collector: Collector) -> LedgerLine:
    return replace(line, disturbed=collector.disturbs) if line.outcome is Outcome.COLLECTED else line


def _attempt(context: CollectContext, collector: Collector) -> Iterator[LedgerLine]:
    try:
        if obstacle := find_obstacle(collector, context.info, context.container) or _find_end(context, collector):
            yield obstacle
            return
        yield from collector.collect(context)
    except (ContainerNotFoundError, EngineError) as error:
        yield failed(collector.name, error.message)
    except OSError as error:
        yield failed(collector.name, explain(error))


def find_obstacle(collector: Collector, info: EngineInfo, container: Container) -> LedgerLine | None:
    """Return the line of a collector that cannot work here and now, or None."""
    if Need.LOCAL in collector.needs and not info.is_local:
        return not_applicable(collector.name, "remote engine")
    if Need.RUNNING in collector.needs and not container.is_running:
        return not_applicable(collector.name, f"the container is not running ({container.status})")
    if Need.ROOT in collector.needs and os.geteuid() != 0:
        return failed(collector.name, "needs root on the engine's host")
    return None


def _find_end(context: CollectContext, collector: Collector) -> LedgerLine | None:
    if collector.needs >= {Need.LOCAL, Need.RUNNING} and not context.processes:
        return failed(collector.name, "the container ended before it could be looked at")
    return None


def _timed(lines: Iterator[LedgerLine]) -> Iterator[LedgerLine]:
    """Fill in how long each line took, in seconds."""
    started = time.monotonic()
    for line in lines:
        yield replace(line, seconds=round(time.monotonic() - started, 6))
        started = time.monotonic()
