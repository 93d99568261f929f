"""What is told of what several connections tell: trades of all, everything else of the one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from producers.feed import Lost, Observation, Restored
from producers.live.link import Link
from producers.live.links import Links
from producers.live.mending import OF_TRADES, Mending
from producers.losses import OF_BOOKS
from producers.order_books.books import book_broken, book_rebuilt
from schemas.events import NS_PER_S, Book, Quote, Tick, Trade
from schemas.metrics import BOOK_RESYNCS

log = logging.getLogger(__name__)
OUTAGE: Final = "connection lost; the book begins anew with its next snapshot"


class Selection:
    """Leaves out what another connection tells, and losses that are judged over all of them.

    A connection whose book breaks leads no more, if there is another one that is whole.
    """

    def __init__(
        self,
        links: Links,
        mending: Mending,
        led: Callable[[int], None],
        *,
        numbered: bool,
        overlap_s_max: float,
    ) -> None:
        self.newest = 0
        """Exchange time of the newest tick, of whatever kind."""
        self._books: dict[str, int] = {}
        """When each book was told last, in exchange time."""
        self._missing: set[str] = set()
        """Those whose book is lost until it is told anew."""
        self._links = links
        self._mending = mending
        self._led = led
        """Told the receive time from which on another connection leads."""
        self._numbered = numbered
        self._overlap_ns = int(overlap_s_max * NS_PER_S)
        self._marks: dict[tuple[type[Tick], str], tuple[int, int]] = {}
        """Of books and quotes while there are several connections: update id, when received."""

    def of(self, link: Link, seen: list[Observation]) -> list[Observation]:
        """Return what is told of what a connection told."""
        leads = self._links.lead in {None, link}
        selected = []
        for observation in seen:
            if isinstance(observation, Trade):
                self._mending.take(observation, link.number)
                self._links.told(link, observation.instrument, observation.trade_id)
                told = leads or observation.trade_id is not None
            elif isinstance(observation, Lost | Restored):
                if leads and observation.topics == OF_BOOKS:
                    leads = not self._passed(observation)
                told = leads and self._judged(observation)
            else:
                told = leads and not (len(self._links.all) > 1 and self._behind(observation))
                if told and isinstance(observation, Book):
                    selected += self._rebuilt(observation)
            if told:
                selected.append(observation)
        if seen and isinstance(seen[-1], Tick):
            link.heard_data()
            self.newest = max(self.newest, seen[-1].ts_event)
        return selected

    def await_books(self, ts_recv: int) -> list[Observation]:
        """Say in an outage that books are missing, each until it is told anew."""
        self._missing |= set(self._books)
        return [
            book_broken(name, ts_recv, OUTAGE, self._books[name]) for name in sorted(self._books)
        ]

    def _judged(self, observation: Lost | Restored) -> bool:
        """Tell whether a loss that a parser sees is told of: the others are judged here."""
        if observation.topics == OF_BOOKS:
            if isinstance(observation, Lost):
                self._missing.update(observation.instruments)
                return True
            return False
        return not (self._numbered and observation.topics == OF_TRADES)

    def _rebuilt(self, book: Book) -> list[Observation]:
        """End the loss of a book with the first that is told."""
        instrument, ts_event = book.instrument, book.ts_event
        self._books[instrument] = ts_event
        if instrument not in self._missing:
            return []
        self._missing.discard(instrument)
        return [book_rebuilt(instrument, book.ts_recv, ts_event)]

    def _passed(self, observation: Lost | Restored) -> bool:
        """Let a connection lead whose books are whole; tell whether there is one."""
        if not isinstance(observation, Lost):
            return False
        BOOK_RESYNCS.labels("live").inc()
        passed = self._links.pass_lead()
        if passed:
            log.info("another connection leads why=%s", observation.reason)
            self._led(observation.ts_recv)
        return passed

    def _behind(self, observation: Observation) -> bool:
        """Tell whether a book or quote is older than what a connection that led before told."""
        if not isinstance(observation, Book | Quote):
            return False
        mark = observation.update_id or observation.ts_event
        name = type(observation), observation.instrument
        newest, told_at = self._marks.get(name, (0, 0))
        # Venues begin their numbers anew, seldom.
        if mark < newest and observation.ts_recv - told_at < self._overlap_ns:
            return True
        self._marks[name] = mark, observation.ts_recv
        return False
