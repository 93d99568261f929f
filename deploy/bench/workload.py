"""What is measured: a simulated market of trades, of books, or of both."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from consumers.store.books import book_frame
from consumers.store.trades import trade_frame
from producers.feed import Observation
from producers.feeds.simulated import SimulatedFeed
from schemas.events import Book, Tick, Trade
from schemas.settings import Settings, Simulated
from schemas.tables import TICK_ORDERBOOK, TICK_PRICES
from schemas.topics import BOOKS, TRADES, Topic

RATE: Final = 2_000.0
"""Trades a second of market time, so that a candle of 1s holds 200."""
INSTRUMENTS: Final = 10


@dataclass(frozen=True)
class Kind:
    """Ticks of one kind, and where they go."""

    topic: Topic
    events: tuple[type[Tick], ...]
    books_share: float
    table: str
    frame: Callable[[Sequence[Any]], pd.DataFrame]


KINDS: Final = {
    "trades": Kind(TRADES, (Trade,), 0.0, TICK_PRICES, trade_frame),
    "books": Kind(BOOKS, (Book,), 1.0, TICK_ORDERBOOK, book_frame),
    "market": Kind(TRADES, (Trade, Book), 0.5, TICK_PRICES, trade_frame),
}


@dataclass(frozen=True)
class Workload:
    """A case's part: ``count`` ticks to make, or records to get through."""

    kind: Kind
    count: int

    def market(self) -> Simulated:
        """Return the market that gives about ``count`` ticks."""
        ticks_per_trade = (Trade in self.kind.events) + self.kind.books_share
        return Simulated(
            instruments=INSTRUMENTS,
            rate=RATE,
            max_speed=True,
            duration_s=self.count / ticks_per_trade / RATE,
            books_share=self.kind.books_share,
        )

    def topic(self, settings: Settings) -> str:
        return self.kind.topic.full_name(settings.namespace)


class MarketFeed(SimulatedFeed):
    """The simulated market at the speed at which it is taken, with the wanted events only."""

    def __init__(self, work: Workload) -> None:
        super().__init__(work.market())
        self._events = work.kind.events

    async def observations(self) -> AsyncIterator[list[Observation]]:
        async for batch in super().observations():
            yield [o for o in batch if not isinstance(o, Tick) or isinstance(o, self._events)]
