"""Kraken's WebSocket v1, which older captures hold: arrays, and events about the channel."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct, field
from msgspec.json import Decoder

from producers.feed import Observation
from producers.feeds.kraken_book import KrakenBook, checked_level
from producers.feeds.source import RefusedError
from producers.order_books.best_quote import best_quote
from producers.order_books.books import Books, Change
from producers.venue_times import seconds_ns
from schemas.errors import DataError
from schemas.events import Side, Trade
from schemas.instruments import instrument_of

SIDES: Final[dict[str, Side]] = {"b": "buy", "s": "sell"}


class _Event(Struct):
    event: str
    error: str | None = field(default=None, name="errorMessage")


_decode_event = Decoder(_Event).decode
_decode_list = Decoder(list[Any]).decode


def is_v1(text: bytes) -> bool:
    """Tell whether a frame is of v1."""
    return text.startswith(b"[") or (b'"event"' in text[:200] and b'"channel":' not in text)


class KrakenV1Parser:
    """Frames of one connection, in receiving order, to observations."""

    def __init__(self, venue: str, depth: int) -> None:
        self._venue = venue
        self.books = Books(depth, lambda: KrakenBook(self._subscribed))
        self._subscribed = depth

    def parse(self, ts_recv: int, text: bytes) -> list[Observation]:
        """Parse a frame. Raises ``DataError`` or what decoders raise for one that is foreign."""
        if text.startswith(b"["):
            return self._array(ts_recv, _decode_list(text))
        event = _decode_event(text)
        if event.error or event.event == "error":
            raise RefusedError("kraken refuses", (event.error or text.decode())[:200])
        return []

    def _array(self, ts_recv: int, frame: list[Any]) -> list[Observation]:
        """Parse ``[channel id, payload..., channel name, pair]``."""
        try:
            _, *payloads, name, pair = frame
            instrument = instrument_of(pair, self._venue)
            if name == "trade":
                return [_trade(instrument, ts_recv, row) for row in payloads[0]]
            if name == "ticker":
                (bid, _, bid_size), (ask, _, ask_size) = payloads[0]["b"], payloads[0]["a"]
                sides = (float(bid), float(bid_size)), (float(ask), float(ask_size))
                return [best_quote(instrument, 0, ts_recv, *sides)]
            if name.startswith("book-"):
                self._subscribed = int(name.removeprefix("book-"))
                return self._book(instrument, ts_recv, payloads)
        except (KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
            raise DataError(
                "frame has another shape", f"{type(error).__name__}: {error}"
            ) from error
        raise DataError("channel is unknown", repr(name)[:80])

    def _book(
        self, instrument: str, ts_recv: int, payloads: list[dict[str, Any]]
    ) -> list[Observation]:
        fields = {key: value for payload in payloads for key, value in payload.items()}
        fresh = "as" in fields
        rows = (fields.get("bs" if fresh else "b", []), fields.get("as" if fresh else "a", []))
        bids, asks = ([checked_level(price, size) for price, size, *_ in side] for side in rows)
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


def _trade(instrument: str, ts_recv: int, row: list[str]) -> Trade:
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
        side=SIDES[side],
    )
