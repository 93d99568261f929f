"""What goes on in a recording, seen at the feed: counts, lag, losses, the state of books. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Final

from msgspec import Struct

from producers.feed import Around, Feed, Lost, Observation, Rejected, Restored
from schemas.events import NS_PER_MS, NS_PER_S, Book, Tick
from schemas.topics import BOOKS

KINDS: Final = ("trade", "quote", "book", "bar")


class Glance(Struct, kw_only=True):
    """A recording at a moment; rates are of the time since the glance before."""

    seconds: float
    counts: dict[str, int]
    per_second: dict[str, float]
    lag_ms: float | None
    """Since the newest event happened at the venue, when it was seen; by two clocks."""
    losses: int
    lost_s: float
    rejected: int
    resyncs: int
    books: int
    broken: list[str]
    """Books of which nothing is told until they are rebuilt."""
    connected: bool


class Watch:
    """Sees what a feed gives. Times are of this machine, in nanoseconds, handed in."""

    def __init__(self, now_ns: int) -> None:
        self._began = self._glanced = now_ns
        self._counts: Counter[str] = Counter()
        self._before: Counter[str] = Counter()
        self._lag_ns: int | None = None
        self._lost_at: int | None = None
        self._losses = self._lost_ns = self._rejected = self._resyncs = 0
        self._books: dict[str, bool] = {}
        """By instrument, whether the book is whole."""

    def see(self, batch: Sequence[Observation], now_ns: int) -> None:
        newest = 0
        for observation in batch:
            if isinstance(observation, Tick):
                self._counts[type(observation).__struct_config__.tag] += 1  # type: ignore[index] # all have one
                newest = max(newest, observation.ts_event)
                if isinstance(observation, Book):
                    self._books[observation.instrument] = True
            elif isinstance(observation, Lost):
                self._lose(observation)
            elif isinstance(observation, Restored):
                self._restore(observation)
            elif isinstance(observation, Rejected):
                self._rejected += 1
        if newest:
            self._lag_ns = now_ns - newest

    def glance(self, now_ns: int) -> Glance:
        counts, seconds = self._counts, max(1, now_ns - self._glanced) / NS_PER_S
        per_second = {kind: (counts[kind] - self._before[kind]) / seconds for kind in KINDS}
        self._glanced, self._before = now_ns, counts.copy()
        lost_ns = self._lost_ns + (now_ns - self._lost_at if self._lost_at is not None else 0)
        return Glance(
            seconds=(now_ns - self._began) / NS_PER_S,
            counts={kind: counts[kind] for kind in KINDS if counts[kind]},
            per_second={kind: rate for kind, rate in per_second.items() if counts[kind]},
            lag_ms=None if self._lag_ns is None else self._lag_ns / NS_PER_MS,
            losses=self._losses,
            lost_s=lost_ns / NS_PER_S,
            rejected=self._rejected,
            resyncs=self._resyncs,
            books=len(self._books),
            broken=sorted(name for name, whole in self._books.items() if not whole),
            connected=self._lost_at is None,
        )

    def _lose(self, lost: Lost) -> None:
        if lost.topics == (BOOKS.name,):
            self._resyncs += 1
        else:
            self._losses += 1
        if not lost.instruments and self._lost_at is None:
            self._lost_at = lost.ts_recv
        if not lost.topics or BOOKS.name in lost.topics:
            self._books |= dict.fromkeys(lost.instruments or tuple(self._books), False)

    def _restore(self, restored: Restored) -> None:
        if not restored.instruments and self._lost_at is not None:
            self._lost_ns += max(0, restored.ts_recv - self._lost_at)
            self._lost_at = None


class WatchedFeed(Around):
    """A feed whose observations are seen by a watch on their way."""

    def __init__(self, feed: Feed, watch: Watch, now_ns: Callable[[], int]) -> None:
        super().__init__(feed)
        self._watch = watch
        self._now_ns = now_ns

    async def observations(self) -> AsyncIterator[list[Observation]]:
        async with aclosing(self._feed.observations()) as batches:  # type: ignore[type-var] # a generator
            async for batch in batches:
                self._watch.see(batch, self._now_ns())
                yield batch
