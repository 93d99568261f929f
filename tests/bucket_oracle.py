"""Where candles begin and end, computed the slow way: by asking dates, one candle at a time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import exchange_calendars
import pandas as pd

S = 10**9
LENGTHS = {
    "1s": 1,
    "5s": 5,
    "15s": 15,
    "30s": 30,
    "1m": 60,
    "3m": 180,
    "5m": 300,
    "15m": 900,
    "30m": 1800,
    "1h": 3600,
    "2h": 7200,
    "4h": 14400,
    "6h": 21600,
    "8h": 28800,
    "12h": 43200,
}
Stretch = tuple[date, int, int]


def bounds(interval: str, ts: int, calendar: str) -> tuple[int, int]:
    """Return ts_open and ts_close of the candle that a time within trading hours is in."""
    stretches = _around(calendar, datetime.fromtimestamp(ts // S, UTC).date())
    label, opens, close = next(s for s in stretches if s[1] <= ts < s[2])
    if interval in LENGTHS:
        length = LENGTHS[interval] * S
        begin = opens + (ts - opens) // length * length
        return begin, min(begin + length, close)
    mine = [s for s in stretches if _group(interval, s[0]) == _group(interval, label)]
    return min(s[1] for s in mine), max(s[2] for s in mine)


def place(ts: int, calendar: str) -> int | None:
    """Return when a tick counts: a closing print just before the close; None out of hours."""
    stretches = _around(calendar, datetime.fromtimestamp(ts // S, UTC).date())
    for _, opens, close in stretches:
        if opens <= ts < close:
            return ts
    closes = [close for _, _, close in stretches if close <= ts < close + 60 * S]
    return closes[0] - 1 if closes else None


def _group(interval: str, day: date) -> object:
    if interval == "1w":
        return day.isocalendar()[:2]
    if interval == "1M":
        return day.year, day.month
    return (day - date(1970, 1, 1)).days // int(interval[0])


@cache
def _around(calendar: str, day: date) -> list[Stretch]:
    since, until = day - timedelta(days=40), day + timedelta(days=40)
    if calendar == "24/7":
        return [
            (d, begin, begin + 86400 * S)
            for d in _days(since, until)
            for begin in [int(datetime(d.year, d.month, d.day, tzinfo=UTC).timestamp()) * S]
        ]
    if "@" in calendar:
        zone, _, clock = calendar.partition("@")
        return [_local_day(d, ZoneInfo(zone), int(clock[:2])) for d in _days(since, until)]
    found: list[Stretch] = []
    exchange = exchange_calendars.get_calendar(calendar, start=since, end=until)
    for label, row in exchange.schedule.iterrows():
        if pd.isna(row["break_start"]):
            found.append((label.date(), row["open"].value, row["close"].value))
        else:
            found.append((label.date(), row["open"].value, row["break_start"].value))
            found.append((label.date(), row["break_end"].value, row["close"].value))
    return found


def _local_day(label: date, zone: ZoneInfo, hour: int) -> Stretch:
    """A day called after the date on which it ends, cut in the afternoon."""
    before = label - timedelta(days=1)
    edges = [datetime(d.year, d.month, d.day, hour, tzinfo=zone) for d in (before, label)]
    return (label, *(int(edge.timestamp()) * S for edge in edges))


def _days(since: date, until: date) -> list[date]:
    return [since + timedelta(days=n) for n in range((until - since).days)]
