"""The kinds of ticks that are stored: their tables, their columns, and what a row is made into."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isnan
from typing import Any, Final, Generic, TypeVar

from msgspec import UNSET, Struct

from consumers.store.bars_reader import plain_bar
from consumers.store.sql import Row
from schemas.events import Bar, Book, Level, Quote, Trade
from schemas.scaled import DECIMALS_MAX
from schemas.tables import (
    BOOK_LEVELS,
    MARKET_BARS,
    TICK_ORDERBOOK,
    TICK_PRICES,
    TICK_QUOTES,
    TIMES,
    book_columns,
)

T = TypeVar("T")


class OrderBook(Struct, kw_only=True):
    """A stored book, best levels first; of a delta only the levels that changed (size 0: gone).

    ``spread`` and ``mid`` are null if a side is empty, and of deltas.
    """

    session: str
    seq: int
    instrument: str
    ts_event: int
    ts_recv: int
    update_id: int | None
    snapshot: bool
    bids: list[Level]
    asks: list[Level]
    spread: float | None
    mid: float | None


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """A kind of tick."""

    name: str
    table: str
    columns: tuple[str, ...]
    """As they are selected."""
    made: Callable[[Row], T]

    @property
    def time(self) -> str:
        """The designated timestamp."""
        return TIMES[self.table]


def _trade(row: Row) -> Trade:
    # False is how the column says that nothing was said.
    row["filled"] = row["filled"] or UNSET
    return Trade(epoch=0, **row)


def _quote(row: Row) -> Quote:
    return Quote(epoch=0, **row)


def _bar(row: Row) -> Bar:
    return Bar(epoch=0, **plain_bar(row))


def order_book(row: Row) -> OrderBook:
    """Make a book of a row; one that was stored before all levels were has the flat ones."""
    snapshot = not row["is_delta"]
    bids, asks = (_levels(row, side) for side in ("bid", "ask"))
    spread = mid = None
    if snapshot and bids and asks:
        bid, ask = bids[0][0], asks[0][0]
        # A difference of decimals has no more digits than they have.
        spread, mid = round(ask - bid, DECIMALS_MAX), round((ask + bid) / 2, DECIMALS_MAX + 1)
    return OrderBook(
        **{name: row[name] for name in _OF_BOOK},
        snapshot=snapshot,
        bids=bids,
        asks=asks,
        spread=spread,
        mid=mid,
    )


def book_event(row: Row) -> Book:
    """Make a row into the event that it was."""
    return Book(
        epoch=0,
        **{name: row[name] for name in _OF_BOOK},
        bids=_levels(row, "bid"),
        asks=_levels(row, "ask"),
        snapshot=not row["is_delta"],
    )


def _levels(row: Row, side: str) -> list[Level]:
    whole: Any = row[f"{side}s"]
    if whole is not None:
        return list(zip(*whole, strict=True)) if len(whole) else []
    flat = ((row[f"{side}_price_{n}"], row[f"{side}_qty_{n}"]) for n in range(1, BOOK_LEVELS + 1))
    return [(price, size) for price, size in flat if price is not None and not isnan(price)]


_NAMED: Final = ("session", "seq", "instrument")
_STAMPED: Final = ("ts_event::long AS ts_event", "ts_recv::long AS ts_recv")
_OF_BOOK: Final = (*_NAMED, "ts_event", "ts_recv", "update_id")
_BOOK_COLUMNS: Final = (
    *(*_NAMED, *_STAMPED, "update_id"),
    *("is_delta", "bids", "asks", *book_columns()),
)
_SUMS: Final = ("volume::varchar AS volume", "quote_volume::varchar AS quote_volume")

TRADES: Final = Kind(
    "trades",
    TICK_PRICES,
    (*_NAMED, *_STAMPED, "price", "size", "side", "trade_id", "filled"),
    _trade,
)
QUOTES: Final = Kind(
    "quotes",
    TICK_QUOTES,
    (*_NAMED, *_STAMPED, "bid_price", "bid_size", "ask_price", "ask_size", "update_id"),
    _quote,
)
BOOKS: Final = Kind("books", TICK_ORDERBOOK, _BOOK_COLUMNS, order_book)
BOOK_EVENTS: Final = Kind("books", TICK_ORDERBOOK, _BOOK_COLUMNS, book_event)
BARS: Final = Kind(
    "bars",
    MARKET_BARS,
    (
        *(*_NAMED, *_STAMPED, "source", "price_type", "adjustment", "interval"),
        *("ts_open::long AS ts_open", "ts_close::long AS ts_close"),
        *("open", "high", "low", "close", *_SUMS, "vwap", "trades_count"),
    ),
    _bar,
)
