"""What `ir drill scorecard` shows: a page of lines for a person, ``ir.scorecard/1`` for a machine, one HTML page."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from forensics.cli.drill_schedule import list_scheduled
from forensics.cli.frame import emit_json, say
from forensics.drill.history import Run, read_runs
from forensics.drill.scenario import list_scenarios, read_scenario
from forensics.drill.scorecard import Scorecard, Trend, build_scorecard, to_document
from forensics.playbook.compiled import list_playbooks
from forensics.text import show

_TREND = 12
_BARS = "▁▂▃▄▅▆▇█"


def show_scorecard(html: Path | None, last: int, *, as_json: bool) -> int:
    """Show the scorecard of this host's history."""
    scenarios = {path.stem: read_scenario(path.stem).model.playbook for path in list_scenarios()}
    playbooks = [path.stem for path in list_playbooks()]
    card = build_scorecard(read_runs(last), scenarios, playbooks, list_scheduled(), datetime.now(UTC))
    if html is not None:
        from forensics.drill.scorecard_html import render_scorecard  # noqa: PLC0415 - jinja2, only for the page

        html.write_text(render_scorecard(card), "utf-8")
    if as_json:
        emit_json(to_document(card))
        return 0
    _say_card(card)
    if html is not None:
        say(f"page     {show(str(html))}")
    return 0


def _say_card(card: Scorecard) -> None:
    say(f"readiness  {card.readiness.level}")
    for sentence in card.readiness.missing:
        say(f"  missing for {card.readiness.next_level}: {show(sentence, 200)}")
    for sentence in card.regressions:
        say(f"worse    {show(sentence, 200)}")
    if not card.trends:
        say("no drill has been run yet: ir drill run --all")
        return
    say(f"{'scenario':<24} {'last':<6} runs  {'recall':<{_TREND}} now   {'sealed':<{_TREND}} now       contained")
    for trend in card.trends:
        _say_trend(trend)
    for step in card.steps:
        say(
            f"step     {step.step} of {step.playbook} failed in {step.failures} of {step.runs}: {show(step.reason, 90)}"
        )
    if card.never_run:
        say(f"never    {', '.join(card.never_run)}")


def _say_trend(trend: Trend) -> None:
    document = trend.last.document
    sealed, contained = document["time_to_sealed_case_s"], document["time_to_contain_s"]
    say(
        f"{show(trend.scenario, 24):<24} {'passed' if trend.last.passed else 'FAILED'} {len(trend.runs):>4}  "
        f"{_spark(trend.runs, 'recall', 1.0):<{_TREND}} {document['recall']:.2f}  "
        f"{_spark(trend.runs, 'time_to_sealed_case_s'):<{_TREND}} {_seconds(sealed):<9} {_seconds(contained)}"
    )


def _spark(runs: tuple[Run, ...], key: str, highest: float = 0.0) -> str:
    """Return a line of bars for the newest runs; a dot where there is no value."""
    values = [run.document.get(key) for run in runs[-_TREND:]]
    top = highest or max((float(value) for value in values if value is not None), default=0.0) or 1.0
    return "".join("·" if v is None else _BARS[min(int(float(v) / top * len(_BARS)), len(_BARS) - 1)] for v in values)


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.2f} s"
