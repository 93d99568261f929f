"""Best bids and asks to ``tick_quotes``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from consumers.store.sinks.columns import (
    Columns,
    Floats,
    exact,
    identifiers,
    instruments,
    integers,
    symbols,
    times,
)
from consumers.store.sinks.frame_sink import FrameSink
from schemas.events import Quote
from schemas.tables import TICK_QUOTES


class QuoteSink(FrameSink):
    """Keeps quotes, one row each; written again, a row stays the same."""

    table = TICK_QUOTES

    def lay(self, events: Sequence[Any]) -> Columns:
        return quote_columns(events)


def quote_columns(quotes: Sequence[Quote]) -> Columns:
    """Lay quotes out as rows of the table, or raise ``DataError`` for one that must not be kept."""
    return {
        "instrument": instruments([quote.instrument for quote in quotes]),
        "session": symbols([quote.session for quote in quotes]),
        "seq": integers([quote.seq for quote in quotes]),
        "ts_event": times([quote.ts_event for quote in quotes]),
        "ts_recv": times([quote.ts_recv for quote in quotes]),
        "bid_price": _exact([quote.bid_price for quote in quotes]),
        "bid_size": _exact([quote.bid_size for quote in quotes]),
        "ask_price": _exact([quote.ask_price for quote in quotes]),
        "ask_size": _exact([quote.ask_size for quote in quotes]),
        "update_id": identifiers([quote.update_id for quote in quotes]),
    }


def _exact(numbers: Sequence[float | None]) -> Floats:
    """Return a column of prices or sizes, NaN where a side is empty."""
    return exact(np.array(numbers, np.float64))
