"""Bars made elsewhere to ``market_bars``."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from typing import Any

import numpy as np

from consumers.store.sinks.columns import (
    Columns,
    decimals,
    exact,
    identifiers,
    instruments,
    integers,
    symbols,
    times,
)
from consumers.store.sinks.frame_sink import FrameSink
from schemas.events import Bar
from schemas.scaled import DECIMALS_MAX, PRODUCT_DECIMALS_MAX
from schemas.tables import MARKET_BARS


class BarSink(FrameSink):
    """Keeps bars, one row each; written again, a row stays the same."""

    table = MARKET_BARS

    def lay(self, events: Sequence[Any]) -> Columns:
        return bar_columns(events)


def bar_columns(bars: Sequence[Bar]) -> Columns:
    """Lay bars out as rows of the table, or raise ``DataError`` for one that must not be kept."""

    def every(name: str) -> list[Any]:
        return [getattr(bar, name) for bar in bars]

    names = ("session", "source", "price_type", "adjustment", "interval")
    stamps = ("ts_open", "ts_close", "ts_event", "ts_recv")
    prices = ("open", "high", "low", "close")
    return {
        "instrument": instruments(every("instrument")),
        **{name: symbols(every(name)) for name in names},
        **{name: times(every(name)) for name in stamps},
        **{name: exact(every(name)) for name in prices},
        "volume": decimals(every("volume"), DECIMALS_MAX),
        "quote_volume": decimals(every("quote_volume"), PRODUCT_DECIMALS_MAX),
        "vwap": np.array([nan if v is None else v for v in every("vwap")], np.float64),
        "trades_count": identifiers(every("trades_count")),
        "seq": integers(every("seq")),
    }
