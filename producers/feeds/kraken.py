"""Kraken spot (``KRAKEN``): WebSocket v2, and the v1 that older captures hold.

Trades, best quotes, books. Source of the rule for books: Kraken's guide "Spot WebSocket Book
Checksum": after each update the CRC-32 of the ten best levels a side, in the digits as sent.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final
from zlib import crc32

from msgspec import Raw, Struct, field
from msgspec.json import Decoder

from producers.books import Books, Change, CheckedBook
from producers.feed import Observation
from producers.order_book import BookLevel, level_of
from producers.venue_times import iso_ns, seconds_ns
from schemas.errors import DataError
from schemas.events import Quote, Side, Trade
from schemas.instruments import instrument_of

VENUE: Final = "KRAKEN"
CHECKED_LEVELS: Final = 10
SIDES_V1: Final[dict[str, Side]] = {"b": "buy", "s": "sell"}
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
    price: Decimal
    qty: Decimal


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


class _EventV1(Struct):
    event: str
    error: str | None = field(default=None, name="errorMessage")


_decode_frame = Decoder(_Frame).decode
_decode_trades = Decoder(list[_Trade]).decode
_decode_books = Decoder(list[_Book]).decode
_decode_tickers = Decoder(list[_Ticker]).decode
_decode_event_v1 = Decoder(_EventV1).decode
_decode_list_v1 = Decoder(list[Any]).decode


class KrakenParser:
    """Frames of one connection, in receiving order, to observations."""

    version = 1
    """Raised when the same frames give other observations."""

    def __init__(self, venue: str, depth: int) -> None:
        self._venue = venue
        self.books = Books(depth, self._new_book)
        self._subscribed = next((known for known in DEPTHS if known >= depth), DEPTHS[-1])
        """Levels that are told of: what falls deeper is gone, though nobody says so."""

    def parse(self, ts_recv: int, text: bytes) -> list[Observation]:
        """Parse a frame. Raises ``DataError`` or what decoders raise for one that is foreign."""
        if text.startswith(b"["):
            return self._array_v1(ts_recv, _decode_list_v1(text))
        if b'"event"' in text[:200] and b'"channel":' not in text:
            return _check_v1(text)
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
            raise DataError("kraken refuses", frame.error[:200])
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
        return _quote(instrument, ts_event, ts_recv, *sides)

    def _book(self, ts_recv: int, book: _Book, *, fresh: bool) -> list[Observation]:
        bids, asks = (
            [_level(f"{level.price:f}", f"{level.qty:f}") for level in side]
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
        return self.books.change(change)

    def _array_v1(self, ts_recv: int, frame: list[Any]) -> list[Observation]:
        """Parse ``[channel id, payload..., channel name, pair]``."""
        try:
            _, *payloads, name, pair = frame
            instrument = instrument_of(pair, self._venue)
            if name == "trade":
                return [_trade_v1(instrument, ts_recv, row) for row in payloads[0]]
            if name == "ticker":
                (bid, _, bid_size), (ask, _, ask_size) = payloads[0]["b"], payloads[0]["a"]
                sides = (float(bid), float(bid_size)), (float(ask), float(ask_size))
                return [_quote(instrument, 0, ts_recv, *sides)]
            if name.startswith("book-"):
                self._subscribed = int(name.removeprefix("book-"))
                return self._book_v1(instrument, ts_recv, payloads)
        except (KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
            raise DataError(
                "frame has another shape", f"{type(error).__name__}: {error}"
            ) from error
        raise DataError("channel is unknown", repr(name)[:80])

    def _book_v1(
        self, instrument: str, ts_recv: int, payloads: list[dict[str, Any]]
    ) -> list[Observation]:
        fields = {key: value for payload in payloads for key, value in payload.items()}
        fresh = "as" in fields
        rows = (fields.get("bs" if fresh else "b", []), fields.get("as" if fresh else "a", []))
        bids, asks = ([_level(price, size) for price, size, *_ in side] for side in rows)
        change = Change(
            instrument=instrument,
            ts_event=max((seconds_ns(row[2]) for side in rows for row in side), default=0),
            ts_recv=ts_recv,
            bids=bids,
            asks=asks,
            fresh=fresh,
            checksum=int(fields["c"]) if "c" in fields else None,
        )
        return self.books.change(change)

    def _new_book(self) -> _KrakenBook:
        return _KrakenBook(self._subscribed)


class _KrakenBook(CheckedBook):
    """Levels are price, size, and the digits that they add to the checksum."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self._subscribed = depth

    def take(self, change: Change) -> str:
        wrong = super().take(change)
        self.cut(self._subscribed)
        if change.checksum not in {None, self.checksum()}:
            return "checksum of the book is wrong"
        return wrong

    def checksum(self) -> int:
        bids, asks = self.top(CHECKED_LEVELS)
        return crc32("".join([level[2] for level in (*asks, *bids)]).encode())


def _level(price: str, size: str) -> BookLevel:
    return level_of(price, size, _digits(price) + _digits(size))


def _digits(number: str) -> str:
    return number.replace(".", "").lstrip("0")


def _check_v1(text: bytes) -> list[Observation]:
    event = _decode_event_v1(text)
    if event.error or event.event == "error":
        raise DataError("kraken refuses", (event.error or text.decode())[:200])
    return []


def _trade_v1(instrument: str, ts_recv: int, row: list[str]) -> Trade:
    price, size, time, side, *_ = row
    return Trade(
        session="",
        epoch=0,
        seq=0,
        instrument=instrument,
        ts_event=seconds_ns(time),
        ts_recv=ts_recv,
        price=float(price),
        size=float(size),
        side=SIDES_V1[side],
    )


def _quote(
    instrument: str,
    ts_event: int,
    ts_recv: int,
    bid: tuple[float, float],
    ask: tuple[float, float],
) -> Quote:
    return Quote(
        session="",
        epoch=0,
        seq=0,
        instrument=instrument,
        ts_event=ts_event,
        ts_recv=ts_recv,
        bid_price=bid[0] or None,
        bid_size=bid[1] if bid[0] else None,
        ask_price=ask[0] or None,
        ask_size=ask[1] if ask[0] else None,
    )
