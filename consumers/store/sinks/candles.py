"""Closed candles and their revisions to ``aggregated_ohlcv``."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from math import nan
from typing import Any

import numpy as np
import numpy.typing as npt

from consumers.store.sinks.columns import (
    Columns,
    identifiers,
    instruments,
    integers,
    symbols,
    texts,
    times,
)
from consumers.store.sinks.frame_sink import FrameSink
from schemas.errors import DataError
from schemas.events import Candle
from schemas.tables import AGGREGATED_OHLCV


class CandleSink(FrameSink):
    """Keeps candles, one row for each revision; written again, a row stays the same."""

    table = AGGREGATED_OHLCV

    def lay(self, events: Sequence[Any]) -> Columns:
        return candle_columns(events)


def candle_columns(candles: Sequence[Candle]) -> Columns:
    """Lay candles out as rows of the table, or raise ``DataError`` for one that cannot be kept."""
    numbers = {
        name: np.array([getattr(candle, name) for candle in candles], np.float64)
        for name in ("open", "high", "low", "close")
    }
    sums = {
        name: _decimals([getattr(candle, name) for candle in candles])
        for name in ("volume", "quote_volume", "buy_volume", "buy_quote_volume")
    }
    return {
        "instrument": instruments([candle.instrument for candle in candles]),
        "session": symbols([candle.session for candle in candles]),
        "price_type": symbols([candle.price_type for candle in candles]),
        "interval": symbols([candle.interval for candle in candles]),
        "ts_open": times([candle.ts_open for candle in candles]),
        "ts_close": times([candle.ts_close for candle in candles]),
        **numbers,
        **sums,
        "vwap": np.array([nan if c.vwap is None else c.vwap for c in candles], np.float64),
        "trades_count": integers([candle.trades_count for candle in candles]),
        "is_closed": np.array([candle.is_closed for candle in candles], np.bool_),
        "revision": integers([candle.revision for candle in candles]),
        "repair": identifiers([candle.repair or None for candle in candles]),
        "flags": texts([",".join(candle.flags) for candle in candles]),
        "seq": integers([candle.seq for candle in candles]),
    }


def _decimals(values: Sequence[str]) -> npt.NDArray[np.object_]:
    try:
        decimals = [Decimal(value) for value in values]
    except InvalidOperation as error:
        raise DataError("sum is not a decimal", ", ".join(values)[:80]) from error
    if not all(map(Decimal.is_finite, decimals)):
        raise DataError("sum is not finite", ", ".join(values)[:80])
    return np.array(decimals, np.object_)
