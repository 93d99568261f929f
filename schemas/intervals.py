"""Candle intervals: ``[ts_open, ts_close)``, labelled by ``ts_open``, floored in UTC.

All of these nest in the second; calendars, weeks and months join in ``candles`` of sessions with
hours of their own.
"""

from __future__ import annotations

from collections.abc import Iterable

from schemas.errors import SettingsError, UnknownNameError
from schemas.events import NS_PER_S

LENGTHS_NS: dict[str, int] = {
    "1s": NS_PER_S,
    "1m": 60 * NS_PER_S,
    "5m": 300 * NS_PER_S,
}
"""Length of each known interval, shortest first."""


def length_ns(interval: str) -> int:
    """Return the length of an interval, or raise ``UnknownNameError`` with the known ones."""
    try:
        return LENGTHS_NS[interval]
    except KeyError:
        raise UnknownNameError.of("interval", interval, LENGTHS_NS) from None


def bounds_ns(interval: str, ts: int) -> tuple[int, int]:
    """Return ``(ts_open, ts_close)`` of the candle that a time falls into."""
    length = LENGTHS_NS[interval]
    ts_open = ts - ts % length
    return ts_open, ts_open + length


def check_intervals(intervals: Iterable[str]) -> tuple[str, ...]:
    """Return the intervals shortest first, or raise if one is unknown, doubled or none is given."""
    given = tuple(intervals)
    ordered = tuple(sorted(given, key=length_ns))
    if not ordered or len(set(ordered)) < len(ordered):
        raise SettingsError("intervals must be a list without doubles", ", ".join(given) or "empty")
    return ordered
