"""Observations, recorders and feeds for the tests of producing."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import msgspec

from builders import RULES, SESSION, at
from producers.lanes import Lanes
from producers.recorder import Identity, Output, Recorder
from schemas.codec import input_decoder
from schemas.events import Bar, Book, Quote, Trade
from schemas.sections import Produce

PARTITIONS = 2


def unstamped(fields: dict[str, Any]) -> dict[str, Any]:
    return {"session": "", "epoch": 0, "seq": 0, "instrument": "AAA.SIM"} | fields


def times(seconds: float, recv: float | None) -> dict[str, int]:
    return {"ts_event": at(seconds), "ts_recv": at(seconds if recv is None else recv)}


def seen_trade(seconds: float = 0, recv: float | None = None, **fields: Any) -> Trade:
    usual = {"price": 100.0, "size": 1.0, "side": "buy"}
    return Trade(**unstamped(usual | times(seconds, recv) | fields))


def seen_book(seconds: float = 0, recv: float | None = None, **fields: Any) -> Book:
    usual = {"bids": [(99.0, 1.0), (98.0, 2.0)], "asks": [(101.0, 1.0), (102.0, 2.0)]}
    return Book(**unstamped(usual | times(seconds, recv) | fields))


def seen_quote(seconds: float = 0, recv: float | None = None, **fields: Any) -> Quote:
    usual = {"bid_price": 99.0, "bid_size": 1.0, "ask_price": 101.0, "ask_size": 1.0}
    return Quote(**unstamped(usual | times(seconds, recv) | fields))


def seen_bar(seconds: float = 60, recv: float | None = None, **fields: Any) -> Bar:
    """Return the minute that was complete at ``seconds``."""
    usual = {"source": "elsewhere", "interval": "1m"}
    usual |= {"ts_open": at(seconds - 60), "ts_close": at(seconds)}
    usual |= {"open": 100.0, "high": 102.0, "low": 99.0, "close": 101.0, "volume": "1.5"}
    return Bar(**unstamped(usual | times(seconds, recv) | fields))


def new_recorder(**settings: Any) -> Recorder:
    identity = Identity(session=SESSION, epoch=1, origin="test", rules=RULES)
    lanes = Lanes("test", PARTITIONS, lambda key: sum(key) % PARTITIONS)
    return Recorder(identity, Produce(**settings), "test", lanes)


def recorded(observations: list[Any], batch: int = 1_000, **settings: Any) -> Output:
    """Record a whole session, cut into batches of a size; nothing given is changed."""
    recorder, total = new_recorder(**settings), Output()
    for first in range(0, len(observations), batch):
        some = [msgspec.structs.replace(o) for o in observations[first : first + batch]]
        _add(total, recorder.record(some))
    _add(total, recorder.end("completed"))
    return total


def events(output: Output, topic: str = "test.trades", partition: int = 0) -> list[Any]:
    """Decode what is on one partition."""
    return [
        input_decoder.decode(value)
        for name, number, _, value, _ in output.records
        if (name, number) == (topic, partition)
    ]


def of(kind, some):
    return [event for event in some if isinstance(event, kind)]


def _add(total: Output, more: Output) -> None:
    total.records += more.records
    total.letters += more.letters


class ListFeed:
    """Gives batches; after the last it ends, raises ``error`` or waits for ever."""

    origin = "list"
    repeatable = True
    wall_clock = False
    instruments = ()

    def __init__(self, batches, session="list-1", error=None, endless=False):
        self.batches = batches
        self.session = session
        self.error = error
        self.endless = endless
        self.skipped = Counter()
        self.given = 0

    async def observations(self):
        for batch in self.batches:
            yield batch
            self.given += len(batch)
        if self.error:
            raise self.error
        if self.endless:
            await asyncio.Event().wait()
