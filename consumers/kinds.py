"""What is kept of each topic: which events, how they are read, and the sink they go to."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from consumers.intake import Decode
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

    events: tuple[type, ...]
    decode: Decode
    sink: Callable[[IngestClient], Sink]
    ordered: bool = True


def kinds(settings: Consume) -> dict[Topic, Kind]:
    """Return the topics that are kept."""
    whole = settings.books_whole
    candles = Kind((Candle,), candle_decoder.decode, CandleSink, ordered=False)
    return {
        TRADES: Kind((Trade,), input_decoder.decode, TradeSink),
        BOOKS: Kind(
            (PackedBook,),
            decode_whole if whole else decode_best,
            partial(BookSink, whole=whole),
        ),
        QUOTES: Kind((Quote,), input_decoder.decode, QuoteSink),
        BARS: Kind((Bar,), input_decoder.decode, BarSink),
        CANDLES: candles,
        CANDLES_QUOTES: candles,
        LATE: Kind((Late, LateQuote), late_decoder.decode, LateSink, ordered=False),
        SESSIONS: Kind((SessionRecord,), session_decoder.decode, SessionSink, ordered=False),
    }
