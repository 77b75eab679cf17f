"""Reads cron expressions as crontab(5) does, and says them in systemd's words. Runs nothing and schedules nothing.

Every field is expanded into the set of its values, so that what systemd is told is exactly what cron would do, steps,
lists, names and the rule of the two day fields included.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from forensics.errors import UsageError
from forensics.text import show

_EXAMPLE = "write minute, hour, day of month, month, day of week: --cron '0 3 * * 1' is Mondays at 03:00"
_NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_PART = re.compile(r"(?:(\*)|(\w+)(?:-(\w+))?)(?:/(\d+))?", re.ASCII)
_SUNDAY_TOO = 7
_MAX_LENGTH = 200


@dataclass(frozen=True, slots=True)
class _Field:
    """One field: its name, its range, and the names its values may have."""

    name: str
    first: int
    last: int
    names: tuple[str, ...] = ()


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 0, _SUNDAY_TOO, _DAYS),
)


@dataclass(frozen=True, slots=True)
class Cron:
    """A checked expression: its five fields as text, and the values each stands for (Sunday is 0).

    ``either_day`` says that a day counts when *either* day field fits: crontab(5), where neither begins with a star.
    """

    text: str
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    either_day: bool


def parse_cron(text: str) -> Cron:
    """Return the checked expression; names may be in any case, nicknames like ``@weekly`` are expanded.

    Raises:
        UsageError: it is no cron expression, or there is no such day; the sentence names the field.
    """
    text = text.replace("\t", " ").strip()
    parts = _NICKNAMES.get(text.lower(), text).split() if text.isprintable() else []
    if text.startswith("@") and text.lower() not in _NICKNAMES:
        known = ", ".join(_NICKNAMES)
        raise UsageError(f"the nickname {show(text, 40)} has no times of day", hint=f"there are: {known}")
    if len(parts) != len(_FIELDS) or len(text) > _MAX_LENGTH:
        raise UsageError(f"{show(text, 60)!r} has not the five fields of cron", hint=_EXAMPLE)
    minutes, hours, days, months, weekdays = (
        _parse_field(field, part) for field, part in zip(_FIELDS, parts, strict=True)
    )
    either = not parts[2].startswith("*") and not parts[4].startswith("*")
    if not either and not any(min(days) <= _LONGEST[month - 1] for month in months):
        raise UsageError(f"{show(text, 60)!r} never comes: no such month has a day {min(days)}", hint=_EXAMPLE)
    folded = tuple(sorted({day % _SUNDAY_TOO for day in weekdays}))
    return Cron(" ".join(parts), minutes, hours, days, months, folded, either)


def _parse_field(field: _Field, text: str) -> tuple[int, ...]:
    values: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if not match:
            raise UsageError(f"{show(part, 40)!r} is no {field.name} of cron", hint=_EXAMPLE)
        star, low, high, step = match.groups()
        if step is not None and not star and high is None:
            raise UsageError(
                f"{show(part, 40)!r}: a step needs a range before it", hint=f"write {low}-{field.last}/{step}"
            )
        first = field.first if star else _parse_value(field, low)
        last = field.last if star else _parse_value(field, high or low)
        if last < first:
            raise UsageError(f"{show(part, 40)!r}: the range of the {field.name} runs backwards", hint=_EXAMPLE)
        if step is not None and not 1 <= int(step) <= field.last:
            raise UsageError(f"{show(part, 40)!r}: a step of {int(step)} is no step of the {field.name}", hint=_EXAMPLE)
        values |= set(range(first, last + 1, int(step or 1)))
    return tuple(sorted(values))


def _parse_value(field: _Field, text: str) -> int:
    if text.lower() in field.names:
        return field.names.index(text.lower()) + (1 if field.names is _MONTHS else 0)
    if not (text.isdecimal() and field.first <= int(text) <= field.last):
        raise UsageError(
            f"{show(text, 40)!r} is no {field.name}: it goes from {field.first} to {field.last}", hint=_EXAMPLE
        )
    return int(text)


def to_on_calendar(cron: Cron) -> tuple[str, ...]:
    """Return the lines of ``OnCalendar=`` that fire exactly when cron would (systemd.time(7)).

    Two lines where either day field is enough: systemd wants both in one line, and one of several lines.
    """
    every = tuple(range(_FIELDS[2].first, _FIELDS[2].last + 1))
    times = f"{_say(cron.hours, _FIELDS[1])}:{_say(cron.minutes, _FIELDS[0])}:00"
    months = _say(cron.months, _FIELDS[3])

    def line(days: tuple[int, ...], weekdays: tuple[int, ...]) -> str:
        names = "" if len(weekdays) == _SUNDAY_TOO else ",".join(_DAYS[day].title() for day in weekdays) + " "
        return f"{names}*-{months}-{_say(days, _FIELDS[2])} {times}"

    if not cron.either_day:
        return (line(cron.days, cron.weekdays),)
    all_week = tuple(range(_SUNDAY_TOO))
    return tuple(dict.fromkeys((line(cron.days, all_week), line(every, cron.weekdays))))


def _say(values: tuple[int, ...], field: _Field) -> str:
    """Return the values as systemd reads them: a star, or a list."""
    full = len(values) == field.last - field.first + 1
    number: Callable[[int], str] = "{:02d}".format
    return "*" if full else ",".join(map(number, values))
