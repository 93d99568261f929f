"""Candle intervals: ``[ts_open, ts_close)``, labelled by ``ts_open``.

Where an interval begins is said by the calendar of the venue (``schemas.calendars``); weeks and
months are never a fixed number of seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from schemas.errors import SettingsError, UnknownNameError
from schemas.events import NS_PER_S

FIXED_NS: Final[dict[str, int]] = {
    **{f"{n}s": n * NS_PER_S for n in (1, 5, 15, 30)},
    **{f"{n}m": n * 60 * NS_PER_S for n in (1, 3, 5, 15, 30)},
    **{f"{n}h": n * 3600 * NS_PER_S for n in (1, 2, 4, 6, 8, 12)},
}
"""Lengths of the intervals within a day."""
DAYS: Final = {"1d": 1, "2d": 2, "3d": 3}
"""Lengths in days, of those counted from 1970-01-01."""
WEEK: Final = "1w"
MONTH: Final = "1M"
INTERVALS: Final = (*FIXED_NS, *DAYS, WEEK, MONTH)
"""All that are known, shortest first."""
WINDOWS: Final = {
    **{f"{n}m": n * FIXED_NS["1m"] for n in (1, 5, 15)},
    **{f"{n}h": n * FIXED_NS["1h"] for n in (1, 24)},
}
"""Lengths of the trailing windows that are known."""
_RANK: Final = {interval: rank for rank, interval in enumerate(INTERVALS)}


def check_interval(interval: str) -> str:
    """Return the interval, or raise ``UnknownNameError`` with the known ones."""
    if interval not in _RANK:
        raise UnknownNameError.of("interval", interval, INTERVALS)
    return interval


def check_intervals(intervals: Iterable[str]) -> tuple[str, ...]:
    """Return the intervals shortest first, or raise if one is unknown, doubled or none is given."""
    given = tuple(map(check_interval, intervals))
    ordered = tuple(sorted(given, key=_RANK.__getitem__))
    if not ordered or len(set(ordered)) < len(ordered):
        raise SettingsError("intervals must be a list without doubles", ", ".join(given) or "empty")
    return ordered


def longest_ns(interval: str) -> int:
    """Return a length that no candle of the interval exceeds, in any calendar."""
    days = DAYS.get(interval) or (7 if interval == WEEK else 31)
    return FIXED_NS.get(interval) or (days + 1) * FIXED_NS["1h"] * 24


def check_windows(windows: Iterable[str]) -> tuple[str, ...]:
    """Return the windows shortest first, or raise ``UnknownNameError`` with the known ones."""
    given = set(windows)
    for window in given - WINDOWS.keys():
        raise UnknownNameError.of("window", window, WINDOWS)
    return tuple(window for window in WINDOWS if window in given)


def nests(fine: str, coarse: str) -> bool:
    """Tell whether candles of ``coarse`` are made of whole ones of ``fine``, in any calendar.

    Within a day both begin at its open and are cut where it ends; a day, a week and a month are
    whole trading days.
    """
    if _RANK[fine] >= _RANK[coarse]:
        return False
    if coarse in FIXED_NS:
        return FIXED_NS[coarse] % FIXED_NS[fine] == 0
    return fine in FIXED_NS or fine == "1d"


def source_of(interval: str, intervals: Iterable[str]) -> str | None:
    """Return the coarsest of ``intervals`` that nests in the given one; None if there is none."""
    nesting = [name for name in intervals if nests(name, interval)]
    return max(nesting, key=_RANK.__getitem__, default=None)
