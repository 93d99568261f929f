"""The candles of one instrument and price in one session, all intervals, open and revisable."""

from __future__ import annotations

from msgspec import Struct

from schemas.calendars import Calendar
from schemas.events import PriceType
from streams.candles.candle import Candle
from streams.candles.ohlcv import Ohlcv
from streams.candles.packed import Packed, unpack
from streams.candles.rolling import Rolling

Key = tuple[str, int]
"""Interval and ts_open."""


class Filled(Struct, array_like=True, gc=False):
    """Up to when an interval is told, and the prices of its last candle: open to close."""

    until: int
    prices: tuple[float, float, float, float]


class Series:
    """Ticks gather in seconds (``pending``), which go into candles when their time has come."""

    __slots__ = (
        *("calendar", "candles", "closed", "filled", "instrument", "name", "pending"),
        *("price_type", "rolling", "stored"),
    )

    def __init__(
        self,
        instrument: str,
        price_type: PriceType,
        calendar: Calendar,
        windows: tuple[str, ...] = (),
    ) -> None:
        self.instrument = instrument
        self.price_type = price_type
        self.name = series_name(instrument, price_type)
        self.calendar = calendar
        self.pending: dict[int, Ohlcv] = {}
        """By second since 1970: what no candle has yet."""
        self.candles: dict[Key, Candle] = {}
        """Open, or with a revision to be emitted."""
        self.closed: dict[Key, Packed] = {}
        """Closed, and still revisable."""
        self.filled: dict[str, Filled] = {}
        """By interval, if bars are filled in."""
        self.rolling = Rolling(windows) if windows else None
        self.stored = False
        """True while the saved state holds a record of what is pending or open."""

    def reopen(self, key: Key) -> Candle | None:
        """Take a closed candle out to change it; None if there is none."""
        packed = self.closed.pop(key, None)
        if packed is None:
            return None
        candle = self.candles[key] = unpack(packed, *key)
        return candle

    def open_candles(self) -> list[Candle]:
        return [candle for candle in self.candles.values() if not candle.closed]


def series_name(instrument: str, price_type: PriceType) -> str:
    """Name a series; no instrument has a blank in it."""
    return instrument if price_type == "trade" else f"{instrument} {price_type}"


def split_name(name: str) -> tuple[str, PriceType]:
    """Split what ``series_name`` made."""
    instrument, _, price_type = name.partition(" ")
    return instrument, price_type or "trade"  # type: ignore[return-value] # as it was put together
