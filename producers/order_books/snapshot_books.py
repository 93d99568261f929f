"""Books whose snapshots are asked for over HTTP while their updates come over the connection."""

from __future__ import annotations

from collections.abc import Iterator

from producers.feed import Observation
from producers.order_books.book_builder import BookBuilder, Outcome, Update
from producers.order_books.books import book_broken, book_rebuilt, book_seen
from schemas.events import Level
from schemas.instruments import split_instrument


class SnapshotBooks:
    """Books by instrument. Nothing is told of one before its snapshot, nor after a broken chain."""

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._books: dict[str, BookBuilder] = {}
        self._newest: dict[str, int] = {}
        self._lost: set[str] = set()

    def __iter__(self) -> Iterator[str]:
        """Iterate over the instruments of which something is known."""
        return iter(self._books)

    @property
    def broken(self) -> set[str]:
        """Symbols whose book waits for a snapshot."""
        return {split_instrument(n)[0] for n, book in self._books.items() if not book.synced}

    def snapshot(
        self,
        instrument: str,
        ts_recv: int,
        last_id: int,
        sides: tuple[list[Level], list[Level]],
    ) -> list[Observation]:
        """Begin a book; tell what the updates that waited for it have made of it."""
        book = self._book(instrument)
        waited = book.reset(last_id, *sides)
        return [o for update in waited for o in self.update(instrument, ts_recv, update)]

    def update(self, instrument: str, ts_recv: int, update: Update) -> list[Observation]:
        """Apply an update and tell what there is to tell."""
        book = self._book(instrument)
        outcome = book.apply(update)
        if outcome is Outcome.BROKEN:
            reason = f"book chain broken before update {update.last_id}"
            self._lost.add(instrument)
            return [book_broken(instrument, ts_recv, reason, self._newest.get(instrument, 0))]
        if outcome is not Outcome.APPLIED:
            return []
        self._newest[instrument] = update.ts_event
        top = book.top(self._depth)
        seen = book_seen(instrument, update.ts_event, ts_recv, top, update.last_id)
        if instrument not in self._lost:
            return [seen]
        self._lost.discard(instrument)
        return [book_rebuilt(instrument, ts_recv, update.ts_event), seen]

    def _book(self, instrument: str) -> BookBuilder:
        book = self._books.get(instrument)
        if book is None:
            book = self._books[instrument] = BookBuilder()
        return book
