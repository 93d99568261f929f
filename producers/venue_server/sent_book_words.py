"""How venues tell books over the connection: what a frame changes, and all that there is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from msgspec import Raw
from msgspec.json import Decoder

from producers.feeds import bybit, coinbase, kraken, okx
from producers.order_books.order_book import BookLevel
from producers.venue_server.sent_levels import decode_named, sent_levels

Fields = dict[str, Any]
"""Of a message: what is not read stays ``Raw``, to be said again as it was sent."""
SNAPSHOT: Final = "snapshot"
NONE: Final = Raw(b"[]")


class Told(NamedTuple):
    """What a frame tells of a book."""

    symbol: str
    fresh: bool
    bids: list[BookLevel]
    asks: list[BookLevel]
    message: Fields


class Words(NamedTuple):
    """How a venue tells books."""

    read: Callable[[Fields], list[Told]]
    """Raises ``KeyError`` or what decoders raise for a frame of something else."""
    snapshot: Callable[[Fields, Raw, Raw], Fields]
    """Make a message that changed a book one that tells all bids and asks."""
    wanted: Callable[[Fields], Sequence[str]]
    """Find the symbols whose books a client asks for."""
    depths: Sequence[int] = ()
    """Of books that forget what falls deeper, though nobody says so."""


fields_of: Callable[[bytes], dict[str, Raw]] = Decoder(dict[str, Raw]).decode
_list_of: Callable[[Raw], list[dict[str, Raw]]] = Decoder(list[dict[str, Raw]]).decode
_text_of: Callable[[Raw], str] = Decoder(str).decode


def _bybit(message: Fields) -> list[Told]:
    if not _text_of(message["topic"]).startswith("orderbook."):
        return []
    book = fields_of(message["data"])
    fresh = _text_of(message["type"]) == SNAPSHOT or bytes(book["u"]) == b"1"
    bids, asks = sent_levels(book["b"]), sent_levels(book["a"])
    return [Told(_text_of(book["s"]), fresh, bids, asks, message | {"data": book})]


def _bybit_snapshot(message: Fields, bids: Raw, asks: Raw) -> Fields:
    return message | {"type": SNAPSHOT, "data": message["data"] | {"b": bids, "a": asks}}


def _bybit_wanted(said: Fields) -> list[str]:
    topics = said["args"] if said["op"] == "subscribe" else ()
    return [topic.rpartition(".")[2] for topic in topics if topic.startswith("orderbook.")]


_changes_of: Callable[[Raw], list[tuple[str, Raw, Raw]]] = Decoder(
    list[tuple[str, Raw, Raw]]
).decode


def _coinbase(message: Fields) -> list[Told]:
    kind, symbol = _text_of(message["type"]), _text_of(message["product_id"])
    if kind == SNAPSHOT:
        bids, asks = sent_levels(message["bids"]), sent_levels(message["asks"])
        return [Told(symbol, True, bids, asks, message)]
    if kind != "l2update":
        return []
    sides: dict[str, list[bytes]] = {"buy": [], "sell": []}
    for side, price, size in _changes_of(message["changes"]):
        sides[side].append(b"[%b,%b]" % (bytes(price), bytes(size)))
    bids, asks = (sent_levels(Raw(b"[%b]" % b",".join(rows))) for rows in sides.values())
    return [Told(symbol, False, bids, asks, message)]


def _coinbase_snapshot(message: Fields, bids: Raw, asks: Raw) -> Fields:
    kept = {name: message[name] for name in ("product_id", "time") if name in message}
    return {"type": SNAPSHOT} | kept | {"asks": asks, "bids": bids}


def _coinbase_wanted(said: Fields) -> list[str]:
    wants = said["type"] == "subscribe" and any(
        channel.startswith("level2") for channel in said["channels"]
    )
    return said["product_ids"] if wants else []


def _kraken(message: Fields) -> list[Told]:
    if _text_of(message["channel"]) != "book":
        return []
    fresh = _text_of(message["type"]) == SNAPSHOT
    told = []
    for book in _list_of(message["data"]):
        bids, asks = (sent_levels(book.get(side, NONE), decode_named) for side in ("bids", "asks"))
        told.append(Told(_text_of(book["symbol"]), fresh, bids, asks, message | {"data": book}))
    return told


def _kraken_snapshot(message: Fields, bids: Raw, asks: Raw) -> Fields:
    book = message["data"] | {"bids": bids, "asks": asks}
    return message | {"type": SNAPSHOT, "data": [book]}


def _kraken_wanted(said: Fields) -> list[str]:
    params = said["params"] if said["method"] == "subscribe" else {}
    wants = params.get("channel") == "book" and params.get("snapshot", True)
    return params["symbol"] if wants else []


def _okx(message: Fields) -> list[Told]:
    arg = fields_of(message["arg"])
    if _text_of(arg["channel"]) not in okx.BOOKS:
        return []
    fresh = _text_of(message["action"]) == SNAPSHOT
    return [
        Told(
            _text_of(arg["instId"]),
            fresh,
            sent_levels(book["bids"]),
            sent_levels(book["asks"]),
            message | {"data": book},
        )
        for book in _list_of(message["data"])
    ]


def _okx_snapshot(message: Fields, bids: Raw, asks: Raw) -> Fields:
    book = message["data"] | {"bids": bids, "asks": asks, "prevSeqId": -1}
    return message | {"action": SNAPSHOT, "data": [book]}


def _okx_wanted(said: Fields) -> list[str]:
    args = said["args"] if said["op"] == "subscribe" else ()
    return [arg["instId"] for arg in args if arg["channel"] in okx.BOOKS]


WORDS: Final = {
    bybit.VENUE: Words(_bybit, _bybit_snapshot, _bybit_wanted),
    coinbase.VENUE: Words(_coinbase, _coinbase_snapshot, _coinbase_wanted),
    kraken.VENUE: Words(_kraken, _kraken_snapshot, _kraken_wanted, kraken.DEPTHS),
    okx.VENUE: Words(_okx, _okx_snapshot, _okx_wanted),
}
