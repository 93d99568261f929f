"""What is told of what several connections tell: trades of all, everything else of the one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from producers.feed import Lost, Observation, Restored
from producers.link import Link
from producers.links import Links
from producers.mending import OF_TRADES, Mending
from schemas.events import NS_PER_S, Book, Quote, Tick, Trade
from schemas.metrics import BOOK_RESYNCS
from schemas.topics import BOOKS

log = logging.getLogger(__name__)
OF_BOOKS: Final = (BOOKS.name,)


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
                if leads and isinstance(observation, Lost) and observation.topics == OF_BOOKS:
                    leads = not self._passed(observation)
                told = leads and not (self._numbered and observation.topics == OF_TRADES)
            else:
                told = leads and not (len(self._links.all) > 1 and self._behind(observation))
            if told:
                selected.append(observation)
        if seen and isinstance(seen[-1], Tick):
            link.heard_data()
            self.newest = max(self.newest, seen[-1].ts_event)
        return selected

    def _passed(self, lost: Lost) -> bool:
        """Let a connection lead whose books are whole; tell whether there is one."""
        BOOK_RESYNCS.labels("live").inc()
        passed = self._links.pass_lead()
        if passed:
            log.info("another connection leads why=%s", lost.reason)
            self._led(lost.ts_recv)
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
