"""Cron expressions: what cron would do, and the same in systemd's words, checked by systemd itself."""

import itertools
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from forensics.drill.cron import Cron, parse_cron, to_on_calendar
from forensics.errors import UsageError

RIGHT = {
    "0 3 * * 1": ("Mon *-*-* 03:00:00",),
    "*/20 * * * *": ("*-*-* *:00,20,40:00",),
    "0 0 1,15 * fri": ("*-*-01,15 00:00:00", "Fri *-*-* 00:00:00"),
    "15 2-4/2 * jan-mar MON-FRI": ("Mon,Tue,Wed,Thu,Fri *-01,02,03-* 02,04:15:00",),
    "0 0 */10 * 7": ("Sun *-*-01,11,21,31 00:00:00",),
    "@weekly": ("Sun *-*-* 00:00:00",),
    "  0\t3  * * 0-7 ": ("*-*-* 03:00:00",),
    "0 4 31 4,5 *": ("*-04,05-31 04:00:00",),
}
WRONG = {
    "": "has not the five fields of cron",
    "0 3 * *": "has not the five fields of cron",
    "0 3 * * * *": "has not the five fields of cron",
    "0 3 * * 1\n* * * * * root id": "has not the five fields of cron",
    "60 3 * * 1": "'60' is no minute: it goes from 0 to 59",
    "0 24 * * 1": "'24' is no hour",
    "0 3 0 * 1": "'0' is no day of month",
    "0 3 * 13 1": "'13' is no month",
    "0 3 * * 8": "'8' is no day of week: it goes from 0 to 7",
    "0 3 * * 1;id": "is no day of week of cron",
    "5-3 * * * *": "runs backwards",
    "5/2 * * * *": "a step needs a range before it",
    "*/0 * * * *": "is no step of the minute",
    "0 0 30 2 *": "never comes: no such month has a day 30",
    "@reboot": "the nickname @reboot has no times of day",
    "٣ * * * *": "is no minute of cron",
}


@pytest.mark.parametrize(("text", "lines"), RIGHT.items(), ids=RIGHT.keys())
def test_says_it_in_the_words_of_systemd(text: str, lines: tuple[str, ...]) -> None:
    assert to_on_calendar(parse_cron(text)) == lines


@pytest.mark.parametrize(("text", "message"), WRONG.items(), ids=[repr(text) for text in WRONG])
def test_refuses_what_cron_would_not_take(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_cron(text)
    assert message in caught.value.message
    assert caught.value.hint


def fires(cron: Cron, moment: datetime) -> bool:
    """Say in the plainest way what crontab(5) says."""
    day, weekday = moment.day in cron.days, (moment.weekday() + 1) % 7 in cron.weekdays
    rest = moment.minute in cron.minutes and moment.hour in cron.hours and moment.month in cron.months
    return rest and ((day or weekday) if cron.either_day else (day and weekday))


def ask_systemd(line: str, start: datetime, count: int) -> set[datetime]:
    done = subprocess.run(
        ["systemd-analyze", "calendar", f"--base-time={start:%Y-%m-%d %H:%M:%S} UTC", f"--iterations={count}", line],
        capture_output=True, text=True, check=True, env={"TZ": "UTC", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    found = set()
    for shown in done.stdout.splitlines():
        name, _, value = shown.strip().partition(": ")
        if name.startswith(("Next elapse", "Iter")):
            found.add(datetime.strptime(value.split(" ", 1)[1], "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC))
    return found


@pytest.mark.parametrize(
    "text", ["0 3 * * 1", "*/20 5-7 * * *", "30 1 13 * 5", "0 0 */10 * 7", "15 2-4/2 * jan-dec/2 mon-fri"]
)
def test_systemd_fires_exactly_when_cron_would(text: str) -> None:
    cron, start, count = parse_cron(text), datetime(2026, 11, 22, tzinfo=UTC), 6
    minutes = (start + timedelta(minutes=number) for number in range(1, 200 * 24 * 60))
    expected = list(itertools.islice((minute for minute in minutes if fires(cron, minute)), count))
    told = sorted(set().union(*(ask_systemd(line, start, count) for line in to_on_calendar(cron))))
    assert len(expected) > 3
    assert told[: len(expected)] == expected
