"""One case of capturing over a connection: ``python -m deploy.bench.captured_live CASE VENUE N``.

A venue in a process of its own tells frames that were made before, as fast as they are taken.

``product`` is what ``tickerplant record`` runs, without its view and with all books: network, each
frame into its raw file, parser and book with every check, order and time, JSON, and Kafka until it
has acknowledged all. ``feed`` is the part of it before the recorder: no order, JSON or Kafka.

``ccxt`` is ccxt's own client: network, decoding and ``handle_message``, which puts trades into a
ring and levels into a book. It checks no checksum, stores and publishes nothing, and nobody takes
what it has: each ``watch_*`` is called once, to subscribe. So it is ``feed`` that does the same.
``by_hand`` is ``product`` as one writes it around ccxt in an afternoon: each trade and the 20 best
levels after each change go through orjson and aiokafka's ``send``. Nothing is checked or kept.

All use asyncio's own loop. CPU is of the case's process; on the wall clock, the venue and Kafka
share its processors. The settings come in the environment. Each prints a ``Span`` of frames.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from itertools import islice
from subprocess import PIPE
from typing import Any, Final, NamedTuple

import msgspec
import orjson
from aiokafka import AIOKafkaProducer

from deploy.bench.ccxt_exchange import CcxtClient
from deploy.bench.following import POLL_S, follow, reading
from deploy.bench.made_market import FIRST_MS, UPDATE_EVERY
from deploy.bench.meter import Meter
from deploy.bench.scratch import PUBLISHED
from deploy.bench.venue_frames import WORDS, frames
from deploy.capture.watching import Watch, WatchedFeed
from producers.feeds.live import LiveFeed
from producers.feeds.sources import SOURCES
from producers.produce import produce
from producers.venue_server.server import HOST, VenueServer
from schemas.events import NS_PER_MS, Book, Tick, Trade
from schemas.health import Health
from schemas.metrics import RECEIVED
from schemas.settings import load_settings
from schemas.topics import BOOKS, TRADES

DEPTH: Final = 20


class Held(NamedTuple):
    """What the frames of a venue hold."""

    trades: int
    books: int
    last_trade: str
    best: tuple[float, float]
    """At the end."""


async def venue(name: str, count: int) -> str:
    """Serve made frames until stdin ends; the first line that is written is the port.

    Behind the first update it waits for a line: its client has a book, and can take the rest.
    """
    told, server = _made(name, count), VenueServer(name, ())
    if SOURCES[name].snapshot_path is not None:
        framed = msgspec.json.decode(told.pop(0), type=dict[str, msgspec.Raw])
        server.snapshots[WORDS[name].symbol] = bytes(framed["data"])
    async with server.serve() as port:
        sys.stdout.write(f"{port}\n")
        sys.stdout.flush()
        await _until(lambda: bool(server.clients))
        for number, frame in enumerate(told):
            if number == UPDATE_EVERY:
                await asyncio.to_thread(sys.stdin.readline)
            await server.tell(frame)
        await asyncio.to_thread(sys.stdin.read)
    return f"{server.told}\n"


async def product(name: str, count: int) -> str:
    """Record a venue as the command does, until all that its frames hold is on Kafka."""
    async with _served(name, count) as (here, begin):
        held, meter, stop = _held(name, count), Meter(), asyncio.Event()
        settings, feed = load_settings(), _feed_of(name, here)
        recording = asyncio.create_task(produce(feed, settings, Health("kafka"), stop))
        trades, books = (reading(RECEIVED, "produce", topic.name) for topic in (TRADES, BOOKS))
        await _until(lambda: recording.done() or books() > 0)
        begin()
        await follow(recording, meter, lambda: trades() + books(), held.trades + held.books)
        stop.set()
        summary = await recording
        meter.settle()
    assert (summary.trades, summary.books) == (held.trades, held.books), str(summary)
    assert (summary.gaps, summary.skipped) == (0, {}), str(summary)
    return meter.line()


async def feed(name: str, count: int) -> str:
    """Take what the feed of a venue tells, and do nothing with it."""
    async with _served(name, count) as (here, begin):
        held, meter, ticks, begun = _held(name, count), Meter(), 0, False
        async with aclosing(_feed_of(name, here).observations()) as batches:  # type: ignore[type-var] # a generator
            async for batch in batches:
                ticks += sum(isinstance(observation, Tick) for observation in batch)
                if not begun and any(isinstance(observation, Book) for observation in batch):
                    begun = True
                    begin()
                if ticks:
                    meter.mark(ticks)
                if ticks == held.trades + held.books:
                    break
        meter.settle()
    return meter.line()


async def ccxt(name: str, count: int) -> str:
    """Let ccxt read a venue until it has the last trade; its book must be the market's."""
    async with _served(name, count) as (here, begin):
        held, meter = _held(name, count), Meter()
        client = CcxtClient(name, WORDS[name].symbol, here)
        await _read_all(client, held, begin, meter, lambda: client.frames)
        await client.close()
    assert client.best == held.best, f"{name}: ccxt has another book"
    return meter.line()


