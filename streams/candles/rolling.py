"""Trailing windows: the last minutes or hours of a series, moved on by the second or the minute.

Work is constant for each second that comes in or goes out: sums are kept up to date, highs and lows
in lists where each later entry is further from the extreme, so that the first is the extreme.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Final

from schemas.events import NS_PER_S
from schemas.intervals import WINDOWS
from streams.candles.ohlcv import Ohlcv, copy_of

SUMS: Final = ("volume", "quote_volume", "trades_count", "buy_volume", "buy_quote_volume")
MINUTE_NS: Final = 60 * NS_PER_S


def step_ns(window: str) -> int:
    """Return by what a window moves: windows of an hour and more by the minute."""
    return NS_PER_S if WINDOWS[window] < 60 * MINUTE_NS else MINUTE_NS


class Rolling:
    """The windows of one series; ``changes`` is what a save has to write."""

    __slots__ = ("_steps", "changes")

    def __init__(self, windows: tuple[str, ...]) -> None:
        self._steps = {
            step: _Step(step, [name for name in windows if step_ns(name) == step])
            for step in sorted({step_ns(name) for name in windows})
        }
        self.changes: dict[tuple[int, int], Ohlcv | None] = {}
        """Buckets by step and beginning in ns; None where one has left every window."""

    def add(self, ts: int, trades: Ohlcv) -> None:
        """Add the trades of a second, whose every ``seq`` is above those before."""
        for step in self._steps.values():
            start = ts - ts % step.ns
            self.changes[step.ns, start] = step.add(start, trades)

    def advance(self, until: int) -> bool:
        """End the windows at the last step up to ``until`` (ns); tell if one with trades moved."""
        moved = False
        for step in self._steps.values():
            moved |= step.advance(until - until % step.ns)
            for start in step.prune():
                self.changes[step.ns, start] = None
        return moved

    def places(self) -> Iterator[tuple[int, int]]:
        """Yield step and beginning of each bucket that may be saved."""
        yield from self.changes
        for step in self._steps.values():
            yield from ((step.ns, start) for start in step.buckets)

    def restore(self, step: int, start: int, trades: Ohlcv) -> None:
        """Take back a saved bucket; ``advance`` then lets it in."""
        self._steps[step].buckets[start] = trades

    def windows(self) -> list[tuple[str, int, int, Ohlcv]]:
        """Return name, beginning, end and trades of each window that is not empty."""
        return [
            (window.name, window.end - window.length, window.end, trades)
            for step in self._steps.values()
            for window in step.windows
            if (trades := window.trades()) is not None
        ]


class _Step:
    """Buckets of one size and the windows over them."""

    __slots__ = ("buckets", "ns", "windows")

    def __init__(self, ns: int, names: list[str]) -> None:
        self.ns = ns
        self.buckets: dict[int, Ohlcv] = {}
        self.windows = [_Window(name, self.buckets) for name in names]

    def add(self, start: int, trades: Ohlcv) -> Ohlcv:
        bucket = self.buckets.get(start)
        if bucket is None:
            bucket = self.buckets[start] = copy_of(trades)
        else:
            bucket.merge(trades)
        for window in self.windows:
            window.changed(start, trades)
        return bucket

    def advance(self, end: int) -> bool:
        moved = False
        for window in self.windows:
            moved |= window.advance(end)
        return moved

    def prune(self) -> list[int]:
        first = min(window.end - window.length for window in self.windows)
        # Insertion order is nearly that of time; what is late goes a little later.
        gone = []
        for start in self.buckets:
            if start >= first:
                break
            gone.append(start)
        for start in gone:
            del self.buckets[start]
        return gone


class _Window:
    """The buckets in ``[end - length, end)``: their sums and extremes."""

    __slots__ = ("_buckets", "_highs", "_lows", "_starts", "_sums", "end", "length", "name")

    def __init__(self, name: str, buckets: dict[int, Ohlcv]) -> None:
        self.name = name
        self.length = WINDOWS[name]
        self.end = 0
        self._buckets = buckets
        self._starts: list[int] = []
        self._sums = dict.fromkeys(SUMS, 0)
        self._highs: list[tuple[int, int]] = []
        """Beginning and high, each lower than the one before it."""
        self._lows: list[tuple[int, int]] = []
        """Beginning and low with its sign turned, likewise."""

    def advance(self, end: int) -> bool:
        if end <= self.end:
            return False
        before, self.end = self.end, end
        filled = bool(self._starts)
        gone = bisect_left(self._starts, end - self.length)
        for start in self._starts[:gone]:
            self._count(self._buckets[start], -1)
        del self._starts[:gone]
        for extremes in (self._highs, self._lows):
            del extremes[: bisect_left(extremes, (end - self.length,))]
        entering = range(max(before, end - self.length), end, step_ns(self.name))
        if len(entering) > len(self._buckets):
            entering = sorted(s for s in self._buckets if s in entering)  # type: ignore[assignment]
        for start in entering:
            bucket = self._buckets.get(start)
            if bucket is not None:
                self._enter(start, bucket)
        return filled or bool(self._starts)

    def changed(self, start: int, trades: Ohlcv) -> None:
        """Take late trades of a bucket that is inside already."""
        if self.end - self.length <= start < self.end:
            self._enter(start, trades)

    def trades(self) -> Ohlcv | None:
        if not self._starts:
            return None
        first, last = self._buckets[self._starts[0]], self._buckets[self._starts[-1]]
        return Ohlcv(
            first.open_ts,
            first.open,
            self._highs[0][1],
            -self._lows[0][1],
            last.close_ts,
            last.close,
            **self._sums,
        )

    def _enter(self, start: int, trades: Ohlcv) -> None:
        place = bisect_left(self._starts, start)
        if place == len(self._starts) or self._starts[place] != start:
            insort(self._starts, start)
        self._count(trades, 1)
        _extend(self._highs, start, trades.high)
        _extend(self._lows, start, -trades.low)

    def _count(self, trades: Ohlcv, sign: int) -> None:
        for name in SUMS:
            self._sums[name] += sign * getattr(trades, name)


def _extend(extremes: list[tuple[int, int]], start: int, value: int) -> None:
    """Put a value in its place in time, unless a later one is as far; drop those it outdoes."""
    place = bisect_left(extremes, (start, value))
    if any(other >= value for _, other in extremes[place : place + 1]):
        return
    first = place
    while first and extremes[first - 1][1] <= value:
        first -= 1
    extremes[first:place] = [(start, value)]
