"""The scorecard as one HTML page with charts as inline SVG: no script, nothing loaded, light and dark.

Reads the frozen scorecard only. Every text passes the report's guard; numbers alone become coordinates.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from forensics import __version__
from forensics.drill.history import Run
from forensics.drill.scorecard import TIMES, Scorecard, Trend
from forensics.report.markup import FILTERS, guard
from forensics.resources import find_resource_dir

MOST_RUNS = 30
"""How many runs of a scenario a chart shows: the newest."""
WIDTH, HEIGHT = 300, 110
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 8, 10, 18
_MOST_FAILURES = 12


@dataclass(frozen=True, slots=True)
class Point:
    """One run in a chart, in the units of the drawing; ``label`` is what a reader sees on hovering."""

    x: float
    y: float
    label: str
    bad: bool


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart: its pieces (a run without a value interrupts it), and every point."""

    name: str
    kind: str
    pieces: tuple[str, ...]
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart; ``ticks`` are (y, text)."""

    title: str
    lines: tuple[Line, ...]
    ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True, slots=True)
class Panel:
    """Everything about one scenario."""

    trend: Trend
    shown: int
    recall: Chart
    times: Chart


def render_scorecard(card: Scorecard) -> str:
    """Return the page."""
    folder = find_resource_dir("templates")
    style = (folder / "drills.css").read_text("utf-8")
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=guard,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    return environment.get_template("drills.html.j2").render(
        card=card,
        panels=[_make_panel(trend) for trend in card.trends],
        steps=card.steps[:_MOST_FAILURES],
        most=max((step.failures for step in card.steps), default=1),
        style=Markup(style),  # noqa: S704 - our own file, never evidence
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; img-src 'none'; base-uri 'none'; form-action 'none'",
        version=__version__,
        width=WIDTH,
        height=HEIGHT,
        left=_LEFT,
        right=WIDTH - _RIGHT,
    )


def _make_panel(trend: Trend) -> Panel:
    runs = trend.runs[-MOST_RUNS:]
    recall = _draw_line(runs, "recall", "recall", "recall", 1.0)
    longest = max((float(run.document.get(key) or 0) for run in runs for key, _ in TIMES), default=0.0) or 1.0
    lines = tuple(_draw_line(runs, key, name, key.split("_")[2], longest) for key, name in TIMES)
    ticks = ((_y(0, 1), "0"), (_y(0.5, 1), "0.5"), (_y(1, 1), "1"))
    seconds = (
        (_y(0, longest), "0 s"),
        (_y(longest, longest), f"{longest:.0f} s" if longest >= 1 else f"{longest:.1f} s"),
    )
    return Panel(trend, len(runs), Chart("Recall", (recall,), ticks), Chart("Times", lines, seconds))


def _draw_line(runs: Sequence[Run], key: str, name: str, kind: str, highest: float) -> Line:
    points: list[Point] = []
    pieces: list[list[Point]] = [[]]
    for number, run in enumerate(runs):
        value = run.document.get(key)
        if value is None:
            pieces.append([])
            continue
        label = f"{run.at:%Y-%m-%d %H:%M}Z {name} {value:.2f}{'' if run.passed else ', not passed'}"
        point = Point(_x(number, len(runs)), _y(float(value), highest), label, not run.passed)
        points.append(point)
        pieces[-1].append(point)
    drawn = tuple(" ".join(f"{point.x:g},{point.y:g}" for point in piece) for piece in pieces if piece)
    return Line(name, kind, drawn, tuple(points))


def _x(number: int, count: int) -> float:
    return round(_LEFT + (WIDTH - _LEFT - _RIGHT) * (number / (count - 1) if count > 1 else 0.5), 1)


def _y(value: float, highest: float) -> float:
    return round(HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * min(value / highest, 1.0), 1)
