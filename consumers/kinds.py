"""What is kept of each topic: which events, how they are read, and the sink they go to."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from consumers.intake import Reading
from consumers.sink import Sink
from consumers.store.client import IngestClient
from consumers.store.sinks.bars import BarSink
from consumers.store.sinks.books import BookSink, PackedBook, decode_best, decode_whole
from consumers.store.sinks.candles import CandleSink
from consumers.store.sinks.late import LateSink
from consumers.store.sinks.quotes import QuoteSink
from consumers.store.sinks.sessions import SessionSink
from consumers.store.sinks.trades import TradeSink
from schemas.codec import candle_decoder, input_decoder, late_decoder, session_decoder
from schemas.events import Bar, Candle, Late, LateQuote, Quote, SessionRecord, Trade
from schemas.sections import Consume
from schemas.topics import (
    BARS,
    BOOKS,
    CANDLES,
    CANDLES_QUOTES,
    LATE,
    QUOTES,
    SESSIONS,
    TRADES,
    Topic,
)


class Kind(NamedTuple):
    """One topic's part in the store."""

    reading: Reading
    sink: Callable[[IngestClient], Sink]


def kinds(settings: Consume) -> dict[Topic, Kind]:
    """Return the topics that are kept."""
    ticks, whole = input_decoder.decode, settings.books_whole
    books = Reading((PackedBook,), decode_whole if whole else decode_best)
    candles = Kind(Reading((Candle,), candle_decoder.decode, ordered=False), CandleSink)
    late = Reading((Late, LateQuote), late_decoder.decode, ordered=False)
    sessions = Reading((SessionRecord,), session_decoder.decode, ordered=False)
    return {
        TRADES: Kind(Reading((Trade,), ticks), TradeSink),
        BOOKS: Kind(books, partial(BookSink, whole=whole)),
        QUOTES: Kind(Reading((Quote,), ticks), QuoteSink),
        BARS: Kind(Reading((Bar,), ticks), BarSink),
        CANDLES: candles,
        CANDLES_QUOTES: candles,
        LATE: Kind(late, LateSink),
        SESSIONS: Kind(sessions, SessionSink),
    }
