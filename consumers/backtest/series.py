"""Stored series beside the market, looked up as of event time only."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from math import inf
from typing import NamedTuple

Lookup = Callable[[str, str], Iterable[tuple[int, float]]]
"""Given the name of a series and an instrument, its values with the times (ns) at which they were
known, in order. Raises ``UnknownNameError``."""


def no_series(series: str, instrument: str) -> Iterable[tuple[int, float]]:
    """Know no values at all."""
    del series, instrument
    return ()


class AsOf:
    """Series, each read when it is first asked for.

    Of those that grow meanwhile ``again_ns`` says after how much time they are read again.
    """

    def __init__(self, lookup: Lookup = no_series, again_ns: int | None = None) -> None:
        self._lookup = lookup
        self._again_ns = inf if again_ns is None else again_ns
        self._read: dict[tuple[str, str], _Read] = {}

    def value(self, series: str, instrument: str, now: int) -> float | None:
        """Return the newest value whose time is not after ``now``."""
        name = series, instrument
        read = self._read.get(name)
        if read is None or now - read.at >= self._again_ns:
            points = list(self._lookup(*name))
            times, values = [ts for ts, _ in points], [value for _, value in points]
            read = self._read[name] = _Read(now, times, values)
        place = bisect_right(read.times, now)
        return read.values[place - 1] if place else None


class _Read(NamedTuple):
    at: int
    times: list[int]
    values: list[float]
