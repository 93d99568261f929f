"""A market for the store soak: good ticks, and among them records of twenty kinds of poison."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Final

import msgspec

from producers.publisher import partition_of
from producers.recorder import Record
from schemas.codec import encode
from schemas.events import NS_PER_MS, Book, Event, Quote, Trade
from schemas.settings import Settings
from schemas.topics import BOOKS, QUOTES, TRADES, Topic

KEY: Final = b"poison "
"""What the keys of poison begin with."""
INSTRUMENTS: Final = 8
LEVELS: Final = 20
STEP_NS: Final = NS_PER_MS // 10


def _with(**fields: Any) -> Callable[[dict[str, Any]], bytes]:
    return lambda event: msgspec.json.encode(event | fields)


def _without(name: str) -> Callable[[dict[str, Any]], bytes]:
    return lambda event: msgspec.json.encode({n: v for n, v in event.items() if n != name})


def _text(name: str, text: bytes) -> Callable[[dict[str, Any]], bytes]:
    """Put a number in that no encoder writes."""
    return lambda event: msgspec.json.encode(event | {name: "HERE"}).replace(b'"HERE"', text)


POISON: Final[dict[str, Callable[[dict[str, Any]], bytes]]] = {
    "empty": lambda _: b"",
    "no JSON": lambda _: b"garbage",
    "cut off": lambda event: msgspec.json.encode(event)[:-9],
    "invalid UTF-8": lambda _: b'{"type":"trade","session":"\xff\xfe"}',
    "nested deep": lambda _: b"[" * 100_000,
    "an array": lambda _: b"[]",
    "no price": _without("price"),
    "price of text": _with(price="100"),
    "price of zero": _with(price=0),
    "negative size": _with(size=-1.0),
    "NaN": _text("price", b"NaN"),
    "beyond a double": _text("price", b"1e400"),
    "too many decimals": _with(price=0.1234567890123),
    "too large": _with(size=1e19),
    "time in milliseconds": _with(ts_event=1_760_000_400_000),
    "time that QuestDB does not know": _with(ts_event=2**63 - 1),
    "instrument in lower case": _with(instrument="btc"),
    "instrument too long": _with(instrument="A" * 80 + ".SIM"),
    "negative seq": _with(seq=-1),
    "a quote": _with(type="quote", bid_price=1, bid_size=1, ask_price=2, ask_size=1),
}


class Market:
    """Ticks of one session in publishing order; the same for the same seed."""

    def __init__(self, settings: Settings, session: str, start_ns: int, seed: int) -> None:
        self._settings = settings
        self._session = session
        self._start_ns = start_ns
        self._rng = Random(seed)  # noqa: S311 - repeatable
        self._seq = 0

    def ticks(self, count: int) -> Iterator[Record]:
        """Make good ticks: of ten, eight trades, a book and a quote."""
        for _ in range(count):
            event, topic = self._next()
            yield self._record(topic, event.instrument.encode(), encode(event), event.instrument)

    def poison(self, kind: str) -> Record:
        """Make a record that must become a dead letter, of the name of its kind."""
        event = self._trade()
        value = POISON[kind](msgspec.to_builtins(event))
        return self._record(TRADES, KEY + kind.encode(), value, event.instrument)

    def everywhere(self, event: Event) -> Iterator[Record]:
        """Give a control event to each partition of the topics."""
        event.session, event.epoch, event.seq = self._session, 1, self._take_seq()
        for topic in (TRADES, BOOKS, QUOTES):
            for partition in range(self._settings.kafka.partitions):
                name = topic.full_name(self._settings.namespace)
                yield name, partition, None, encode(event), 0

    def _next(self) -> tuple[Trade | Book | Quote, Topic]:
        kind = self._seq % 10
        if kind == 0:
            return self._book(), BOOKS
        return (self._quote(), QUOTES) if kind == 1 else (self._trade(), TRADES)

    def _trade(self) -> Trade:
        return Trade(**self._place(), price=self._price(), size=1.5, trade_id=str(self._seq))

    def _quote(self) -> Quote:
        bid = self._price()
        return Quote(**self._place(), bid_price=bid, bid_size=1.0, ask_price=None, ask_size=None)

    def _book(self) -> Book:
        mid = int(self._price())
        bids = [(float(mid - level), 1.0) for level in range(LEVELS)]
        asks = [(float(mid + level + 1), 1.0) for level in range(LEVELS)]
        return Book(**self._place(), bids=bids, asks=asks, update_id=self._seq)

    def _price(self) -> float:
        return self._rng.randrange(100_000, 200_000) / 100

    def _place(self) -> dict[str, Any]:
        seq = self._take_seq()
        time_ns = self._start_ns + seq * STEP_NS
        instrument = f"I{self._rng.randrange(INSTRUMENTS)}.SIM"
        return {
            "session": self._session,
            "epoch": 1,
            "seq": seq,
            "instrument": instrument,
            "ts_event": time_ns,
            "ts_recv": time_ns,
        }

    def _take_seq(self) -> int:
        self._seq += 1
        return self._seq

    def _record(self, topic: Topic, key: bytes, value: bytes, instrument: str) -> Record:
        settings = self._settings
        partition = partition_of(instrument.encode(), settings.kafka.partitions)
        return topic.full_name(settings.namespace), partition, key, value, 0
