"""Events that only the store tests need, with defaults."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from builders import RULES, SESSION, at
from consumers.store.client import IngestClient
from consumers.store.sinks.frame_sink import FrameSink
from schemas.events import NS_PER_S, Bar, Book, Candle, Quote, SessionRecord
from schemas.sections import QuestDb


def frame_of(kind: Callable[[IngestClient], FrameSink], *events: Any) -> pd.DataFrame:
    """Lay events out as a sink does, without a server."""
    sink = kind(IngestClient(QuestDb()))
    return sink.frame([sink.lay(events)])


def book(seconds: float = 0, **fields: Any) -> Book:
    defaults = {"session": SESSION, "epoch": 1, "seq": 0, "instrument": "AAA.SIM"}
    times = {"ts_event": at(seconds), "ts_recv": at(seconds)}
    levels = {"bids": [(99.0, 1.0)], "asks": [(101.0, 2.0)]}
    return Book(**(defaults | times | levels | fields))


def candle(seconds: float = 0, **fields: Any) -> Candle:
    defaults = {"session": SESSION, "epoch": 1, "seq": 0, "instrument": "AAA.SIM", "interval": "1s"}
    times = {"ts_open": at(seconds), "ts_close": at(seconds) + NS_PER_S}
    prices = {"open": 100.0, "high": 100.0, "low": 100.0, "close": 100.0, "vwap": 100.0}
    sums = {
        "volume": "1",
        "quote_volume": "100",
        "buy_volume": "0",
        "buy_quote_volume": "0",
        "trades_count": 1,
    }
    return Candle(**(defaults | times | prices | sums | fields))


def bar(seconds: float = 0, **fields: Any) -> Bar:
    """Return the minute that begins at ``seconds``."""
    defaults = {"session": SESSION, "epoch": 1, "seq": 0, "instrument": "AAA.SIM"}
    complete = at(seconds + 60)
    times = {"ts_event": complete, "ts_recv": complete}
    span = {"interval": "1m", "ts_open": at(seconds), "ts_close": complete}
    prices = {"open": 100.0, "high": 102.0, "low": 99.0, "close": 101.0, "volume": "1.5"}
    return Bar(**(defaults | times | span | prices | {"source": "elsewhere"} | fields))


def quote(seconds: float = 0, **fields: Any) -> Quote:
    defaults = {"session": SESSION, "epoch": 1, "seq": 0, "instrument": "AAA.SIM"}
    times = {"ts_event": at(seconds), "ts_recv": at(seconds)}
    sides = {"bid_price": 99.5, "bid_size": 1.0, "ask_price": None, "ask_size": None}
    return Quote(**(defaults | times | sides | fields))


def catalogued(session: str, **fields: Any) -> SessionRecord:
    """Return the entry of a recording that has ended."""
    defaults = {"session": session, "epoch": 1, "state": "completed", "origin": "simulated"}
    times = {"started_ns": at(0), "heartbeat_ns": at(60), "heartbeat_timeout_ms": 1_000}
    told = {"owner": "here", "topics": ("trades",), "instruments": ("AAA.SIM",), "rules": RULES}
    return SessionRecord(**(defaults | times | told | fields))
