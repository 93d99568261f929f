"""The candles of one instrument in one session, all intervals, open and still revisable."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.events import NS_PER_S
from schemas.intervals import bounds_ns
from streams.candles.candle import Candle, candle_of
from streams.candles.ohlcv import Ohlcv

Key = tuple[str, int]
"""Interval and ts_open."""


class Series:
    """Trades gather in seconds (``pending``) and are settled into the candles at control events.

    Every interval nests in the second, so that a tick costs the same however many there are.
    """

    __slots__ = ("candles", "instrument", "pending", "stored_open")

    def __init__(self, instrument: str) -> None:
        self.instrument = instrument
        self.pending: dict[int, Ohlcv] = {}
        """By second since 1970."""
        self.candles: dict[Key, Candle] = {}
        self.stored_open = False
        """True while the saved state holds a record of open candles."""

    def settle(self, intervals: tuple[str, ...]) -> Iterator[tuple[Candle, bool]]:
        """Merge what is pending; yield each candle that changed, and whether it is new."""
        for second, trades in self.pending.items():
            for interval in intervals:
                ts_open, ts_close = bounds_ns(interval, second * NS_PER_S)
                key = (interval, ts_open)
                candle = self.candles.get(key)
                if candle is None:
                    candle = self.candles[key] = candle_of(trades, interval, ts_open, ts_close)
                    yield candle, True
                else:
                    candle.merge(trades)
                    yield candle, False
        self.pending.clear()

    def open_candles(self) -> list[Candle]:
        return [candle for candle in self.candles.values() if not candle.closed]
