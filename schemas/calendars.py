"""Where candles begin and end: trading hours as tables, the round clock by arithmetic. Pure.

A calendar knows trading days; each has one or more stretches of trading without a break. Candles
within a day are anchored at the opening of their stretch and cut at its end; those of days, weeks
and months are whole trading days. Known names:

* ``24/7``: days of UTC, weeks from Monday, months from the 1st;
* ``Area/City@HH:MM`` (``NY17`` and ``CME1700CT`` for short): the round clock, cut into days at
  a local time, daylight saving included; a day that begins in the afternoon is called by the next;
* a MIC of ``exchange_calendars`` such as ``XNYS``: its regular hours, breaks and early closes.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from schemas.errors import UnknownNameError
from schemas.events import NS_PER_S
from schemas.intervals import DAYS, FIXED_NS, WEEK

ROUND_THE_CLOCK: Final = "24/7"
ALIASES: Final = {"NY17": "America/New_York@17:00", "CME1700CT": "America/Chicago@17:00"}
GRACE_AFTER_CLOSE_NS: Final = 60 * NS_PER_S
"""Closing prints come in this long after the close, and belong to the last candle."""
YEARS_BEFORE, YEARS_AFTER = 1, 10
"""How far a table reaches around the beginning of a session."""

_DAY_NS: Final = 86_400 * NS_PER_S
_EPOCH: Final = date(1970, 1, 1).toordinal()
_ANCHOR: Final = re.compile(r"([A-Za-z_]+/[A-Za-z_/]+)@([01]\d|2[0-3]):([0-5]\d)")


class Day(NamedTuple):
    """A trading day: its date in days since 1970-01-01, its stretches ``[open, close)`` in ns."""

    number: int
    stretches: tuple[tuple[int, int], ...]


class Calendar:
    """Days of UTC, without end: the calendar ``24/7``."""

    always_open = True

    def place(self, ts: int) -> tuple[int, int | None]:
        """Return when a tick counts (ns) and the second since 1970 that has it.

        A closing print counts at the end of the hours. There is no second out of hours.
        """
        return ts, ts // NS_PER_S

    def bounds(self, interval: str, ts: int) -> tuple[int, int]:
        """Return ``(ts_open, ts_close)`` of the candle that a time within trading hours is in."""
        length = FIXED_NS.get(interval)
        if length is not None:
            ts_open = ts - ts % length
            return ts_open, ts_open + length
        first, after = _days_of(interval, ts // _DAY_NS)
        return first * _DAY_NS, after * _DAY_NS

    def next_open(self, ts: int) -> int | None:
        """Return the first time within trading hours from ``ts`` on; None if there is no more."""
        return ts

    def spans(self, interval: str, since: int, until: int) -> Iterator[tuple[int, int]]:
        """Yield the candles from ``since`` on, where one ends, that close up to ``until``."""
        at = self.next_open(since)
        while at is not None and at < until:
            ts_open, ts_close = self.bounds(interval, at)
            if ts_close > until:
                return
            yield ts_open, ts_close
            at = self.next_open(ts_close)


class Hours(Calendar):
    """A table of trading days in order, whole seconds; outside of it nothing is ever traded."""

    always_open = False

    def __init__(self, days: Sequence[Day]) -> None:
        assert all(edge % NS_PER_S == 0 for day in days for pair in day.stretches for edge in pair)
        self._days = days
        self._numbers = [day.number for day in days]
        self._stretches = [(*pair, day) for day in days for pair in day.stretches]
        self._opens = [opens for opens, _, _ in self._stretches]

    def place(self, ts: int) -> tuple[int, int | None]:
        number = bisect_right(self._opens, ts) - 1
        if number < 0:
            return ts, None
        close = self._stretches[number][1]
        if ts < close:
            return ts, ts // NS_PER_S
        if ts < close + GRACE_AFTER_CLOSE_NS:
            return close - 1, close // NS_PER_S - 1
        return ts, None

    def bounds(self, interval: str, ts: int) -> tuple[int, int]:
        opens, close, day = self._stretches[bisect_right(self._opens, ts) - 1]
        length = FIXED_NS.get(interval)
        if length is not None:
            ts_open = ts - (ts - opens) % length
            return ts_open, min(ts_open + length, close)
        first, after = _days_of(interval, day.number)
        earliest = self._days[bisect_right(self._numbers, first - 1)]
        latest = self._days[bisect_right(self._numbers, after - 1) - 1]
        return earliest.stretches[0][0], latest.stretches[-1][1]

    def next_open(self, ts: int) -> int | None:
        number = bisect_right(self._opens, ts)
        if number and ts < self._stretches[number - 1][1]:
            return ts
        return self._opens[number] if number < len(self._opens) else None


def _days_of(interval: str, number: int) -> tuple[int, int]:
    """Return the first day of the interval that a day is in, and the one after its last."""
    if interval in DAYS:
        first = number - number % DAYS[interval]
        return first, first + DAYS[interval]
    if interval == WEEK:
        first = number - (number + 3) % 7  # 1970-01-01 was a Thursday
        return first, first + 7
    month = date.fromordinal(_EPOCH + number).replace(day=1)
    following = (month + timedelta(days=31)).replace(day=1)
    return month.toordinal() - _EPOCH, following.toordinal() - _EPOCH


UTC_DAYS: Final = Calendar()


def check_calendar(name: str) -> str:
    """Return the calendar's name, or raise ``UnknownNameError`` with the known ones."""
    name = ALIASES.get(name, name)
    if name == ROUND_THE_CLOCK:
        return name
    found = _ANCHOR.fullmatch(name)
    if found:
        try:
            ZoneInfo(found[1])
        except (ZoneInfoNotFoundError, OSError):
            raise UnknownNameError.of("calendar", name, [*ALIASES, "Area/City@HH:MM"]) from None
        return name
    import exchange_calendars

    known = exchange_calendars.get_calendar_names(include_aliases=False)
    if name not in known:
        raise UnknownNameError.of(
            "calendar", name, {ROUND_THE_CLOCK, *ALIASES, "Area/City@HH:MM", *known}
        )
    return name


