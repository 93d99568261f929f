"""Fewer books than changes: of each instrument the newest, at most once in an interval. Pure.

A venue changes its best levels hundreds of times a second. Every change has been checked before;
what is told is every state that lasted, and the last one before anything is lost.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

from producers.feed import Around, Feed, Lost, Observation, Restored
from schemas.events import Book


class Thinning:
    """Holds back books that come too soon after the one before."""

    def __init__(self, interval_ns: int) -> None:
        self._interval_ns = interval_ns
        self._told_at: dict[str, int] = {}
        self._held: dict[str, Book] = {}
        self._due_at = 0
        """When the first of those that are held is due."""

    def of(self, observations: Sequence[Observation]) -> list[Observation]:
        """Return what is to be told now; a book that was held back is received when it is due."""
        told: list[Observation] = []
        for observation in observations:
            if self._held and observation.ts_recv >= self._due_at:
                told += self._due(observation.ts_recv)
            if isinstance(observation, Book):
                told += self._book(observation)
                continue
            if isinstance(observation, Lost | Restored):
                told += self.rest(observation.ts_recv, observation.instruments)
            told.append(observation)
        return told

    def rest(self, ts_recv: int, instruments: Sequence[str] = ()) -> list[Observation]:
        """Return the books of instruments (none: of all) that are held back."""
        names = [name for name in self._held if not instruments or name in instruments]
        return [self._released(name, ts_recv) for name in names]

    def _book(self, book: Book) -> list[Observation]:
        name = book.instrument
        due_at = self._told_at.get(name, -self._interval_ns) + self._interval_ns
        if book.ts_recv >= due_at:
            self._told_at[name] = book.ts_recv
            return [book]
        self._due_at = min(self._due_at, due_at) if self._held else due_at
        self._held[name] = book
        return []

    def _due(self, ts_recv: int) -> list[Observation]:
        """Return what has become due, in the order in which it did."""
        due = {name: self._told_at[name] + self._interval_ns for name in self._held}
        ripe = sorted((at, name) for name, at in due.items() if at <= ts_recv)
        told: list[Observation] = [self._released(name, at) for at, name in ripe]
        self._due_at = min((at for at in due.values() if at > ts_recv), default=0)
        return told

    def _released(self, name: str, ts_recv: int) -> Book:
        book = self._held.pop(name)
        book.ts_recv = self._told_at[name] = ts_recv
        return book


class ThinnedFeed(Around):
    """A feed that tells of each book at most once in ``interval_ns``."""

    def __init__(self, feed: Feed, interval_ns: int) -> None:
        super().__init__(feed)
        self._thinning = Thinning(interval_ns)

    async def observations(self) -> AsyncIterator[list[Observation]]:
        newest = 0
        async with aclosing(self._feed.observations()) as batches:  # type: ignore[type-var] # a generator
            async for batch in batches:
                newest = batch[-1].ts_recv if batch else newest
                yield self._thinning.of(batch)
        yield self._thinning.rest(newest)
