"""Bybit (``BYBIT``): WebSocket v5, and the inverse API before it that older captures hold.

Sizes of inverse contracts are in dollars, as sent. Source of the rule for books: Bybit's v5
documentation, "Orderbook": ``u`` of each delta follows the one before, and a snapshot, also one
that comes unasked, begins anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from msgspec import Raw, Struct
from msgspec.json import Decoder, encode

from producers.feed import Observation
from producers.feeds import bybit_history
from producers.feeds.source import RefusedError, Request, Source
from producers.live.venue_clock import VenueClock
from producers.order_books.books import Books, Change, CheckedBook
from producers.order_books.order_book import BookLevel
from schemas.errors import DataError
from schemas.events import NS_PER_MS, Side, Trade
from schemas.instruments import instrument_of, split_instrument

VENUE: Final = "BYBIT"
NS_PER_US: Final = 1_000
DEPTHS: Final = (1, 50, 200, 1_000)
"""Of books of spot that can be subscribed to."""
TOPICS_MAX: Final = 10
"""In one message."""
BybitSide = Literal["Buy", "Sell"]
SIDES: Final[dict[BybitSide, Side]] = {"Buy": "buy", "Sell": "sell"}


class _Frame(Struct):
    topic: str | None = None
    type: str | None = None
    ts: int = 0
    data: Raw = Raw()
    timestamp_e6: int | None = None
    """Of the inverse API, in microseconds."""
    op: str | None = None
    success: bool | None = None
    ret_msg: str = ""


class _Trade(
    Struct,
    rename={"time": "T", "symbol": "s", "side": "S", "size": "v", "price": "p", "trade_id": "i"},
):
    time: int
    symbol: str
    side: BybitSide
    size: float
    price: float
    trade_id: str


class _InverseTrade(Struct, rename={"time": "trade_time_ms"}):
    time: int
    symbol: str
    side: BybitSide
    size: float
    price: float
    trade_id: str


class _Book(Struct, rename={"symbol": "s", "bids": "b", "asks": "a", "update_id": "u"}):
    symbol: str
    bids: list[tuple[float, float]]
    asks: list[tuple[float, float]]
    update_id: int


class _InverseLevel(Struct):
    symbol: str
    price: float
    side: BybitSide
    size: float = 0.0


class _InverseDelta(Struct):
    delete: list[_InverseLevel] = []
    update: list[_InverseLevel] = []
    insert: list[_InverseLevel] = []


_decode_frame = Decoder(_Frame, strict=False).decode
_decode_trades = Decoder(list[_Trade], strict=False).decode
_decode_book = Decoder(_Book, strict=False).decode
_decode_inverse_trades = Decoder(list[_InverseTrade], strict=False).decode
_decode_inverse_levels = Decoder(list[_InverseLevel], strict=False).decode
_decode_inverse_delta = Decoder(_InverseDelta, strict=False).decode


class BybitParser:
    """Frames of one connection, in receiving order, to observations."""

    version = 1
    """Raised when the same frames give other observations."""

    def __init__(self, venue: str, depth: int) -> None:
        self._venue = venue
        self._books = Books(depth, _BybitBook)

    @property
    def broken(self) -> set[str]:
        """Symbols whose book waits for a snapshot."""
        return {split_instrument(name)[0] for name in self._books.broken}

    def parse(self, ts_recv: int, text: bytes) -> list[Observation]:
        """Parse a frame. Raises ``DataError`` or what decoders raise for one that is foreign."""
        frame = _decode_frame(text)
        if frame.success is False:
            raise RefusedError("bybit refuses", frame.ret_msg[:200])
        if frame.topic is None:
            if frame.op is None and frame.success is None:
                raise DataError("frame is of no topic", repr(text[:80]))
            return []
        channel, _, symbol = frame.topic.rpartition(".")
        if channel == "publicTrade":
            return [self._trade(ts_recv, trade) for trade in _decode_trades(frame.data)]
        if channel.startswith("orderbook."):
            return self._books.change(self._change(ts_recv, frame))
        if channel == "trade":
            return [self._trade(ts_recv, trade) for trade in _decode_inverse_trades(frame.data)]
        if channel.startswith("orderBookL2_25"):
            return self._books.change(self._inverse_change(symbol, ts_recv, frame))
        raise DataError("topic is unknown", repr(frame.topic)[:80])

    def _trade(self, ts_recv: int, trade: _Trade | _InverseTrade) -> Trade:
        return Trade(
            session="",
            epoch=0,
            seq=0,
            instrument=instrument_of(trade.symbol, self._venue),
            ts_event=trade.time * NS_PER_MS,
            ts_recv=ts_recv,
            price=trade.price,
            size=trade.size,
            side=SIDES[trade.side],
            trade_id=trade.trade_id,
        )

    def _change(self, ts_recv: int, frame: _Frame) -> Change:
        book = _decode_book(frame.data)
        return Change(
            instrument=instrument_of(book.symbol, self._venue),
            ts_event=frame.ts * NS_PER_MS,
            ts_recv=ts_recv,
            bids=book.bids,
            asks=book.asks,
            # After a restart of the service a delta with 1 is a snapshot too.
            fresh=frame.type == "snapshot" or book.update_id == 1,
            update_id=book.update_id,
        )

    def _inverse_change(self, symbol: str, ts_recv: int, frame: _Frame) -> Change:
        """Read levels that come with their side; deltas have no number that would be whole."""
        fresh = frame.type == "snapshot"
        if fresh:
            levels = _decode_inverse_levels(frame.data)
        else:
            delta = _decode_inverse_delta(frame.data)
            levels = [*delta.delete, *delta.update, *delta.insert]
        sides: dict[str, list[BookLevel]] = {"Buy": [], "Sell": []}
        for level in levels:
            sides[level.side].append((level.price, level.size))
        return Change(
            instrument=instrument_of(symbol, self._venue),
            ts_event=(frame.timestamp_e6 or 0) * NS_PER_US,
            ts_recv=ts_recv,
            bids=sides["Buy"],
            asks=sides["Sell"],
            fresh=fresh,
        )


class _BybitBook(CheckedBook):
    """Deltas are numbered without holes."""

    def __init__(self) -> None:
        super().__init__()
        self._update_id: int | None = None

    def take(self, change: Change) -> str:
        expected = None if self._update_id is None else self._update_id + 1
        if not change.fresh and change.update_id not in {None, expected}:
            return f"update {change.update_id} is not {expected}"
        self._update_id = change.update_id
        return super().take(change)


def _subscribe(symbols: Sequence[str], depth: int) -> list[Request]:
    topics = [f"publicTrade.{symbol}" for symbol in symbols]
    topics += _book_topics(symbols, depth)
    chunks = [topics[n : n + TOPICS_MAX] for n in range(0, len(topics), TOPICS_MAX)]
    return [_request("subscribe", chunk) for chunk in chunks]


def _resubscribe(symbols: Sequence[str], depth: int) -> list[Request]:
    topics = _book_topics(symbols, depth)
    return [_request(op, topics) for op in ("unsubscribe", "subscribe")]


def _book_topics(symbols: Sequence[str], depth: int) -> list[str]:
    levels = next((known for known in DEPTHS if known >= depth), DEPTHS[-1])
    return [f"orderbook.{levels}.{symbol}" for symbol in symbols]


def _request(op: str, topics: list[str]) -> Request:
    return Request(encode({"op": op, "args": topics}), 1)


SOURCE: Final = Source(
    venue=VENUE,
    url="wss://stream.bybit.com/v5/public/spot",
    rest_url="https://api.bybit.com",
    clock=VenueClock("/v5/market/time", ("result", "timeNano"), 1),
    parser=BybitParser,
    subscribe=_subscribe,
    resubscribe=_resubscribe,
    answer=b'"op":"subscribe"',
    ping=b'{"op":"ping"}',
    history=bybit_history.HISTORY,
    integrity="books: update ids without holes",
)
