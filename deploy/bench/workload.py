"""What is measured: a simulated market of trades, of books, or of both."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from deploy.bench.float_candle import INTERVALS
from producers.feed import Observation
from producers.feeds.simulated import SimulatedFeed
from schemas.events import NS_PER_S, Book, Tick, Trade
from schemas.sections import Simulated
from schemas.settings import Settings
from schemas.tables import TICK_ORDERBOOK, TICK_PRICES
from schemas.topics import BOOKS, TRADES, Topic

if TYPE_CHECKING:
    import pandas as pd

RATE: Final = 2_000.0
"""Trades a second of market time, so that a candle of 1s of ten instruments holds 200."""
INSTRUMENTS: Final = 10
START_NS: Final = 1_767_225_600 * NS_PER_S
"""A full hour: the market of each run cuts its candles at the same ticks."""


@dataclass(frozen=True)
class Kind:
    """Ticks of one kind, and where they go."""

    topic: Topic
    events: tuple[type[Tick], ...]
    books_share: float
    table: str
    frame: Callable[[Sequence[Any]], pd.DataFrame]


def _trades(trades: Sequence[Trade]) -> pd.DataFrame:
    from consumers.store.sinks.columns import join
    from consumers.store.sinks.trades import trade_columns

    return join([trade_columns(trades)])


def _books(books: Sequence[Book]) -> pd.DataFrame:
    from consumers.store.sinks.books import book_columns, book_frame

    return book_frame([book_columns(books)])


KINDS: Final = {
    "trades": Kind(TRADES, (Trade,), 0.0, TICK_PRICES, _trades),
    "books": Kind(BOOKS, (Book,), 1.0, TICK_ORDERBOOK, _books),
    "market": Kind(TRADES, (Trade, Book), 0.5, TICK_PRICES, _trades),
}


@dataclass(frozen=True)
class Workload:
    """A case's part: ``count`` ticks to make, or records to get through."""

    kind: Kind
    count: int

    def market(self, simulated: Simulated) -> Simulated:
        """Return the market of the settings, of this kind, until it has given ``count`` ticks."""
        share = self.kind.books_share
        trades = self.count / ((Trade in self.kind.events) + share)
        changed = {"duration_s": trades / simulated.rate, "books_share": share}
        return simulated.model_copy(update=changed)

    def topic(self, settings: Settings) -> str:
        return self.kind.topic.full_name(settings.namespace)


def with_market(
    settings: Settings,
    *,
    intervals: tuple[str, ...] = INTERVALS,
    instruments: int = INSTRUMENTS,
    rate: float = RATE,
    max_speed: bool = True,
) -> Settings:
    """Return the settings with a simulated market, and the intervals of its candles."""
    market = Simulated(instruments=instruments, rate=rate, max_speed=max_speed, start_ns=START_NS)
    stream = settings.stream.model_copy(update={"intervals": intervals})
    return settings.model_copy(update={"simulated": market, "stream": stream})


class MarketFeed(SimulatedFeed):
    """The simulated market at the speed at which it is taken, with the wanted events only."""

    def __init__(self, settings: Settings, work: Workload) -> None:
        super().__init__(work.market(settings.simulated))
        self._events = work.kind.events

    async def observations(self) -> AsyncIterator[list[Observation]]:
        async for batch in super().observations():
            yield [o for o in batch if not isinstance(o, Tick) or isinstance(o, self._events)]
