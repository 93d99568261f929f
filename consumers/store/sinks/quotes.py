"""Best bids and asks to ``tick_quotes``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pandas as pd

from consumers.store.sinks.columns import (
    Floats,
    exact,
    identifiers,
    instruments,
    integers,
    symbols,
    times,
)
from consumers.store.sinks.frame_sink import FrameSink
from schemas.events import Event, Quote
from schemas.instruments import check_instrument
from schemas.scaled import scale
from schemas.tables import TICK_QUOTES


class QuoteSink(FrameSink):
    """Keeps quotes, one row each; written again, a row stays the same."""

    table = TICK_QUOTES

    def frame(self, events: Sequence[Any]) -> pd.DataFrame:
        return quote_frame(events)

    def check(self, event: Event) -> None:
        quote = cast("Quote", event)
        check_instrument(quote.instrument)
        for number in (quote.bid_price, quote.bid_size, quote.ask_price, quote.ask_size):
            if number is not None:
                scale(number)
        identifiers([quote.update_id])


def quote_frame(quotes: Sequence[Quote]) -> pd.DataFrame:
    """Lay quotes out as rows of the table, or raise ``DataError`` for one that must not be kept."""
    return pd.DataFrame(
        {
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
        },
        copy=False,
    )


def _exact(numbers: Sequence[float | None]) -> Floats:
    """Return a column of prices or sizes, NaN where a side is empty."""
    return exact(np.array(numbers, np.float64))
