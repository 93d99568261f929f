"""Where each tick goes: the partitions of the input topics, and how many ticks are in each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from schemas.events import Bar, Book, Quote, Tick, Trade
from schemas.instruments import check_instrument
from schemas.topics import BARS, BOOKS, INPUTS, QUOTES, TRADES

TOPIC_OF: Final[dict[type[Tick], str]] = {
    Trade: TRADES.name,
    Book: BOOKS.name,
    Quote: QUOTES.name,
    Bar: BARS.name,
}


class Lane:
    """A partition of an input topic, and how many ticks of the session are in it."""

    __slots__ = ("count", "partition", "topic")

    def __init__(self, topic: str, partition: int) -> None:
        self.topic = topic
        self.partition = partition
        self.count = 0


class Lanes:
    """The lanes of one session. ``partition_of`` is Kafka's choice of a partition for a key."""

    def __init__(
        self, namespace: str, partitions: int, partition_of: Callable[[bytes], int]
    ) -> None:
        self.instruments: dict[str, None] = {}
        """Those seen so far, in order."""
        self._partition_of = partition_of
        self._lanes = {
            topic.name: [Lane(topic.full_name(namespace), n) for n in range(partitions)]
            for topic in INPUTS
        }
        self._routes: dict[type[Tick], dict[str, tuple[Lane, bytes]]] = {
            kind: {} for kind in TOPIC_OF
        }

    def __iter__(self) -> Iterator[Lane]:
        return (lane for lanes in self._lanes.values() for lane in lanes)

    @property
    def counts(self) -> dict[str, int]:
        """Ticks so far, by topic."""
        return {name: sum(lane.count for lane in lanes) for name, lanes in self._lanes.items()}

    def route(self, tick: Tick) -> tuple[Lane, bytes]:
        """Return the lane and the key of a tick, or raise ``DataError`` for its instrument."""
        routes = self._routes[type(tick)]
        route = routes.get(tick.instrument)
        if route is None:
            key = check_instrument(tick.instrument).encode()
            self.instruments[tick.instrument] = None
            route = self._lanes[TOPIC_OF[type(tick)]][self._partition_of(key)], key
            routes[tick.instrument] = route
        return route
