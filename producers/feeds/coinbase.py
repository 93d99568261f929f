"""Coinbase Exchange (``COINBASE``): trades, best quotes and books of the public WebSocket feed.

The feed numbers the trades of a product without holes; updates of books have no number, and what
shows that one is missing is a book that crosses. Source: Coinbase's documentation of the channels
``matches`` (whose side is the maker's), ``level2`` and ``ticker``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from msgspec import Struct
from msgspec.json import Decoder, encode

from producers.feed import Lost, Observation, Restored
from producers.feeds import coinbase_history
from producers.feeds.source import RefusedError, Request, Source
from producers.live.venue_clock import VenueClock
from producers.order_books.best_quote import best_quote
from producers.order_books.books import Books, Change
from producers.order_books.order_book import BookLevel
from producers.venue_times import iso_ns
from schemas.errors import DataError
from schemas.events import NS_PER_S, Quote, Trade
from schemas.instruments import instrument_of, split_instrument
from schemas.topics import TRADES

VENUE: Final = "COINBASE"
MakerSide = Literal["buy", "sell"]


class _Type(Struct):
    type: str
    message: str = ""
    reason: str = ""


class _Match(Struct):
    product_id: str
    trade_id: int
    side: MakerSide
    price: float
    size: float
    time: str


class _Snapshot(Struct):
    product_id: str
    bids: list[tuple[float, float]]
    asks: list[tuple[float, float]]
    time: str = ""


class _Update(Struct):
    product_id: str
    changes: list[tuple[MakerSide, float, float]]
    time: str


class _Ticker(Struct):
    product_id: str
    best_bid: float
    best_ask: float
    time: str = ""
    best_bid_size: float | None = None
    best_ask_size: float | None = None


_decode_type = Decoder(_Type).decode
_decode_match = Decoder(_Match, strict=False).decode
_decode_snapshot = Decoder(_Snapshot, strict=False).decode
_decode_update = Decoder(_Update, strict=False).decode
_decode_ticker = Decoder(_Ticker, strict=False).decode


class CoinbaseParser:
    """Frames of one connection, in receiving order, to observations."""

    version = 1
    """Raised when the same frames give other observations."""

    def __init__(self, venue: str, depth: int) -> None:
        self._venue = venue
        self._books = Books(depth)
        self._trade_ids: dict[str, int] = {}

    @property
    def broken(self) -> set[str]:
        """Symbols whose book waits for a snapshot."""
        return {split_instrument(name)[0] for name in self._books.broken}

    def parse(self, ts_recv: int, text: bytes) -> list[Observation]:
        """Parse a frame. Raises ``DataError`` or what decoders raise for one that is foreign."""
        head = _decode_type(text)
        match head.type:
            case "match" | "last_match":
                return self._match(ts_recv, _decode_match(text))
            case "l2update":
                return self._update(ts_recv, _decode_update(text))
            case "snapshot":
                return self._snapshot(ts_recv, _decode_snapshot(text))
            case "ticker":
                return [self._quote(ts_recv, _decode_ticker(text))]
            case "heartbeat" | "subscriptions" | "status":
                return []
            case "error":
                raise RefusedError(
                    "coinbase refuses", f"{head.message} {head.reason}".strip()[:200]
                )
        raise DataError("message is unknown", repr(head.type)[:80])

    def _match(self, ts_recv: int, match: _Match) -> list[Observation]:
        instrument = instrument_of(match.product_id, self._venue)
        trade = Trade(
            session="",
            epoch=0,
            seq=0,
            instrument=instrument,
            ts_event=iso_ns(match.time),
            ts_recv=ts_recv,
            price=match.price,
            size=match.size,
            side="sell" if match.side == "buy" else "buy",
            trade_id=str(match.trade_id),
        )
        expected = self._trade_ids.get(instrument, match.trade_id - 1) + 1
        self._trade_ids[instrument] = max(match.trade_id, expected - 1)
        if match.trade_id <= expected:
            return [trade]
        names = (instrument,)
        reason = f"trades {expected} to {match.trade_id - 1} did not come"
        topics = (TRADES.name,)
        lost = Lost(ts_recv=ts_recv, reason=reason, instruments=names, topics=topics)
        return [lost, Restored(ts_recv=ts_recv, instruments=names, topics=topics), trade]

    def _snapshot(self, ts_recv: int, snapshot: _Snapshot) -> list[Observation]:
        change = Change(
            instrument=instrument_of(snapshot.product_id, self._venue),
            ts_event=iso_ns(snapshot.time) if snapshot.time else 0,
            ts_recv=ts_recv,
            bids=snapshot.bids,
            asks=snapshot.asks,
            fresh=True,
        )
        return self._books.change(change)

    def _update(self, ts_recv: int, update: _Update) -> list[Observation]:
        sides: dict[str, list[BookLevel]] = {"buy": [], "sell": []}
        for side, price, size in update.changes:
            sides[side].append((price, size))
        change = Change(
            instrument=instrument_of(update.product_id, self._venue),
            ts_event=iso_ns(update.time),
            ts_recv=ts_recv,
            bids=sides["buy"],
            asks=sides["sell"],
        )
        return self._books.change(change)

    def _quote(self, ts_recv: int, ticker: _Ticker) -> Quote:
        instrument = instrument_of(ticker.product_id, self._venue)
        ts_event = iso_ns(ticker.time) if ticker.time else 0
        bid, ask = (
            (ticker.best_bid, ticker.best_bid_size),
            (ticker.best_ask, ticker.best_ask_size),
        )
        return best_quote(instrument, ts_event, ts_recv, bid, ask)


def _subscribe(symbols: Sequence[str], depth: int) -> list[Request]:  # noqa: ARG001 - one depth for all
    return [_request("subscribe", ("matches", "ticker", "level2_batch", "heartbeat"), symbols)]


def _resubscribe(symbols: Sequence[str], depth: int) -> list[Request]:  # noqa: ARG001 - the same
    return [_request(kind, ("level2_batch",), symbols) for kind in ("unsubscribe", "subscribe")]


def _request(kind: str, channels: Sequence[str], symbols: Sequence[str]) -> Request:
    message = {"type": kind, "product_ids": list(symbols), "channels": list(channels)}
    return Request(encode(message), 1)


SOURCE: Final = Source(
    venue=VENUE,
    url="wss://ws-feed.exchange.coinbase.com",
    rest_url="https://api.exchange.coinbase.com",
    clock=VenueClock("/time", ("epoch",), NS_PER_S),
    parser=CoinbaseParser,
    subscribe=_subscribe,
    resubscribe=_resubscribe,
    answer=b'"type":"subscriptions"',
    history=coinbase_history.HISTORY,
    numbered=True,
    integrity="trades: ids without holes; books: not crossed",
)
