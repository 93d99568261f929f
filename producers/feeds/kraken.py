"""Kraken spot (``KRAKEN``): WebSocket v2, and the v1 that older captures hold.

Trades, best quotes, books. Source of the rule for books: Kraken's guide "Spot WebSocket Book
Checksum": after each update the CRC-32 of the ten best levels a side, in the digits as sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Raw, Struct
from msgspec.json import Decoder, encode

from producers.feed import Observation
from producers.feeds import kraken_history
from producers.feeds.kraken_book import KrakenBook, checked_level
from producers.feeds.kraken_v1 import KrakenV1Parser, is_v1
from producers.feeds.source import RefusedError, Request, Source
from producers.live.venue_clock import VenueClock
from producers.order_books.best_quote import best_quote
from producers.order_books.books import Books, Change
from producers.venue_times import iso_ns
from schemas.errors import DataError
from schemas.events import NS_PER_S, Quote, Side, Trade
from schemas.instruments import instrument_of, split_instrument

VENUE: Final = "KRAKEN"
DEPTHS: Final = (10, 25, 100, 500, 1_000)
"""Of books that can be subscribed to."""
QUIET: Final = frozenset(("heartbeat", "status", "instrument"))
"""Channels that say nothing of a market."""


class _Result(Struct):
    channel: str = ""
    depth: int | None = None


class _Frame(Struct):
    channel: str | None = None
    type: str | None = None
    data: Raw = Raw()
    method: str | None = None
    result: _Result | None = None
    error: str | None = None


class _Trade(Struct):
    symbol: str
    side: Side
    price: float
    qty: float
    trade_id: int
    timestamp: str


class _Level(Struct):
    # The digits as sent, zeros at the end included, are what the checksum is of.
    price: Raw
    qty: Raw


class _Book(Struct):
    symbol: str
    checksum: int
    bids: list[_Level] = []
    asks: list[_Level] = []
    timestamp: str | None = None


class _Ticker(Struct):
    symbol: str
    bid: float
    bid_qty: float
    ask: float
    ask_qty: float
    timestamp: str | None = None


_decode_frame = Decoder(_Frame).decode
_decode_trades = Decoder(list[_Trade]).decode
_decode_books = Decoder(list[_Book]).decode
_decode_tickers = Decoder(list[_Ticker]).decode


class KrakenParser:
    """Frames of one connection, in receiving order, to observations."""

    version = 1
    """Raised when the same frames give other observations."""

    def __init__(self, venue: str, depth: int) -> None:
        self._venue = venue
        self._v1 = KrakenV1Parser(venue, depth)
        self._books = Books(depth, self._new_book)
        self._subscribed = _subscribed_depth(depth)
        """Levels that are told of: what falls deeper is gone, though nobody says so."""

    @property
    def broken(self) -> set[str]:
        """Symbols whose book waits for a snapshot."""
        return {split_instrument(name)[0] for name in self._books.broken | self._v1.books.broken}

    def parse(self, ts_recv: int, text: bytes) -> list[Observation]:
        """Parse a frame. Raises ``DataError`` or what decoders raise for one that is foreign."""
        if is_v1(text):
            return self._v1.parse(ts_recv, text)
        frame = _decode_frame(text)
        if frame.channel == "trade":
            # The first frame repeats the latest trades: the recorder knows them by their id.
            return [self._trade(ts_recv, trade) for trade in _decode_trades(frame.data)]
        if frame.channel == "book":
            books = _decode_books(frame.data)
            fresh = frame.type == "snapshot"
            return [o for book in books for o in self._book(ts_recv, book, fresh=fresh)]
        if frame.channel == "ticker":
            return [self._quote(ts_recv, ticker) for ticker in _decode_tickers(frame.data)]
        if frame.error:
            raise RefusedError("kraken refuses", frame.error[:200])
        if frame.result is not None and frame.result.depth:
            self._subscribed = frame.result.depth
        if frame.channel in QUIET or frame.method:
            return []
        raise DataError("channel is unknown", repr(frame.channel)[:80])

    def _trade(self, ts_recv: int, trade: _Trade) -> Trade:
        return Trade(
            session="",
            epoch=0,
            seq=0,
            instrument=instrument_of(trade.symbol, self._venue),
            ts_event=iso_ns(trade.timestamp),
            ts_recv=ts_recv,
            price=trade.price,
            size=trade.qty,
            side=trade.side,
            trade_id=str(trade.trade_id),
        )

    def _quote(self, ts_recv: int, ticker: _Ticker) -> Quote:
        instrument = instrument_of(ticker.symbol, self._venue)
        ts_event = iso_ns(ticker.timestamp) if ticker.timestamp else 0
        sides = (ticker.bid, ticker.bid_qty), (ticker.ask, ticker.ask_qty)
        return best_quote(instrument, ts_event, ts_recv, *sides)

    def _book(self, ts_recv: int, book: _Book, *, fresh: bool) -> list[Observation]:
        bids, asks = (
            [checked_level(str(level.price, "ascii"), str(level.qty, "ascii")) for level in side]
            for side in (book.bids, book.asks)
        )
        change = Change(
            instrument=instrument_of(book.symbol, self._venue),
            ts_event=iso_ns(book.timestamp) if book.timestamp else 0,
            ts_recv=ts_recv,
            bids=bids,
            asks=asks,
            fresh=fresh,
            checksum=book.checksum,
        )
        return self._books.change(change)

    def _new_book(self) -> KrakenBook:
        return KrakenBook(self._subscribed)


def _subscribe(symbols: Sequence[str], depth: int) -> list[Request]:
    channels: list[dict[str, Any]] = [
        {"channel": "trade", "snapshot": False},
        {"channel": "ticker", "event_trigger": "bbo"},
        {"channel": "book", "depth": _subscribed_depth(depth)},
    ]
    return [_request("subscribe", channel, symbols) for channel in channels]


def _resubscribe(symbols: Sequence[str], depth: int) -> list[Request]:
    book = {"channel": "book", "depth": _subscribed_depth(depth)}
    return [_request(method, book, symbols) for method in ("unsubscribe", "subscribe")]


def _request(method: str, channel: dict[str, Any], symbols: Sequence[str]) -> Request:
    params = channel | {"symbol": list(symbols)}
    return Request(encode({"method": method, "params": params}), len(symbols))


def _subscribed_depth(depth: int) -> int:
    return next((known for known in DEPTHS if known >= depth), DEPTHS[-1])


SOURCE: Final = Source(
    venue=VENUE,
    url="wss://ws.kraken.com/v2",
    rest_url="https://api.kraken.com",
    clock=VenueClock("/0/public/Time", ("result", "unixtime"), NS_PER_S),
    parser=KrakenParser,
    subscribe=_subscribe,
    resubscribe=_resubscribe,
    answer=b'"method":"subscribe"',
    ping=b'{"method":"ping"}',
    history=kraken_history.HISTORY,
    numbered=True,
    integrity="trades: ids without holes; books: CRC-32 at every update",
)
