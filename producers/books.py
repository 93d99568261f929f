"""The books of one connection: what is told of each as its snapshots and updates come."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from producers.feed import Lost, Note, Observation, Restored
from producers.order_book import BookLevel, OrderBook
from schemas.errors import DataError
from schemas.events import Book
from schemas.topics import BOOKS


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
            return book_broken(instrument, ts_recv, wrong)
        top = book.top(self._depth)
        seen = book_seen(instrument, change.ts_event, ts_recv, top, change.update_id)
        if not rebuilt:
            return [seen]
        return [Note(ts_recv=ts_recv, reason="book rebuilt", instruments=(instrument,)), seen]


def book_seen(
    instrument: str,
    ts_event: int,
    ts_recv: int,
    top: tuple[list[BookLevel], list[BookLevel]],
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
        bids=[level[:2] for level in bids],
        asks=[level[:2] for level in asks],
        update_id=update_id,
    )


def book_broken(instrument: str, ts_recv: int, reason: str) -> list[Observation]:
    """Say that updates are missing: no more is told of the book until its next snapshot."""
    # Trades go on, so that time does too: the gap is the moment at which it was noticed.
    names, topics = (instrument,), (BOOKS.name,)
    return [
        Lost(ts_recv=ts_recv, reason=reason, instruments=names, topics=topics),
        Restored(ts_recv=ts_recv, instruments=names, topics=topics),
    ]
