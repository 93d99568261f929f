"""One case of capturing in a process of its own: ``python -m deploy.bench.captured CASE VENUE N``.

Frames are made before they are measured. ``read`` is the venue's parser and its book, with every
check; ``record`` is that and the recorder: checks of each event, their order and time, control
events, and JSON for Kafka. ``ccxt`` is ccxt's decoder and ``handle_message``, which checks less
and keeps no event. Each prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, Final

import msgspec
import psutil

from deploy.bench.ccxt_exchange import CcxtReader
from deploy.bench.made_market import FIRST_MS
from deploy.bench.meter import Meter
from deploy.bench.venue_frames import WORDS, frames
from producers.feed import Observation
from producers.feeds.sources import SOURCES
from producers.lanes import Lanes
from producers.publisher import partition_of
from producers.recorder import Identity, Recorder
from schemas.events import NS_PER_MS, Book, Tick
from schemas.sections import Produce, Stream

DEPTH: Final = 20
PARTITIONS: Final = 4
FEW: Final = 100
"""Frames between two marks, and in a batch of the recorder."""
SHOWN: Final = 10
"""How often the memory is looked at."""


def read(venue: str, count: int) -> str:
    """Parse frames and keep the book."""
    parser = SOURCES[venue].parser(venue, DEPTH)
    told: list[list[Observation]] = []

    def take(first: int, some: list[bytes]) -> None:
        told[:] = [parser.parse(_received(first + n), frame) for n, frame in enumerate(some)]

    line = _measured(_made(venue, count), take)
    assert not parser.broken, f"{venue}: a book is broken"
    assert any(isinstance(o, Tick) for batch in told for o in batch), f"{venue}: nothing is told"
    return line


def record(venue: str, count: int) -> str:
    """Parse frames, keep the book, and record what they give."""
    recording = Recording(venue)
    line = _measured(_made(venue, count), recording.take)
    recording.check(count)
    return line


def ccxt(venue: str, count: int) -> str:
    """Let ccxt read the same frames, and compare what it has at the end with the market."""
    return asyncio.run(_ccxt(venue, count))


async def _ccxt(venue: str, count: int) -> str:
    reader = CcxtReader(venue, WORDS[venue].symbol)

    def take(_first: int, some: list[bytes]) -> None:
        for frame in some:
            reader.read(frame)

    line = _measured(list(filter(reader.wants, _made(venue, count))), take)
    parser, best = SOURCES[venue].parser(venue, DEPTH), None
    for frame in _made(venue, count):
        for told in parser.parse(_received(0), frame):
            best = (told.bids[0][0], told.asks[0][0]) if isinstance(told, Book) else best
    assert reader.best == best, f"{venue}: ccxt has another book"
    await reader.close()
    return line


def memory(venue: str, count: int) -> str:
    """Record ever new frames; return the memory on the way, in MB, and what it grew by."""
    recording, made, process = Recording(venue), frames(venue), psutil.Process()
    found = []
    for number in range(0, count, FEW):
        recording.take(number, list(islice(made, FEW)))
        if number % (count // SHOWN) < FEW:
            found.append(round(process.memory_info().rss / 1e6, 1))
            sys.stderr.write(f"{venue}: {number:,} frames, {found[-1]} MB\n")
    recording.check(count)
    # The second: the windows of ids and levels are full then.
    return msgspec.json.encode({"rss_mb": found, "growth_mb": found[-1] - found[1]}).decode() + "\n"


class Recording:
    """A parser and a recorder, with nobody behind them."""

    def __init__(self, venue: str) -> None:
        rules = Stream().rules
        identity = Identity(session="bench", epoch=1, origin="live", rules=rules)
        lanes = Lanes("bench", PARTITIONS, lambda key: partition_of(key, partitions=PARTITIONS))
        self._parser = SOURCES[venue].parser(venue, DEPTH)
        self._recorder = Recorder(identity, Produce(), "bench", lanes)
        self._letters: list[Any] = []

    def take(self, first: int, some: Iterable[bytes]) -> None:
        parse = self._parser.parse
        found = [o for n, frame in enumerate(some, first) for o in parse(_received(n), frame)]
        self._letters += self._recorder.record(found).letters

    def check(self, count: int) -> None:
        counts = self._recorder.lanes.counts
        assert not self._letters, str(self._letters[0])
        assert sum(counts.values()) > 0.9 * count, f"most is missing: {counts}"
        assert not self._recorder.gaps, "there are gaps"


def _made(venue: str, count: int) -> list[bytes]:
    return list(islice(frames(venue), count))


def _received(number: int) -> int:
    return (FIRST_MS + number) * NS_PER_MS


def _measured(made: list[bytes], take: Callable[[int, list[bytes]], None]) -> str:
    meter = Meter()
    for first in range(0, len(made), FEW):
        take(first, made[first : first + FEW])
        # The first ones are warming up.
        meter.mark(first + len(made[first : first + FEW]))
    return meter.line()


CASES: Final = {"read": read, "record": record, "ccxt": ccxt, "memory": memory}

if __name__ == "__main__":
    case_name, venue_name, frames_count = sys.argv[1:]
    sys.stdout.write(CASES[case_name](venue_name, int(frames_count)))
