"""Every change of a book in place of books: all levels once, then what differs. Pure.

Who applies the changes to the levels before them has the best levels as they were after each
update of the venue, at a fraction of the size.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

from msgspec import structs

from producers.feed import Around, Feed, Lost, Observation, Restored
from producers.ticks import TickCheck
from schemas.errors import DataError
from schemas.events import Book, Level
from schemas.topics import BOOKS


class Deltas:
    """Changes against the book that was told before, of each instrument.

    All levels are told at first, after everything that may have lost an update, and ``whole_ns``
    after the last time, for who joins later.
    """

    def __init__(self, whole_ns: int) -> None:
        self._whole_ns = whole_ns
        self._told: dict[str, Book] = {}
        """As who applied everything has them."""
        self._whole_at: dict[str, int] = {}
        self._check = TickCheck().book

    def of(self, observations: Sequence[Observation]) -> list[Observation]:
        """Return changes for books, and all else as it is; no change is nothing."""
        told: list[Observation] = []
        for observation in observations:
            if isinstance(observation, Book):
                told += self._book(observation)
                continue
            if isinstance(observation, Lost | Restored):
                self._forget(observation)
            told.append(observation)
        return told

    def _book(self, book: Book) -> list[Book]:
        name, before = book.instrument, self._told.get(book.instrument)
        try:
            self._check(book)
        except DataError:
            # It will be refused whole: what follows is held against what was told before it.
            return [book]
        self._told[name] = book
        if before is None or book.ts_recv >= self._whole_at[name] + self._whole_ns:
            self._whole_at[name] = book.ts_recv
            return [book]
        bids = sorted(_changes(before.bids, book.bids), reverse=True)
        asks = sorted(_changes(before.asks, book.asks))
        if not (bids or asks):
            return []
        return [structs.replace(book, bids=bids, asks=asks, snapshot=False)]

    def _forget(self, loss: Lost | Restored) -> None:
        if not loss.topics or BOOKS.name in loss.topics:
            for name in loss.instruments or list(self._told):
                self._told.pop(name, None)


class DeltaFeed(Around):
    """A feed that tells every change of its books."""

    def __init__(self, feed: Feed, whole_ns: int) -> None:
        super().__init__(feed)
        self._deltas = Deltas(whole_ns)

    async def observations(self) -> AsyncIterator[list[Observation]]:
        async with aclosing(self._feed.observations()) as batches:  # type: ignore[type-var] # a generator
            async for batch in batches:
                yield self._deltas.of(batch)


def _changes(before: Sequence[Level], now: Sequence[Level]) -> list[Level]:
    """Return the levels that are new, and with size 0 those that are gone."""
    if before == now:
        return []
    gone = dict(before)
    changed = [level for level in now if gone.pop(level[0], None) != level[1]]
    return [*changed, *((price, 0.0) for price in gone)]
