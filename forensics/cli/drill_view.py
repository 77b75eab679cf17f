"""What the drill commands show: under fifteen lines for a person, ``ir.drills/1`` for a machine."""

from __future__ import annotations

import textwrap
from pathlib import Path

from forensics.cli import session
from forensics.cli.frame import emit_json, say
from forensics.cli.playbook_view import Told, is_told
from forensics.cli.settings import read_settings
from forensics.drill.result import DrillResult
from forensics.drill.run import Announcer, run_drill
from forensics.drill.scenario import Scenario, check_scenario, find_scenario, list_scenarios, read_scenario
from forensics.drill.stage import clear
from forensics.errors import UsageError
from forensics.text import show

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


def run_drills(name: str, case_dir: Path | None, *, run_all: bool, image: str, as_json: bool) -> int:
    """Run one scenario or all, show the results, return 1 when one has not passed."""
    if run_all and case_dir:
        raise UsageError("--case goes with one scenario, not with --all", hint="leave it out; each gets its own case")
    scenarios = [read_scenario(path.stem) for path in list_scenarios()] if run_all else [read_scenario(name)]
    results = [_run(scenario, case_dir, image, quiet=as_json) for scenario in scenarios]
    if as_json:
        emit_json({"schema": "ir.drills/1", "drills": [result.to_document() for result in results]})
    elif run_all:
        _say_table(results)
    else:
        _say_result(results[0])
    return 0 if all(result.passed for result in results) else 1


def _run(scenario: Scenario, case_dir: Path | None, image: str, *, quiet: bool) -> DrillResult:
    settings = read_settings()
    root = case_dir or session.default_case_dir(settings, f"drill-{scenario.id}")
    announcer = ToldDrill() if is_told() and not quiet else Announcer()
    with session.open_engine(settings) as engine:
        return run_drill(engine, scenario, root, session.read_actor(settings), announcer=announcer, image=image)


def _say_result(result: DrillResult) -> None:
    score, times = result.score, result.times
    planted = len(score.found) + len(score.missed)
    say(f"{'PASSED' if result.passed else 'FAILED'}   {result.scenario}: verdict {result.verdict}")
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


def _say_table(results: list[DrillResult]) -> None:
    say(f"{'scenario':<24} {'':<6} recall precision escaped contained  sealed")
    for result in results:
        passed = "passed" if result.passed else "FAILED"
        contained, sealed = _seconds(result.times.contained), _seconds(result.times.sealed)
        rates = f"{result.score.recall:6.2f} {result.score.precision:9.2f} {result.packets_escaped:7}"
        say(f"{result.scenario:<24} {passed} {rates} {contained:>9} {sealed:>7}")
        if result.problems:
            say(_wrap("    ", _some(result.problems)))


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


def lint_scenarios(names: tuple[str, ...]) -> int:
    """Check scenarios and show everything that is wrong; 1 when something is."""
    wrong = 0
    paths = [find_scenario(name) for name in names] or list_scenarios()
    for path in paths:
        problems, _ = check_scenario(path)
        wrong += len(problems)
        for problem in problems:
            say(problem.describe(show(str(path))) + (f"  ({problem.hint})" if problem.hint else ""))
    if not wrong:
        say(f"{len(paths)} checked, nothing wrong")
    return 1 if wrong else 0


def clean_up() -> int:
    """Remove what killed drills left behind."""
    with session.open_engine() as engine:
        say(f"{clear(engine)} things removed")
    return 0
