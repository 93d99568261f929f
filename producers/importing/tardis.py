"""CSV of Tardis: trades, quotes, book_snapshot_N and incremental_book_L2.

Source: docs.tardis.dev, downloadable CSV files. Times are microseconds; amounts are absolute, and 0
removes a level; a run of rows with ``is_snapshot`` begins the book anew; the rows of one message
have the same ``local_timestamp``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from producers.feed import Observation
from producers.importing.source import UNSTAMPED, number
from producers.order_books.order_book import OrderBook
from schemas.errors import DataError
from schemas.events import Book, Quote, Side, Trade
from schemas.instruments import instrument_of
from schemas.recording_files import (
    TARDIS_CHANGES,
    TARDIS_EXCHANGES,
    TARDIS_FIRST,
    TARDIS_QUOTES,
    TARDIS_TRADES,
    tardis_snapshots,
)

VERSION: Final = 1
VENUES: Final = {exchange: venue for venue, exchange in TARDIS_EXCHANGES.items()}
"""Where ours is not theirs in capitals."""
FILES: Final[dict[tuple[str, ...], str]] = {
    TARDIS_TRADES: "trades",
    TARDIS_QUOTES: "quotes",
    TARDIS_CHANGES: "incremental_book_L2",
}
"""By their columns."""
SIDES: Final[dict[str, Side]] = {"buy": "buy", "sell": "sell", "unknown": "unknown", "": "unknown"}
US_NS: Final = 1_000


def kind_of(header: Sequence[str]) -> str | None:
    """Tell which file has these columns; None if Tardis has none such."""
    names = tuple(header)
    levels = (len(names) - len(TARDIS_FIRST)) // 4
    if levels > 0 and names == tardis_snapshots(levels):
        return f"book_snapshot_{levels}"
    return FILES.get(names)


class TradeParser:
    def parse(self, fields: Sequence[Any]) -> Observation | None:
        return Trade(
            **_tick(fields),
            price=number(fields[6]),
            size=number(fields[7]),
            side=SIDES[fields[5]],
            trade_id=fields[4] or None,
        )

    def last(self) -> Observation | None:
        return None


class QuoteParser:
    def parse(self, fields: Sequence[Any]) -> Observation | None:
        ask_size, ask_price, bid_price, bid_size = map(_maybe, fields[4:8])
        return Quote(
            **_tick(fields),
            bid_price=bid_price,
            bid_size=bid_size,
            ask_price=ask_price,
            ask_size=ask_size,
        )

    def last(self) -> Observation | None:
        return None


class SnapshotParser:
    """Reads books of N levels a side, ask before bid; empty cells where there is no level."""

    def parse(self, fields: Sequence[Any]) -> Observation | None:
        asks, bids = (
            [
                (number(price), number(size))
                for price, size in zip(fields[n::4], fields[n + 1 :: 4], strict=True)
                if price and size
            ]
            for n in (4, 6)
        )
        return Book(**_tick(fields), bids=bids, asks=asks)

    def last(self) -> Observation | None:
        return None


class IncrementalParser:
    """Keeps the books of a file and gives the best levels after each message that changes them."""

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._books: dict[str, OrderBook] = {}
        self._message: tuple[Any, ...] | None = None
        self._snapshot = False
        self._shown: dict[str, Any] = {}

    def parse(self, fields: Sequence[Any]) -> Observation | None:
        exchange, symbol, _, received, snapshot, side, price, size = fields
        level = number(price), number(size)
        message = exchange, symbol, received
        before = self.last() if message != self._message else None
        if snapshot == "true" and not (message == self._message and self._snapshot):
            self._books[symbol] = OrderBook()
        self._message, self._snapshot = message, snapshot == "true"
        self._tick = _tick(fields)
        if symbol not in self._books:
            raise DataError("book has not begun", "no row with is_snapshot before it")
        self._books[symbol].apply(*{"bid": ([level], []), "ask": ([], [level])}[side])
        return before

    def last(self) -> Observation | None:
        if self._message is None or (symbol := self._message[1]) not in self._books:
            return None
        top = self._books[symbol].top(self._depth)
        if self._shown.get(symbol) == top:
            return None
        self._shown[symbol] = top
        bids, asks = ([(price, size) for price, size in side] for side in top)
        return Book(**self._tick, bids=bids, asks=asks)


def _tick(fields: Sequence[Any]) -> dict[str, Any]:
    exchange, symbol, ts_event, ts_recv = fields[:4]
    venue = VENUES.get(exchange, exchange)
    return UNSTAMPED | {
        "instrument": instrument_of(symbol, venue),
        "ts_event": int(ts_event) * US_NS,
        "ts_recv": int(ts_recv) * US_NS,
    }


def _maybe(text: str) -> float | None:
    return number(text) if text else None
