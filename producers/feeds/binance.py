"""Binance spot (``BINANCE``) and USD-M futures (``BINANCE-USDM``): frames of combined streams.

Trades, diff depth with the REST snapshot, best quotes. Source of the rules for books: Binance's
API documentation, "How to manage a local order book correctly".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Final

from msgspec import Raw, Struct, field
from msgspec.json import Decoder, encode

from producers.feed import Observation
from producers.feeds import binance_history
from producers.feeds.source import RefusedError, Request, Source
from producers.live.venue_clock import VenueClock
from producers.order_books.best_quote import best_quote
from producers.order_books.book_builder import Update
from producers.order_books.snapshot_books import SnapshotBooks
from producers.venue_times import milli_or_micro_ns
from schemas.errors import DataError
from schemas.events import NS_PER_MS, Level, Quote, Trade
from schemas.instruments import instrument_of

SPOT: Final = "BINANCE"
USDM: Final = "BINANCE-USDM"
STREAMS: Final = ("trade", "bookTicker", "depth@100ms")
STREAMS_MAX: Final = 100
"""In one message."""
SNAPSHOT_LEVELS: Final = 1_000


class _Frame(Struct):
    stream: str | None = None
    id: int | None = None
    error: Raw = Raw()
    data: Raw = Raw()
    snapshot_id: int | None = field(default=None, name="lastUpdateId")


class _Trade(Struct):
    symbol: str = field(name="s")
    trade_id: int = field(name="t")
    price: float = field(name="p")
    size: float = field(name="q")
    time: int = field(name="T")
    buyer_is_maker: bool = field(name="m")


class _Quote(Struct):
    symbol: str = field(name="s")
    update_id: int = field(name="u")
    bid_price: float = field(name="b")
    bid_size: float = field(name="B")
    ask_price: float = field(name="a")
    ask_size: float = field(name="A")
    time: int = field(default=0, name="T")


class _Depth(Struct):
    symbol: str = field(name="s")
    first_id: int = field(name="U")
    last_id: int = field(name="u")
    sent_at: int = field(name="E")
    bids: list[Level] = field(name="b")
    asks: list[Level] = field(name="a")
    previous_id: int | None = field(default=None, name="pu")
    """Futures; spot numbers its updates without holes instead."""
    time: int | None = field(default=None, name="T")


class _Snapshot(Struct):
    update_id: int = field(name="lastUpdateId")
    bids: list[Level]
    asks: list[Level]


# Numbers come as strings, which a decoder that is not strict takes.
_decode_frame = Decoder(_Frame).decode
_decode_trade = Decoder(_Trade, strict=False).decode
_decode_quote = Decoder(_Quote, strict=False).decode
_decode_depth = Decoder(_Depth, strict=False).decode
_decode_snapshot = Decoder(_Snapshot, strict=False).decode
_KIND = re.compile(r"@(trade|bookTicker|depth|snapshot)(@\d+ms)?$")


def parse_trade(frame: Raw | bytes, venue: str, ts_recv: int) -> Trade:
    """Parse a trade. The buyer being the maker, it was the seller who came."""
    trade = _decode_trade(frame)
    return Trade(
        session="",
        epoch=0,
        seq=0,
        instrument=instrument_of(trade.symbol, venue),
        ts_event=milli_or_micro_ns(trade.time),
        ts_recv=ts_recv,
        price=trade.price,
        size=trade.size,
        side="sell" if trade.buyer_is_maker else "buy",
        trade_id=str(trade.trade_id),
    )


def parse_quote(frame: Raw | bytes, venue: str, ts_recv: int) -> Quote:
    """Parse a best quote. Spot gives no time; an empty side comes as zeros."""
    quote = _decode_quote(frame)
    instrument = instrument_of(quote.symbol, venue)
    bid, ask = (quote.bid_price, quote.bid_size), (quote.ask_price, quote.ask_size)
    best = best_quote(instrument, milli_or_micro_ns(quote.time), ts_recv, bid, ask)
    best.update_id = quote.update_id
    return best


def parse_depth(frame: Raw | bytes, venue: str) -> tuple[str, Update]:
    """Parse changed levels; return the instrument and the update."""
    depth = _decode_depth(frame)
    previous_id = depth.first_id - 1 if depth.previous_id is None else depth.previous_id
    ts_event = milli_or_micro_ns(depth.time or depth.sent_at)
    update = Update(previous_id, depth.last_id, ts_event, depth.bids, depth.asks)
    return instrument_of(depth.symbol, venue), update


class BinanceParser:
    """Frames of one recording, in receiving order, to observations."""

    version = 1
    """Raised when the same frames give other observations."""

    def __init__(self, venue: str, depth: int) -> None:
        self._venue = venue
        self._books = SnapshotBooks(depth)

    @property
    def broken(self) -> set[str]:
        """Symbols whose book waits for a snapshot."""
        return self._books.broken

    def parse(self, ts_recv: int, text: bytes) -> list[Observation]:
        """Parse a frame. Raises ``DataError`` or what decoders raise for one that is foreign."""
        frame = _decode_frame(text)
        if frame.error:
            raise RefusedError("binance refuses", bytes(frame.error)[:200].decode(errors="replace"))
        if frame.id is not None:
            return []
        if frame.snapshot_id is not None:
            return self._snapshot(self._only_book(), text, ts_recv)
        kind = _KIND.search(frame.stream or "")
        if kind is None:
            raise DataError("stream is unknown", repr(frame.stream)[:80])
        if kind[1] == "trade":
            return [parse_trade(frame.data, self._venue, ts_recv)]
        if kind[1] == "bookTicker":
            return [parse_quote(frame.data, self._venue, ts_recv)]
        if kind[1] == "snapshot":
            symbol, _, _ = (frame.stream or "").partition("@")
            return self._snapshot(instrument_of(symbol, self._venue), frame.data, ts_recv)
        instrument, update = parse_depth(frame.data, self._venue)
        return self._books.update(instrument, ts_recv, update)

    def _only_book(self) -> str:
        """Return the instrument of a REST reply, which does not name it: there must be only one."""
        known = list(self._books)
        if len(known) != 1:
            names = ", ".join(known) or "none yet"
            raise DataError("snapshot cannot be told whose it is", f"books: {names}")
        return known[0]

    def _snapshot(self, instrument: str, text: Raw | bytes, ts_recv: int) -> list[Observation]:
        snapshot = _decode_snapshot(text)
        sides = snapshot.bids, snapshot.asks
        return self._books.snapshot(instrument, ts_recv, snapshot.update_id, sides)


def _subscribe(symbols: Sequence[str], depth: int) -> list[Request]:  # noqa: ARG001 - books are whole
    names = [f"{symbol.lower()}@{stream}" for symbol in symbols for stream in STREAMS]
    chunks = [names[n : n + STREAMS_MAX] for n in range(0, len(names), STREAMS_MAX)]
    return [
        Request(encode({"method": "SUBSCRIBE", "params": chunk, "id": number}), 1)
        for number, chunk in enumerate(chunks, 1)
    ]


def _snapshot_path(prefix: str, symbol: str) -> str:
    return f"{prefix}/depth?symbol={symbol.upper()}&limit={SNAPSHOT_LEVELS}"


def _snapshot_frame(symbol: str, reply: bytes) -> bytes:
    return b'{"stream":"%s@snapshot","data":%s}' % (symbol.lower().encode(), reply)


SOURCE_SPOT: Final = Source(
    venue=SPOT,
    url="wss://stream.binance.com:9443/stream",
    rest_url="https://api.binance.com",
    clock=VenueClock("/api/v3/time", ("serverTime",), NS_PER_MS),
    parser=BinanceParser,
    subscribe=_subscribe,
    snapshot_path=partial(_snapshot_path, "/api/v3"),
    snapshot_frame=_snapshot_frame,
    answer=b'"result":null',
    history=binance_history.SPOT,
    numbered=True,
    integrity="trades: ids without holes; books: update ids without holes",
)
SOURCE_USDM: Final = Source(
    venue=USDM,
    url="wss://fstream.binance.com/stream",
    rest_url="https://fapi.binance.com",
    clock=VenueClock("/fapi/v1/time", ("serverTime",), NS_PER_MS),
    parser=BinanceParser,
    subscribe=_subscribe,
    snapshot_path=partial(_snapshot_path, "/fapi/v1"),
    snapshot_frame=_snapshot_frame,
    answer=b'"result":null',
    history=binance_history.USDM,
    numbered=True,
    integrity="trades: ids without holes; books: update ids without holes",
)
