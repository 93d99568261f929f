"""Which topic becomes which: each input has candles and a state of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from schemas import topics
from schemas.events import Quote, Trade
from schemas.settings import Settings
from schemas.topics import Topic


@dataclass(frozen=True)
class Flow:
    """An input topic with ticks of one kind, the topic of its candles and that of its state."""

    kind: type[Trade | Quote]
    input: Topic
    candles: Topic
    state: Topic


TRADES: Final = Flow(Trade, topics.TRADES, topics.CANDLES, topics.STATE_TRADES)
QUOTES: Final = Flow(Quote, topics.QUOTES, topics.CANDLES_QUOTES, topics.STATE_QUOTES)


def flows_of(settings: Settings) -> tuple[Flow, ...]:
    """Return the flows of a worker: quotes are read only where candles of them are wanted."""
    return (TRADES, QUOTES) if settings.stream.quotes else (TRADES,)
