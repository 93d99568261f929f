"""Exact sums over trades. Prices and sizes are integers of 1e-9, quote volumes of 1e-18."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from schemas.scaled import UNIT, decimal_text


class Ohlcv(Struct, array_like=True, gc=False):
    """Open to volume of a set of trades.

    Adding a trade and merging two sets commute with any cutting into batches, as long as trades
    come in the order of ``seq``: open is the first by (ts_event, seq), close the last.
    """

    open_ts: int
    open: int
    high: int
    low: int
    close_ts: int
    close: int
    volume: int
    quote_volume: int
    trades_count: int
    buy_volume: int
    buy_quote_volume: int

    def add(self, ts: int, price: int, size: int, buy: bool) -> None:  # noqa: FBT001 - hot path
        """Add one trade."""
        if ts >= self.close_ts:
            self.close_ts, self.close = ts, price
        if ts < self.open_ts:
            self.open_ts, self.open = ts, price
        if price > self.high:  # noqa: PLR1730 - max() costs a call for each tick
            self.high = price
        if price < self.low:  # noqa: PLR1730 - the same
            self.low = price
        amount = price * size
        self.volume += size
        self.quote_volume += amount
        self.trades_count += 1
        if buy:
            self.buy_volume += size
            self.buy_quote_volume += amount

    def merge(self, later: Ohlcv) -> None:
        """Add a set of trades whose every ``seq`` is above those in this one."""
        if later.open_ts < self.open_ts:
            self.open_ts, self.open = later.open_ts, later.open
        if later.close_ts >= self.close_ts:
            self.close_ts, self.close = later.close_ts, later.close
        self.high = max(self.high, later.high)
        self.low = min(self.low, later.low)
        self.volume += later.volume
        self.quote_volume += later.quote_volume
        self.trades_count += later.trades_count
        self.buy_volume += later.buy_volume
        self.buy_quote_volume += later.buy_quote_volume


def empty(ts: int, price: int) -> Ohlcv:
    """Begin a set with the place of its first trade, which is then added."""
    return Ohlcv(ts, price, price, price, ts, price, 0, 0, 0, 0, 0)


def copy_of(trades: Ohlcv) -> Ohlcv:
    """Return a set of its own with the same trades."""
    return Ohlcv(*values_of(trades))


def values_of(trades: Ohlcv) -> tuple[int, ...]:
    """Return the fields of a set of trades, in order, and of a candle no others."""
    return (
        trades.open_ts,
        trades.open,
        trades.high,
        trades.low,
        trades.close_ts,
        trades.close,
        trades.volume,
        trades.quote_volume,
        trades.trades_count,
        trades.buy_volume,
        trades.buy_quote_volume,
    )


def numbers_of(trades: Ohlcv) -> dict[str, Any]:
    """Write trades as they look on a topic; vwap is the double nearest to the exact quotient."""
    volume = trades.volume
    return {
        "open": trades.open / UNIT,
        "high": trades.high / UNIT,
        "low": trades.low / UNIT,
        "close": trades.close / UNIT,
        "volume": decimal_text(volume, 9),
        "quote_volume": decimal_text(trades.quote_volume, 18),
        # Division of integers rounds correctly in Python, however large they are.
        "vwap": trades.quote_volume / (volume * UNIT) if volume else None,
        "trades_count": trades.trades_count,
        "buy_volume": decimal_text(trades.buy_volume, 9),
        "buy_quote_volume": decimal_text(trades.buy_quote_volume, 18),
    }
