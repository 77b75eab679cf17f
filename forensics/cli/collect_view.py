"""What `ir collect` shows a person: the plan, each artefact as it ends, and what is missing at the end."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from forensics.cli.frame import emit_json, say
from forensics.model import JsonObject, LedgerLine, Outcome
from forensics.text import show

if TYPE_CHECKING:
    from forensics.collect import Collector

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
_STEP = 1024
_CLEAR = "\r\x1b[K"


class Told:
    """Progress on stderr: one line for each artefact, and a running clock while a long one is collected."""

    def __init__(self) -> None:
        """Start the clock; nothing is shown yet."""
        self._lock = threading.Lock()
        self._name = ""
        self._since = 0.0
        threading.Thread(target=self._tick, daemon=True).start()

    def start(self, artefact: str) -> None:
        """Remember what is being collected now; a long one would look like a hang otherwise."""
        with self._lock:
            self._name, self._since = artefact, time.monotonic()

    def done(self, line: LedgerLine) -> None:
        """Say how one artefact ended."""
        size = f", {show_size(line.size_bytes)}" if line.size_bytes else ""
        reason = f": {show(line.reason)}" if line.reason else ""
        with self._lock:
            say(f"{_CLEAR}{show(line.artefact)}  {line.outcome.value}{size}, {line.seconds:.2f} s{reason}", err=True)

    def close(self) -> None:
        """Stop the clock."""
        with self._lock:
            self._name = ""

    def _tick(self) -> None:
        while True:
            time.sleep(1)
            with self._lock:
                seconds = time.monotonic() - self._since
                if self._name and seconds >= 1:
                    click.echo(f"{_CLEAR}… {self._name} {seconds:.0f} s", err=True, nl=False)


class Events:
    """Progress for machines on stderr: one JSON object a line, ASCII, as it happens."""

    def start(self, artefact: str) -> None:
        """Say that a collector begins."""
        _emit_event({"event": "start", "artefact": artefact})

    def done(self, line: LedgerLine) -> None:
        """Say how one artefact ended, in the words of the ledger."""
        from forensics.collect import describe_line  # noqa: PLC0415 - keeps `ir --help` light

        _emit_event({"event": "done", **describe_line(line)})


def _emit_event(event: JsonObject) -> None:
    say(json.dumps(event, ensure_ascii=True), err=True)


@contextmanager
def tell(*, as_json: bool) -> Generator[Events | Told | None]:
    """Give progress to a machine that asked for JSON or to a terminal, none otherwise."""
    if as_json:
        yield Events()
        return
    if not sys.stderr.isatty():
        yield None
        return
    told = Told()
    try:
        yield told
    finally:
        told.close()


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


def show_result(document: JsonObject, lines: tuple[LedgerLine, ...], *, as_json: bool) -> int:
    """Show the totals (or the document) and name every failure on stderr; return the exit code."""
    outcomes = Counter(line.outcome for line in lines)
    if as_json:
        emit_json(document)
    else:
        size = show_size(sum(line.size_bytes for line in lines if line.outcome is not Outcome.FAILED))
        counted = ", ".join(f"{outcomes[outcome]} {outcome.value}" for outcome in Outcome if outcomes[outcome])
        say(f"{counted}; {size} in {document['seconds']:.1f} s")
        for line in lines:
            if line.disturbed:
                say(f"disturbed: {show(line.disturbed)}")
        case = show(document["case"])
        say(f"case: {case}\nnext: ir analyze {case}")
    for line in lines if not as_json else ():
        if line.outcome is Outcome.FAILED:
            say(f"ir: not collected: {show(line.artefact)}: {show(line.reason)}", err=True)
    return 1 if outcomes[Outcome.FAILED] else 0
