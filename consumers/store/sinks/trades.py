"""Trades to ``tick_prices``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from consumers.store.sinks.columns import (
    Columns,
    exact,
    instruments,
    integers,
    symbols,
    texts,
    times,
)
from consumers.store.sinks.frame_sink import FrameSink
from schemas.events import Trade
from schemas.tables import TICK_PRICES


class TradeSink(FrameSink):
    """Keeps trades, one row each; written again, a row stays the same."""

    table = TICK_PRICES

    def lay(self, events: Sequence[Any]) -> Columns:
        return trade_columns(events)


def trade_columns(trades: Sequence[Trade]) -> Columns:
    """Lay trades out as rows of the table, or raise ``DataError`` for one that must not be kept."""
    return {
        "instrument": instruments([trade.instrument for trade in trades]),
        "session": symbols([trade.session for trade in trades]),
        "side": symbols([trade.side for trade in trades]),
        "seq": integers([trade.seq for trade in trades]),
        "ts_event": times([trade.ts_event for trade in trades]),
        "ts_recv": times([trade.ts_recv for trade in trades]),
        "price": exact([trade.price for trade in trades]),
        "size": exact([trade.size for trade in trades]),
        "trade_id": texts([trade.trade_id for trade in trades]),
        "filled": np.array([bool(trade.filled) for trade in trades], np.bool_),
    }
