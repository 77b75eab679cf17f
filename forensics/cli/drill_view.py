"""What `ir drill run`, `list` and `clean` show: under fifteen lines for a person, ``ir.drills/1`` for a machine."""

from __future__ import annotations

import signal
import sys
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.cli import session
from forensics.cli.frame import emit_json, say
from forensics.cli.playbook_view import Told, is_told
from forensics.cli.settings import read_settings
from forensics.drill.clean import Cleaned, clean, clean_container
from forensics.drill.history import record_run
from forensics.drill.lanes import LANES, Order, follow_parent, run_lanes
from forensics.drill.result import DrillResult, make_broken_document
from forensics.drill.run import run_drill
from forensics.drill.scenario import Scenario, list_scenarios, read_scenario
from forensics.drill.watch import Announcer
from forensics.errors import IrError, StorageError, UsageError
from forensics.model import JsonObject
from forensics.text import show

if TYPE_CHECKING:
    from types import FrameType

_WIDTH = 110
_MOST_SHOWN = 3


class ToldDrill(Told, Announcer):
    """Progress of the playbook and of the drill around it, on stderr."""


def show_list(*, as_json: bool) -> int:
    """Show the shipped scenarios."""
    scenarios = [read_scenario(path.stem) for path in list_scenarios()]
    if as_json:
        rows = [
            {
                "scenario": scenario.id,
                "name": scenario.model.name,
                "description": scenario.model.description,
                "playbook": scenario.model.playbook,
                "attack": scenario.model.attack,
                "planted": [truth.what for truth in scenario.model.truth],
            }
            for scenario in scenarios
        ]
        emit_json({"schema": "ir.drill-list/1", "drills": rows})
        return 0
    for scenario in scenarios:
        say(f"{scenario.id:<24} {len(scenario.model.truth):>2} planted  {scenario.model.name}")
    return 0


def _end_once(number: int, frame: FrameType | None) -> None:
    """Begin to end; being asked again (by the kernel and by whoever runs the lanes) does not cut the clearing short."""
    signal.signal(number, signal.SIG_IGN)
    signal.default_int_handler(number, frame)


def run_drills(name: str, case_dir: Path | None, *, run_all: bool, image: str, as_json: bool) -> int:
    """Run one scenario or all, show the results, return 1 when one has not passed.

    Being asked to end (by systemd, by CI) is an interruption like Ctrl-C: the stage is cleared first.
    """
    signal.signal(signal.SIGTERM, _end_once)
    follow_parent()
    if run_all:
        if case_dir:
            raise UsageError(
                "--case goes with one scenario, not with --all", hint="leave it out; each gets its own case"
            )
        return _run_all(image, as_json=as_json)
    result = _run(read_scenario(name), case_dir, image, quiet=as_json)
    if as_json:
        emit_json({"schema": "ir.drills/1", "drills": [result.to_document()]})
    else:
        _say_result(result)
    return 0 if result.passed else 1


def _run_all(image: str, *, as_json: bool) -> int:
    names = [path.stem for path in list_scenarios()]
    session.open_engine().close()
    given = ("--image", image) if image else ()
    told = sys.stderr.isatty()
    documents = run_lanes(
        tuple(Order(name, (name, *given)) for name in names),
        LANES,
        lambda text: say(show(text), err=True) if told else None,
    )
    if as_json:
        emit_json({"schema": "ir.drills/1", "drills": list(documents)})
    else:
        _say_table(documents)
    return 0 if all(document["passed"] for document in documents) else 1


def _run(scenario: Scenario, case_dir: Path | None, image: str, *, quiet: bool) -> DrillResult:
    """Run one drill and put it on record, also when it breaks off."""
    settings = read_settings()
    root = case_dir or session.default_case_dir(settings, f"drill-{scenario.id}")
    announcer = ToldDrill() if is_told() and not quiet else Announcer()
    with session.open_engine(settings) as engine:
        try:
            result = run_drill(engine, scenario, root, session.read_actor(settings), announcer=announcer, image=image)
        except UsageError:
            raise
        except IrError as error:
            _record(make_broken_document(scenario.id, f"it broke off: {error.message}"))
            raise
    _record(result.to_document())
    return result


