"""Which closed candles can still be revised, and when each leaves the horizon."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush

from streams.candles.series import Key, Series


class Horizon:
    """Closed candles by when they leave: those of one time are together, however many series."""

    __slots__ = ("_order", "_waiting")

    def __init__(self) -> None:
        self._order: list[tuple[int, Key]] = []
        self._waiting: dict[tuple[int, Key], tuple[Key, list[Series]]] = {}

    def add(self, until: int, series: Series, key: Key) -> Key:
        """Keep a candle until source time has come so far; return the key that all share."""
        waiting = self._waiting.get((until, key))
        if waiting is None:
            waiting = self._waiting[until, key] = key, []
            heappush(self._order, (until, key))
        waiting[1].append(series)
        return waiting[0]

    def leave(self, time: int) -> Iterator[tuple[Series, Key]]:
        """Yield the candles that no tick can come into any more."""
        while self._order and self._order[0][0] <= time:
            leaver = heappop(self._order)
            key, waiting = self._waiting.pop(leaver)
            for series in waiting:
                yield series, key
