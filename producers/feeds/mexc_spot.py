"""MEXC spot (``MEXC-SPOT``): trades, best quotes and books of its WebSocket v3, in protobuf.

Trades carry no id, so that what the venue sends twice cannot be told from two equal fills. Source
of the rule for books: MEXC's spot API guide, "How to properly maintain a local copy of the order
book": ``fromVersion`` is the ``toVersion`` of the update before and one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from msgspec import Raw, Struct, field
from msgspec.json import Decoder, encode

from producers.feed import Observation
from producers.feeds.mexc_frames import unwrap
from producers.feeds.source import RefusedError, Request, Source, reply_frame
from producers.live.venue_clock import VenueClock
from producers.order_books.best_quote import best_quote
from producers.order_books.book_builder import Update
from producers.order_books.snapshot_books import SnapshotBooks
from schemas.errors import DataError
from schemas.events import NS_PER_MS, Level, Quote, Side, Trade
from schemas.instruments import instrument_of

VENUE: Final = "MEXC-SPOT"
STREAMS: Final = ("aggre.deals", "aggre.bookTicker", "aggre.depth")
SUBSCRIPTIONS_MAX: Final = 30
"""On one connection."""
SNAPSHOT_LEVELS: Final = 1_000
SNAPSHOT: Final = "snapshot"
"""The channel of replies over HTTP, which are put into frames here."""
SIDES: Final[dict[int, Side]] = {1: "buy", 2: "sell"}
SUBSCRIBED: Final = "spot@"


class _Frame(Struct):
    msg: str = ""
    code: int = 0
    channel: str = ""
    symbol: str = ""
    data: Raw = Raw()


class _Snapshot(Struct):
    update_id: int = field(name="lastUpdateId")
    bids: list[Level]
    asks: list[Level]


_decode_frame = Decoder(_Frame).decode
_decode_snapshot = Decoder(_Snapshot, strict=False).decode


class MexcSpotParser:
    """Frames of one connection, in receiving order, to observations."""

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
        if text.startswith(b"{"):
            return self._told(ts_recv, _decode_frame(text))
        frame = unwrap(text)
        instrument = instrument_of(frame.symbol, self._venue)
        try:
            if frame.HasField("publicAggreDeals"):
                deals = frame.publicAggreDeals.deals
                return [_trade(instrument, ts_recv, deal) for deal in deals]
            if frame.HasField("publicAggreDepths"):
                update = _update(frame.sendTime, frame.publicAggreDepths)
                return self._books.update(instrument, ts_recv, update)
            if frame.HasField("publicAggreBookTicker"):
                return [_quote(instrument, ts_recv, frame)]
        except ValueError as error:
            raise DataError("field is no number", f"{frame.channel}: {error}"[:200]) from error
        raise DataError("channel is unknown", repr(frame.channel)[:80])

    def _told(self, ts_recv: int, frame: _Frame) -> list[Observation]:
        if frame.channel == SNAPSHOT:
            book = _decode_snapshot(frame.data)
            instrument = instrument_of(frame.symbol, self._venue)
            return self._books.snapshot(instrument, ts_recv, book.update_id, (book.bids, book.asks))
        if frame.code or not frame.msg.startswith(("PONG", SUBSCRIBED)):
            raise RefusedError("mexc refuses", f"{frame.code} {frame.msg}"[:200])
        return []


def _trade(instrument: str, ts_recv: int, deal: Any) -> Trade:
    return Trade(
        session="",
        epoch=0,
        seq=0,
        instrument=instrument,
        ts_event=deal.time * NS_PER_MS,
        ts_recv=ts_recv,
        price=float(deal.price),
        size=float(deal.quantity),
        side=SIDES.get(deal.tradeType, "unknown"),
    )


def _quote(instrument: str, ts_recv: int, frame: Any) -> Quote:
    best = frame.publicAggreBookTicker
    bid = float(best.bidPrice or 0), float(best.bidQuantity or 0)
    ask = float(best.askPrice or 0), float(best.askQuantity or 0)
    return best_quote(instrument, frame.sendTime * NS_PER_MS, ts_recv, bid, ask)


def _update(sent_at: int, depths: Any) -> Update:
    bids, asks = (
        [(float(level.price), float(level.quantity)) for level in side]
        for side in (depths.bids, depths.asks)
    )
    first, last = int(depths.fromVersion), int(depths.toVersion)
    return Update(first - 1, last, sent_at * NS_PER_MS, bids, asks)


def _subscribe(symbols: Sequence[str], depth: int) -> list[Request]:  # noqa: ARG001 - books are whole
    # Each channel by itself: of several in one message those that are refused are named among
    # those that are not.
    names = [
        f"spot@public.{stream}.v3.api.pb@100ms@{symbol.upper()}"
        for symbol in symbols
        for stream in STREAMS
    ]
    return [Request(encode({"method": "SUBSCRIPTION", "params": [name]}), 1) for name in names]


def _snapshot_path(symbol: str) -> str:
    return f"/api/v3/depth?symbol={symbol.upper()}&limit={SNAPSHOT_LEVELS}"


SOURCE: Final = Source(
    venue=VENUE,
    url="wss://wbs-api.mexc.com/ws",
    rest_url="https://api.mexc.com",
    clock=VenueClock("/api/v3/time", ("serverTime",), NS_PER_MS),
    parser=MexcSpotParser,
    subscribe=_subscribe,
    snapshot_path=_snapshot_path,
    snapshot_frame=partial(reply_frame, SNAPSHOT),
    answer=b'"msg":"spot@',
    ping=b'{"method":"PING"}',
    symbols_max=SUBSCRIPTIONS_MAX // len(STREAMS),
    integrity="books: versions without holes; trades have no ids",
)