def _record(document: JsonObject) -> None:
    """Keep the result; a history that cannot be written is said, and takes nothing from the result."""
    try:
        record_run(document)
    except StorageError as error:
        say(f"ir: {error.message}. The result is not in the scorecard.", err=True)


def _say_result(result: DrillResult) -> None:
    score, times = result.score, result.times
    planted = len(score.found) + len(score.missed)
    say(f"{'PASSED' if result.passed else 'FAILED'}   {result.scenario}: verdict {result.verdict or 'not analysed'}")
    say(
        _wrap("found    ", f"{len(score.found)} of {planted} planted: {', '.join(score.found) or 'nothing planted'}", 4)
    )
    if score.missed:
        say(_wrap("missed   ", ", ".join(score.missed), 2))
    say(_wrap("false    ", _some(score.false_positives) if score.false_positives else "no false positives"))
    say(
        f"times    contained {_seconds(times.contained)}, collected {_seconds(times.collected)}, "
        f"first finding {_seconds(times.first_finding)}, sealed {_seconds(times.sealed)}"
    )
    source = "unchanged" if result.source_unchanged else "CHANGED"
    flip = "caught" if result.flip_caught else "NOT CAUGHT"
    say(f"proofs   {result.packets_escaped} packets escaped, source {source}, one flipped byte {flip}")
    if result.problems:
        say(_wrap("why      ", _some(result.problems)))
    say(f"report   {show(str(result.report)) if result.report else 'none'}")
    say(f"case     {show(str(result.case))}")
    say(f"verify   sh {show(str(result.case))}/verify.sh")


def _say_table(documents: tuple[JsonObject, ...]) -> None:
    say(f"{'scenario':<24} {'':<6} recall precision escaped contained  sealed")
    for document in documents:
        passed = "passed" if document["passed"] else "FAILED"
        contained, sealed = (_seconds(document[f"time_to_{key}_s"]) for key in ("contain", "sealed_case"))
        rates = f"{document['recall']:6.2f} {document['precision']:9.2f} {document['packets_escaped']:7}"
        say(f"{document['scenario']:<24} {passed} {rates} {contained:>9} {sealed:>7}")
        if document["problems"]:
            say(_wrap("    ", _some(tuple(document["problems"]))))


def _some(sentences: tuple[str, ...]) -> str:
    shown = "; ".join(show(sentence, 160) for sentence in sentences[:_MOST_SHOWN])
    more = len(sentences) - _MOST_SHOWN
    return f"{shown}; and {more} more" if more > 0 else shown


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.2f} s"


def _wrap(label: str, text: str, most_lines: int = 1) -> str:
    return textwrap.fill(
        label + text, _WIDTH, subsequent_indent=" " * len(label), max_lines=most_lines, placeholder=" …"
    )


def clean_up(names: tuple[str, ...], *, force: bool, as_json: bool) -> int:
    """Remove what killed drills left behind, or the containers named."""
    with session.open_engine() as engine:
        cleaned = [clean_container(engine, name) for name in names] or [clean(engine, force=force)]
    both = Cleaned(tuple(what for part in cleaned for what in part.removed), cleaned[0].alive, cleaned[0].unknown)
    if as_json:
        emit_json({"schema": "ir.drill-clean/1", **{name: list(runs) for name, runs in asdict(both).items()}})
        return 0
    for what in both.removed:
        say(f"removed  {show(what)}")
    for run_id in both.alive:
        say(f"left     the drill {show(run_id)} is still going on")
    for run_id in both.unknown:
        say(f"left     the drill {show(run_id)} may be going on elsewhere; --force removes what it made")
    say(f"{len(both.removed)} things removed")
    return 0
