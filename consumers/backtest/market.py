"""One instrument as it is known at a moment: the depth that is left, the last price."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from consumers.backtest.orders import Order, OrderSide
from schemas.events import Book, Level, Quote


class Offer(NamedTuple):
    """What can be had at a price."""

    price: float
    size: float


class Market:
    """What is known of an instrument, and the orders that wait for it."""

    __slots__ = ("_taken", "asks", "bids", "books", "last", "name", "orders", "ticked", "traded")

    def __init__(self, name: str) -> None:
        self.name = name
        self.orders: list[Order] = []
        self.last: float | None = None
        """Price of the newest trade, or close of the newest candle."""
        self.bids: Sequence[Level] = ()
        self.asks: Sequence[Level] = ()
        self.books = False
        """Whole books come: the best quotes beside them say nothing more."""
        self.ticked = False
        """Ticks come: candles of them fill no orders."""
        self.traded = False
        self._taken: dict[tuple[OrderSide, float], float] = {}

    @property
    def deep(self) -> bool:
        """Tell whether bids and asks are known: then trades are not what an order is matched by."""
        return bool(self.bids or self.asks)

    @property
    def mark(self) -> float | None:
        """The price at which a position is valued: mid of the book, else the last price."""
        if self.bids and self.asks:
            return (self.bids[0][0] + self.asks[0][0]) / 2
        return self.last

    def see_book(self, book: Book) -> bool:
        """Take all levels of a snapshot, or the changed ones of a delta.

        Tells whether the book is known then: of changes alone it is not.
        """
        if not (book.snapshot or self.books):
            return False
        self.books = self.ticked = True
        self._taken.clear()
        if book.snapshot:
            self.bids, self.asks = book.bids, book.asks
        else:
            self.bids = sorted(_changed(self.bids, book.bids), reverse=True)
            self.asks = sorted(_changed(self.asks, book.asks))
        return True

    def see_quote(self, quote: Quote) -> None:
        self._taken.clear()
        self.ticked = True
        self.bids = _side(quote.bid_price, quote.bid_size)
        self.asks = _side(quote.ask_price, quote.ask_size)

    def offers(self, side: OrderSide) -> Iterator[Offer]:
        """Yield what an order of that side can take, best first, without what we took already."""
        for price, size in self.asks if side == "buy" else self.bids:
            left = size - self._taken.get((side, price), 0.0)
            if left > 0:
                yield Offer(price, left)

    def take(self, side: OrderSide, price: float, quantity: float) -> None:
        """Remember what we took of a level: until the next book it is gone."""
        self._taken[side, price] = self._taken.get((side, price), 0.0) + quantity


def _side(price: float | None, size: float | None) -> list[Level]:
    return [] if price is None or size is None else [(price, size)]


def _changed(levels: Iterable[Level], changes: Iterable[Level]) -> list[Level]:
    known = dict(levels) | dict(changes)
    return [(price, size) for price, size in known.items() if size > 0]