async def by_hand(name: str, count: int) -> str:
    """Let ccxt read a venue, and send what it has until the last trade is on Kafka."""
    settings = load_settings()
    servers, topic = settings.kafka.servers, f"{settings.namespace}.{PUBLISHED}"
    async with (
        _served(name, count) as (here, begin),
        AIOKafkaProducer(bootstrap_servers=servers, compression_type="lz4") as producer,
    ):
        held, meter, sent = _held(name, count), Meter(), 0
        waiting: deque[Any] = deque()
        client = CcxtClient(name, WORDS[name].symbol, here, waiting.append)

        async def send_all() -> None:
            nonlocal sent
            while True:
                while waiting:
                    await producer.send(topic, orjson.dumps(waiting.popleft()), key=b"0")
                    sent += 1
                await asyncio.sleep(POLL_S)

        sending = asyncio.create_task(send_all())
        await _read_all(client, held, begin, meter, lambda: sent)
        await _until(lambda: sending.done() or not waiting)
        await producer.flush()
        meter.mark(sent)
        meter.settle()
        sending.cancel()
        await client.close()
    assert sent >= held.trades + held.books, f"{name}: {sent} sent"
    assert client.best == held.best, f"{name}: ccxt has another book"
    return meter.line()


async def _read_all(
    client: CcxtClient,
    held: Held,
    begin: Callable[[], None],
    meter: Meter,
    done: Callable[[], int],
) -> None:
    """Let the venue begin when ccxt has its book; return when it has the last trade."""
    reading_all = asyncio.create_task(client.read(held.last_trade))
    await _until(lambda: reading_all.done() or client.has_book)
    begin()
    await follow(reading_all, meter, done)


@asynccontextmanager
async def _served(name: str, count: int) -> AsyncIterator[tuple[str, Callable[[], None]]]:
    """Run a venue in a process of its own; give its host and port, and what lets it begin."""
    command = (sys.executable, "-P", "-m", "deploy.bench.captured_live", "venue", name, str(count))
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
    stdin = process.stdin
    assert stdin is not None, "it is a pipe"
    assert process.stdout is not None, "it is a pipe"
    try:
        port = int(await process.stdout.readline())
        yield f"{HOST}:{port}", lambda: stdin.write(b"\n")
    finally:
        stdin.close()
        await process.wait()


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - a counter tells no event
        await asyncio.sleep(POLL_S)


def _feed_of(name: str, here: str) -> WatchedFeed:
    settings = load_settings()
    urls = {"endpoints": (f"{name}=ws://{here}/ws",), "rest_endpoints": (f"{name}=http://{here}",)}
    capture, raw_folder = settings.capture.model_copy(update=urls), settings.home / "raw"
    symbols = [WORDS[name].symbol]
    live = LiveFeed(SOURCES[name], symbols, capture, depth=DEPTH, raw_folder=raw_folder)
    return WatchedFeed(live, Watch(time.time_ns()), now_ns=time.time_ns)


def _made(name: str, count: int) -> list[bytes]:
    """Return about so many frames; the last one is a trade, behind which nothing is to come."""
    return list(islice(frames(name), count // UPDATE_EVERY * UPDATE_EVERY))


def _held(name: str, count: int) -> Held:
    parser = SOURCES[name].parser(name, DEPTH)
    told = [o for frame in _made(name, count) for o in parser.parse(FIRST_MS * NS_PER_MS, frame)]
    trades = [o for o in told if isinstance(o, Trade)]
    books = [o for o in told if isinstance(o, Book)]
    assert told[-1] is trades[-1], "a book comes behind the last trade"
    best = books[-1].bids[0][0], books[-1].asks[0][0]
    return Held(len(trades), len(books), trades[-1].trade_id or "", best)


CASES: Final = {
    "venue": venue,
    "product": product,
    "feed": feed,
    "ccxt": ccxt,
    "by_hand": by_hand,
}

if __name__ == "__main__":
    logging.basicConfig(stream=sys.stderr, level=logging.ERROR)
    case_name, venue_name, frames_count = sys.argv[1:]
    sys.stdout.write(asyncio.run(CASES[case_name](venue_name, int(frames_count))))
