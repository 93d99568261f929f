"""The books of one connection: what is told of each as its snapshots and updates come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from producers.feed import Lost, Observation, Restored
from producers.losses import OF_BOOKS
from producers.order_books.order_book import BookLevel, OrderBook
from schemas.errors import DataError
from schemas.events import Book, Level


class Change(Struct, kw_only=True):
    """A snapshot (``fresh``) or an update of a book, and what the venue says to check it by."""

    instrument: str
    ts_event: int
    ts_recv: int
    bids: Sequence[BookLevel]
    asks: Sequence[BookLevel]
    fresh: bool = False
    update_id: int | None = None
    previous_id: int | None = None
    checksum: int | None = None


class CheckedBook(OrderBook):
    """A book that finds out whether something is missing; each venue has its own rule."""

    ts_event = 0
    """Of its newest change."""

    def take(self, change: Change) -> str:
        """Apply a change; return what is wrong with the book then, nothing if it is whole."""
        self.apply(change.bids, change.asks)
        return "book is crossed" if self.crossed else ""


class Books:
    """Books by instrument. Nothing is told of one that may be wrong until it is rebuilt."""

    def __init__(self, depth: int, book: Callable[[], CheckedBook] = CheckedBook) -> None:
        self._depth = depth
        self._new = book
        self._books: dict[str, CheckedBook] = {}

    @property
    def broken(self) -> set[str]:
        """Instruments whose book waits for a snapshot because something was missing."""
        return {name for name, book in self._books.items() if not book.whole}

    def change(self, change: Change) -> list[Observation]:
        """Apply a change and tell what there is to tell; raise ``DataError`` for no levels."""
        book, rebuilt = self._books.get(change.instrument), False
        if change.fresh:
            rebuilt = book is not None and not book.whole
            book = self._books[change.instrument] = self._new()
        if book is None or not book.whole:
            return []
        try:
            wrong = book.take(change)
        except DataError as error:
            wrong = str(error)
        instrument, ts_recv = change.instrument, change.ts_recv
        if wrong:
            book.whole = False
            return [book_broken(instrument, ts_recv, wrong, book.ts_event)]
        book.ts_event = change.ts_event
        top = book.top(self._depth)
        seen = book_seen(instrument, change.ts_event, ts_recv, top, change.update_id)
        if not rebuilt:
            return [seen]
        return [book_rebuilt(instrument, ts_recv, change.ts_event), seen]


def book_seen(
    instrument: str,
    ts_event: int,
    ts_recv: int,
    top: tuple[list[Level], list[Level]],
    update_id: int | None,
) -> Book:
    """Build the event of the best levels."""
    bids, asks = top
    return Book(
        session="",
        epoch=0,
        seq=0,
        instrument=instrument,
        ts_event=ts_event,
        ts_recv=ts_recv,
        bids=bids,
        asks=asks,
        update_id=update_id,
    )


def book_broken(instrument: str, ts_recv: int, reason: str, ts_from: int) -> Lost:
    """Say that updates are missing since the last one: nothing is told until the next snapshot."""
    what: dict[str, Any] = {"instruments": (instrument,), "topics": OF_BOOKS}
    return Lost(ts_recv=ts_recv, reason=reason, ts_from=ts_from or None, **what)


def book_rebuilt(instrument: str, ts_recv: int, ts_event: int) -> Restored:
    """Say that the book is whole again: what it was like meanwhile stays unknown."""
    what: dict[str, Any] = {"instruments": (instrument,), "topics": OF_BOOKS}
    return Restored(
        ts_recv=ts_recv, reason="book rebuilt", ts_to=ts_event + 1 if ts_event else None, **what
    )
