"""Ticks that came after the horizon to ``late_ticks``, trades and quotes side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from consumers.store.sinks.columns import (
    Columns,
    exact,
    identifiers,
    instruments,
    integers,
    symbols,
    texts,
    times,
)
from consumers.store.sinks.frame_sink import FrameSink
from schemas.codec import encode
from schemas.events import Late, LateQuote
from schemas.tables import LATE_TICKS

_NUMBERS: Final = ("price", "size", "bid_price", "bid_size", "ask_price", "ask_size")


class LateSink(FrameSink):
    """Keeps late ticks, one row each; written again, a row stays the same."""

    table = LATE_TICKS

    def lay(self, events: Sequence[Any]) -> Columns:
        return late_columns(events)


def late_columns(ticks: Sequence[Late | LateQuote]) -> Columns:
    """Lay late ticks out as rows of the table, or raise ``DataError`` for one that must not be."""

    def every(name: str) -> list[Any]:
        return [getattr(tick, name, None) for tick in ticks]

    return {
        "instrument": instruments(every("instrument")),
        "session": symbols(every("session")),
        "type": symbols(["trade" if isinstance(tick, Late) else "quote" for tick in ticks]),
        "seq": integers(every("seq")),
        "ts_event": times(every("ts_event")),
        "ts_recv": times(every("ts_recv")),
        **{name: exact(np.array(every(name), np.float64)) for name in _NUMBERS},
        "side": texts(every("side")),
        "trade_id": texts(every("trade_id")),
        "update_id": identifiers(every("update_id")),
        "missed": texts([encode(tick.missed).decode() for tick in ticks]),
    }
