"""A candle as all that we are compared with keep it: a dictionary, sums in floats."""

from __future__ import annotations

from typing import Any, Final

from schemas.intervals import FIXED_NS

INTERVALS: Final = ("1s", "1m", "5m", "15m", "1h")
"""The five of all that is measured."""
LENGTHS: Final = {interval: FIXED_NS[interval] for interval in INTERVALS}

Trade = dict[str, Any]
Candle = dict[str, Any]


def new_candle(trade: Trade, length_ns: int) -> Candle:
    """Return the candle that a trade opens; the trade is still to be added."""
    price, ts_open = trade["price"], trade["ts_event"] // length_ns * length_ns
    return {
        "instrument": trade["instrument"],
        "ts_open": ts_open,
        "ts_close": ts_open + length_ns,
        "open": price,
        "high": price,
        "low": price,
        "close": price,
        "volume": 0.0,
        "quote_volume": 0.0,
        "trades_count": 0,
        "buy_volume": 0.0,
        "buy_quote_volume": 0.0,
    }


def add(candle: Candle, trade: Trade) -> Candle:
    """Fold a trade into its candle, which is returned."""
    price, size = trade["price"], trade["size"]
    candle["high"] = max(candle["high"], price)
    candle["low"] = min(candle["low"], price)
    candle["close"] = price
    candle["volume"] += size
    candle["quote_volume"] += price * size
    candle["trades_count"] += 1
    if trade["side"] == "buy":
        candle["buy_volume"] += size
        candle["buy_quote_volume"] += price * size
    return candle
