"""How venues tell books that are asked for over HTTP: what a frame changes, and the reply."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from msgspec import Raw, Struct, field
from msgspec.json import Decoder, encode

from producers.feeds import binance, mexc, mexc_spot
from producers.feeds.mexc_frames import unwrap
from producers.order_books.book_builder import Update
from producers.order_books.order_book import BookLevel
from producers.venue_server.sent_levels import sent_levels
from producers.venue_times import milli_or_micro_ns
from schemas.events import NS_PER_MS


class Whole(NamedTuple):
    """A snapshot of a book."""

    update_id: int
    bids: list[BookLevel]
    asks: list[BookLevel]
    ts_event: int


class Said(NamedTuple):
    """What a frame says of a symbol: of its book, or a reply over HTTP that stays as it is."""

    symbol: str
    what: Update | Whole | bytes


class Words(NamedTuple):
    """How a venue tells books."""

    read: Callable[[bytes], Said | None]
    """Raises what decoders raise; an empty symbol is that of the only book."""
    reply: Callable[[int, int, Raw, Raw], Any]
    """Say a book: the id and the ms of its newest update, bids and asks."""
    path: str
    """Where books are; the symbol is in the query, or behind it."""
    limit: int
    limit_max: int
    """Levels a side."""
    detail_path: str = ""


class _Frame(Struct):
    stream: str = ""
    channel: str = ""
    symbol: str = ""
    data: Raw = Raw()
    ts: int = 0
    snapshot_id: int | None = field(default=None, name="lastUpdateId")


class _Depth(Struct):
    """Of Binance."""

    symbol: str = field(name="s")
    first_id: int = field(name="U")
    last_id: int = field(name="u")
    sent_at: int = field(name="E")
    bids: Raw = field(name="b")
    asks: Raw = field(name="a")
    previous_id: int | None = field(default=None, name="pu")


class _Snapshot(Struct):
    """Of Binance, and of MEXC for spot."""

    update_id: int = field(name="lastUpdateId")
    bids: Raw
    asks: Raw
    sent_at: int = field(default=0, name="E")


class _Contracts(Struct):
    """A book of MEXC's contracts, or what changes it."""

    bids: Raw
    asks: Raw
    version: int
    begin: int | None = None
    timestamp: int = 0


class _Reply(Struct):
    """Of MEXC's contracts."""

    data: _Contracts


_decode_frame = Decoder(_Frame, strict=False).decode
_decode_depth = Decoder(_Depth).decode
_decode_snapshot = Decoder(_Snapshot, strict=False).decode
_decode_contracts = Decoder(_Contracts, strict=False).decode
_decode_reply = Decoder(_Reply, strict=False).decode


def _binance(text: bytes) -> Said | None:
    frame = _decode_frame(text)
    if frame.snapshot_id is not None:
        return Said("", _whole(Raw(text)))
    symbol, _, stream = frame.stream.partition("@")
    if stream == "snapshot":
        return Said(symbol, _whole(frame.data))
    if not stream.startswith("depth"):
        return None
    depth = _decode_depth(frame.data)
    previous_id = depth.first_id - 1 if depth.previous_id is None else depth.previous_id
    bids, asks = sent_levels(depth.bids), sent_levels(depth.asks)
    ts_event = milli_or_micro_ns(depth.sent_at)
    return Said(depth.symbol, Update(previous_id, depth.last_id, ts_event, bids, asks))


def _mexc_spot(text: bytes) -> Said | None:
    if text.startswith(b"{"):
        frame = _decode_frame(text)
        snapshot = frame.channel == mexc_spot.SNAPSHOT
        return Said(frame.symbol, _whole(frame.data)) if snapshot else None
    wrapped = unwrap(text)
    if not wrapped.HasField("publicAggreDepths"):
        return None
    depths = wrapped.publicAggreDepths
    bids, asks = (
        sent_levels(Raw(encode([(level.price, level.quantity) for level in side])))
        for side in (depths.bids, depths.asks)
    )
    first, last, ts_event = int(depths.fromVersion), int(depths.toVersion), wrapped.sendTime
    return Said(wrapped.symbol, Update(first - 1, last, ts_event * NS_PER_MS, bids, asks))


def _whole(text: Raw) -> Whole:
    book = _decode_snapshot(text)
    bids, asks = sent_levels(book.bids), sent_levels(book.asks)
    return Whole(book.update_id, bids, asks, milli_or_micro_ns(book.sent_at))


def _mexc(text: bytes) -> Said | None:
    frame = _decode_frame(text)
    if frame.channel == mexc.DETAIL:
        return Said(frame.symbol, bytes(frame.data))
    if frame.channel == mexc.SNAPSHOT:
        book = _decode_reply(frame.data).data
        sides = sent_levels(book.bids), sent_levels(book.asks)
        return Said(frame.symbol, Whole(book.version, *sides, book.timestamp * NS_PER_MS))
    if frame.channel != "push.depth":
        return None
    book = _decode_contracts(frame.data)
    sides = sent_levels(book.bids), sent_levels(book.asks)
    first = book.version if book.begin is None else book.begin
    return Said(frame.symbol, Update(first - 1, book.version, frame.ts * NS_PER_MS, *sides))


def _spot_reply(update_id: int, _: int, bids: Raw, asks: Raw) -> dict[str, Any]:
    return {"lastUpdateId": update_id, "bids": bids, "asks": asks}


def _usdm_reply(update_id: int, ms: int, bids: Raw, asks: Raw) -> dict[str, Any]:
    return {"lastUpdateId": update_id, "E": ms, "T": ms, "bids": bids, "asks": asks}


def _mexc_spot_reply(update_id: int, ms: int, bids: Raw, asks: Raw) -> dict[str, Any]:
    return {"lastUpdateId": update_id, "bids": bids, "asks": asks, "timestamp": ms}


def _mexc_reply(update_id: int, ms: int, bids: Raw, asks: Raw) -> dict[str, Any]:
    data = {"asks": asks, "bids": bids, "version": update_id, "timestamp": ms}
    return {"success": True, "code": 0, "data": data}


WORDS: Final = {
    binance.SPOT: Words(_binance, _spot_reply, "/api/v3/depth", 100, 5_000),
    binance.USDM: Words(_binance, _usdm_reply, "/fapi/v1/depth", 500, 1_000),
    mexc.VENUE: Words(
        *(_mexc, _mexc_reply, "/api/v1/contract/depth", 1_000, 1_000),
        detail_path="/api/v1/contract/detail",
    ),
    mexc_spot.VENUE: Words(_mexc_spot, _mexc_spot_reply, "/api/v3/depth", 100, 5_000),
}