def calendar_of(name: str, began: int) -> Calendar:
    """Return a calendar by its name, as a table around the time (ns) at which a session began.

    The same name and day give the same table; raises ``UnknownNameError``.
    """
    name = check_calendar(name)
    if name == ROUND_THE_CLOCK:
        return UTC_DAYS
    return _table(name, datetime.fromtimestamp(began // NS_PER_S, UTC).date())


@lru_cache(maxsize=64)
def _table(name: str, began: date) -> Calendar:
    since = began - timedelta(days=366 * YEARS_BEFORE)
    until = began + timedelta(days=366 * YEARS_AFTER)
    days = _anchored(name, since, until) if "@" in name else _exchange(name, since, until)
    return Hours(list(days))


def _anchored(name: str, since: date, until: date) -> Iterator[Day]:
    match = _ANCHOR.fullmatch(name)
    assert match, "the name was checked"
    zone, hour, minute = ZoneInfo(match[1]), int(match[2]), int(match[3])

    def begins(day: date) -> int:
        local = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
        return round(local.timestamp()) * NS_PER_S

    called_by_next = 1 if hour >= 12 else 0
    day = since
    while day < until:
        following = day + timedelta(days=1)
        number = day.toordinal() - _EPOCH + called_by_next
        yield Day(number, ((begins(day), begins(following)),))
        day = following


def _exchange(name: str, since: date, until: date) -> Iterator[Day]:
    import exchange_calendars
    import pandas as pd

    whole = exchange_calendars.get_calendar(name)
    first, last = whole.bound_min(), whole.bound_max()
    start = max(filter(None, (pd.Timestamp(since), first)))
    end = min(filter(None, (pd.Timestamp(until), last)))
    if start >= end:
        return
    calendar = exchange_calendars.get_calendar(name, start=start, end=end)
    for label, row in calendar.schedule.iterrows():
        edges = [row["open"], row["break_start"], row["break_end"], row["close"]]
        times = [edge.value for edge in edges if not pd.isna(edge)]
        number = label.toordinal() - _EPOCH
        yield Day(number, tuple(zip(times[::2], times[1::2], strict=True)))
