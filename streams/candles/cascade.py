"""Which candles are made of which: every interval takes whole candles of the next finer one.

A tick is added once, to its second. The second goes into the candles of ``roots`` when its time
has come, and each candle, when it closes, into those ``above`` it: the work a tick costs does not
grow with the number of intervals.
"""

from __future__ import annotations

from functools import lru_cache

from schemas.intervals import source_of


class Cascade:
    """The intervals of a session as a forest."""

    __slots__ = ("above", "rank", "roots")

    def __init__(self, intervals: tuple[str, ...]) -> None:
        sources = {interval: source_of(interval, intervals) for interval in intervals}
        self.rank = {interval: rank for rank, interval in enumerate(intervals)}
        self.roots = tuple(name for name, source in sources.items() if source is None)
        """Made of seconds."""
        self.above = {
            interval: tuple(name for name, source in sources.items() if source == interval)
            for interval in intervals
        }
        """Made of the candles of the interval."""


@lru_cache(maxsize=64)
def cascade_of(intervals: tuple[str, ...]) -> Cascade:
    """Return the cascade of intervals, shortest first."""
    return Cascade(intervals)
