"""Stored series beside the market, looked up as of event time only."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable

Lookup = Callable[[str, str], Iterable[tuple[int, float]]]
"""Given the name of a series and an instrument, its values with the times (ns) at which they were
known, in order. Raises ``UnknownNameError``."""


def no_series(series: str, instrument: str) -> Iterable[tuple[int, float]]:
    """Know no values at all."""
    del series, instrument
    return ()


class AsOf:
    """Series, each read once when it is first asked for."""

    def __init__(self, lookup: Lookup = no_series) -> None:
        self._lookup = lookup
        self._read: dict[tuple[str, str], tuple[list[int], list[float]]] = {}

    def value(self, series: str, instrument: str, now: int) -> float | None:
        """Return the newest value whose time is not after ``now``."""
        name = series, instrument
        if name not in self._read:
            points = list(self._lookup(*name))
            self._read[name] = [ts for ts, _ in points], [value for _, value in points]
        times, values = self._read[name]
        place = bisect_right(times, now)
        return values[place - 1] if place else None
