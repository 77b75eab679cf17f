"""Geometry of the timeline chart: lanes by kind, bins by time. Draws nothing itself, reads no clock."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from forensics.model import TimelineEvent

LEFT, WIDTH, LANE = 140, 840, 32
_BINS = 160
_MOST_LANES = 9
_DOMINANT_GAP = 4.0
_TALLEST = 23.0
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800)
_LONG_STEP = 2592000
_TICKS = 8
_MINUTE, _DAY = 60, 86400


@dataclass(frozen=True, slots=True)
class Bar:
    """All events of one lane that fall into one bin."""

    x: float
    y: float
    width: float
    height: float
    count: int
    at: str
    first: str
    doubtful: bool


@dataclass(frozen=True, slots=True)
class Lane:
    """One kind of event."""

    name: str
    y: float
    count: int
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Tick:
    """One mark of the time axis, UTC."""

    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """The chart; ``events`` are those inside its window, ``earlier`` counts those before it."""

    left: int
    width: int
    height: int
    day: str
    lanes: tuple[Lane, ...]
    ticks: tuple[Tick, ...]
    events: tuple[TimelineEvent, ...]
    earlier: int
    undated: int


def draw_timeline(events: Sequence[TimelineEvent]) -> Chart:
    """Lay out *events*; the window is the last cluster, so that build dates of years ago do not flatten the night."""
    dated = [(at, event) for event in events if (at := parse_time(event.at)) is not None]
    dated.sort(key=lambda pair: (pair[0], pair[1].kind, pair[1].description))
    start = _find_start([at for at, _ in dated])
    inside = dated[start:]
    undated = len(events) - len(dated)
    if not inside:
        return Chart(LEFT, LEFT + WIDTH, 0, "", (), (), (), 0, undated)
    first, last = inside[0][0], inside[-1][0]
    span = max(last - first, 1.0)
    lanes = _draw_lanes(inside, first, span)
    height = len(lanes) * LANE + 34
    day = datetime.fromtimestamp(first, UTC).strftime("%Y-%m-%d")
    ticks = _draw_ticks(first, span)
    return Chart(
        LEFT, LEFT + WIDTH + 20, height, day, lanes, ticks, tuple(event for _, event in inside), start, undated
    )


def parse_time(text: str) -> float | None:
    """Return seconds since the epoch of an RFC 3339 time, or None."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return None
    return parsed.timestamp() if parsed.tzinfo else None


def _find_start(times: list[float]) -> int:
    """Return where the last cluster begins: after a gap that dwarfs everything behind it, as often as there is one."""
    start = 0
    while len(times) - start > 1:
        gap, index = max((times[i] - times[i - 1], i) for i in range(start + 1, len(times)))
        after = times[-1] - times[index]
        if gap < _DOMINANT_GAP * max(after, 1.0) or len(times) - index < min(4, len(times) // 2):
            return start
        start = index
    return start


def _draw_lanes(inside: list[tuple[float, TimelineEvent]], first: float, span: float) -> tuple[Lane, ...]:
    kinds: dict[str, list[tuple[float, TimelineEvent]]] = defaultdict(list)
    for at, event in inside:
        kinds[event.kind].append((at, event))
    names = list(kinds)
    if len(names) > _MOST_LANES:
        for name in names[_MOST_LANES - 1 :]:
            kinds["other"] = sorted((*kinds.get("other", ()), *kinds.pop(name)), key=lambda pair: pair[0])
        names = [*names[: _MOST_LANES - 1], "other"]
    return tuple(_draw_lane(name, kinds[name], index, first, span) for index, name in enumerate(names))


def _draw_lane(name: str, events: list[tuple[float, TimelineEvent]], index: int, first: float, span: float) -> Lane:
    bins: dict[int, list[TimelineEvent]] = defaultdict(list)
    for at, event in events:
        bins[min(int((at - first) / span * _BINS), _BINS - 1)].append(event)
    bottom = index * LANE + 6 + _TALLEST
    bars = tuple(_draw_bar(slot, members, bottom) for slot, members in sorted(bins.items()))
    return Lane(name, bottom, len(events), bars)


def _draw_bar(slot: int, members: list[TimelineEvent], bottom: float) -> Bar:
    height = round(min(_TALLEST, 8 + 4 * math.log2(len(members))), 1)
    return Bar(
        x=round(LEFT + slot * WIDTH / _BINS, 1),
        y=round(bottom - height, 1),
        width=round(WIDTH / _BINS - 1.2, 1),
        height=height,
        count=len(members),
        at=members[0].at,
        first=members[0].description,
        doubtful=any(event.doubt for event in members),
    )


def _draw_ticks(first: float, span: float) -> tuple[Tick, ...]:
    step = next((step for step in _STEPS if span / step <= _TICKS), _LONG_STEP)
    step = max(step, math.ceil(span / _TICKS / step) * step)
    at = math.ceil(first / step) * step
    ticks = []
    while at <= first + span:
        moment = datetime.fromtimestamp(at, UTC)
        form = "%Y-%m-%d" if at % _DAY == 0 else "%H:%M" if step >= _MINUTE else "%H:%M:%S"
        label = moment.strftime(form)
        ticks.append(Tick(round(LEFT + (at - first) / span * WIDTH, 1), label))
        at += step
    return tuple(ticks)
