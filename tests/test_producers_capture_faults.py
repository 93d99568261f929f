"""A venue with every trouble there is, in one run: what was told of it is the truth."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from random import Random

import pytest

from producers.feeds.live import LiveFeed
from producers.feeds.sources import SOURCES
from producers.raw.capture import read_frames
from producers.venue_server.server import VenueServer
from producers_builders import new_recorder
from schemas.codec import input_decoder
from schemas.events import Book, End, Gap, Tick, Trade
from schemas.sections import Capture
from venue_market import SYMBOL, Market

WAIT_S = 60
SETTINGS = {
    "reconnect_ms_min": 5,
    "reconnect_ms_max": 20,
    "silence_s_min": 0.2,
    "silence_s_max": 0.4,
    "resync_ms_min": 20,
    "history_s_max": 0.8,
    "history_lag_ms": 30,
}
HEALING = 15
"""Steps of the market until a fault is over."""


@dataclass
class Run:
    """What a market did, what was received of it, and what was published."""

    market: Market
    published: dict[str, list] = field(default_factory=dict)
    received: dict[str, int] = field(default_factory=dict)
    """When trades came live, by id, as the stored frames have it."""

    def of(self, kind, topic):
        return [event for event in self.published[topic] if isinstance(event, kind)]

    @property
    def gaps(self):
        return self.of(Gap, "trades")

    @property
    def trades(self):
        return {trade.trade_id: trade for trade in self.of(Trade, "trades")}

    @property
    def missing_trades(self):
        return [ts for trade_id, ts in self.market.trades.items() if trade_id not in self.trades]

    @property
    def untold_updates(self):
        """When the book changed without being told of, by update."""
        told = {book.update_id for book in self.of(Book, "books")}
        return {n: ts for n, ts in self.market.updates.items() if n not in told}

    @property
    def missing_updates(self):
        """Those after the first that was told, where there was no book yet, and before the end.

        A book that is lost at the end moves no time: its last update may be later than that.
        """
        first = min(book.update_id for book in self.of(Book, "books"))
        over = max(end.source_time for end in self.of(End, "books"))
        return [ts for n, ts in self.untold_updates.items() if n > first and ts <= over]


class Script:
    """Lets a market go on through one fault after another."""

    def __init__(self, market: Market, server: VenueServer, random: Random) -> None:
        self.market = market
        self.server = server
        self.random = random

    async def go(self, steps=1):
        for _ in range(steps):
            await self.server.tell(self.market.step())
            await asyncio.sleep(0.001)

    async def go_until(self, condition):
        async with asyncio.timeout(WAIT_S):
            while not condition():
                await self.go()

    async def disconnect(self):
        await self.server.disconnect()
        await self.go(self.random.randrange(3, 10))
        await self.go_until(lambda: self.server.clients)

    async def silence(self):
        left = set(self.server.clients)
        self.server.silent = True
        await self.go_until(lambda: not left & self.server.clients)
        self.server.silent = False
        await self.go_until(lambda: self.server.clients)

    async def corruption(self):
        self.server.faults.order(self.random.choice(("cut", "garbage", "html")))
        await self.go_until(lambda: not self.server.faults)

    async def broken_chain(self):
        self.server.faults.order("drop", self.market.depth_words)
        await self.go_until(lambda: not self.server.faults)

    async def rest_failure(self):
        """Fail for longer than anybody waits."""
        self.server.http_trouble = self.random.choice(((500, ""), (200, "<html>"), (429, "")))
        await self.disconnect()
        over_at = asyncio.get_running_loop().time() + SETTINGS["history_s_max"] + 0.2
        await self.go_until(lambda: asyncio.get_running_loop().time() > over_at)
        self.server.http_trouble = None


async def recorded(venue, faults, seed, folder):
    """Record a market through faults."""
    random = Random(seed)
    market, server = Market(venue, random), VenueServer(venue, [])
    script, recorder = Script(market, server, random), new_recorder(disconnect_ms_max=30_000)
    steps = [name for name, count in faults.items() for _ in range(count)]
    random.shuffle(steps)
    records = []
    await server.tell(market.snapshot())
    async with server.serve() as port:
        capture = Capture(
            endpoints=(f"{venue}=ws://127.0.0.1:{port}/ws",),
            rest_endpoints=(f"{venue}=http://127.0.0.1:{port}",),
            **SETTINGS,
        )
        feed = LiveFeed(SOURCES[venue], [SYMBOL], capture, depth=20, raw_folder=folder)

        async def record():
            async for batch in feed.observations():
                records.extend(recorder.record(batch).records)

        recording = asyncio.create_task(record())
        await until(lambda: server.clients)
        await script.go(HEALING)
        for step in steps:
            await getattr(script, step)()
            await script.go(HEALING)
        last = f'"{list(market.trades)[-1]}"'.encode()
        await until(lambda: any(last in value for *_, value, _ in records[-200:]))
        recording.cancel()
        await asyncio.gather(recording, return_exceptions=True)
    records += recorder.end("completed").records
    run = Run(market)
    for topic in ("trades", "books"):
        # All ticks, and the control events of one partition.
        run.published[topic] = [
            event
            for name, partition, _, value, _ in records
            if name == f"test.{topic}"
            for event in [input_decoder.decode(value)]
            if isinstance(event, Tick) or partition == 0
        ]
    for path in sorted(folder.glob("*/*.raw.zst")):
        run.received |= trades_received(venue, path)
    return run


def trades_received(venue, path):
    parser, found = SOURCES[venue].parser(venue, 20), {}
    for ts_recv, frame in read_frames(path):
        try:
            seen = parser.parse(ts_recv, frame)
        except Exception:  # noqa: BLE001 - spoiled on purpose
            continue
        found |= {o.trade_id: ts_recv for o in seen if isinstance(o, Trade)}
    return found


async def until(condition):
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110 - what it looks at is of another library
            await asyncio.sleep(0.005)


def faults_of(run, gaps=None):
    """Return what is not true of what was published."""
    gaps = run.gaps if gaps is None else gaps
    of_trades = [(gap.ts_from, gap.ts_to) for gap in gaps if gap.of("trades")]
    of_books = [(gap.ts_from, gap.ts_to) for gap in gaps if gap.of("books")]
    missing, untold = run.missing_trades, run.untold_updates.values()
    wrong = [f"trade of {ts} is missing" for ts in missing if not within(ts, of_trades)]
    wrong += [f"book of {ts} is missing" for ts in run.missing_updates if not within(ts, of_books)]
    wrong += [f"no trade is missing in {x}" for x in of_trades if not any_within(x, missing)]
    wrong += [f"no book is missing in {x}" for x in of_books if not any_within(x, untold)]
    wrong += [
        f"book {book.update_id} is wrong"
        for book in run.of(Book, "books")
        if (book.bids, book.asks) != run.market.books[book.update_id]
    ]
    for trade_id, trade in run.trades.items():
        came_at = run.received.get(trade_id)
        # What comes while history is asked may be of both.
        if came_at is None if not trade.filled else came_at is not None and came_at < trade.ts_recv:
            wrong.append(f"trade {trade_id} is marked wrongly")
    return wrong


def within(ts, spans):
    return any(ts_from <= ts < ts_to for ts_from, ts_to in spans)


def any_within(span, times):
    return any(span[0] <= ts < span[1] for ts in times)


@pytest.mark.parametrize(
    ("venue", "faults"),
    [
        (
            "BINANCE",
            {
                "disconnect": 30,
                "silence": 10,
                "corruption": 5,
                "broken_chain": 3,
                "rest_failure": 2,
            },
        ),
        (
            "BYBIT",
            {"disconnect": 6, "silence": 1, "corruption": 5, "broken_chain": 3, "rest_failure": 1},
        ),
    ],
)
async def test_through_every_fault_what_is_published_is_true(venue, faults, tmp_path):
    run = await recorded(venue, faults, 7, tmp_path)

    assert faults_of(run) == []
    # Something was at stake: trades were lost for good, others came back, books were lost.
    assert run.missing_trades
    assert run.missing_updates
    assert any(trade.filled for trade in run.trades.values())
    assert len(run.market.trades) > 500
    # And a lie would be noticed.
    nothing = Gap(session="s", epoch=1, seq=0, source_time=0, ts_from=1, ts_to=2)
    assert len(faults_of(run, [*run.gaps, nothing])) == 2
    assert all(faults_of(run, [g for g in run.gaps if not g.of(x)]) for x in ("trades", "books"))
    next(trade for trade in run.trades.values() if trade.filled).filled = False
    run.of(Book, "books")[-1].bids.pop()
    assert len(faults_of(run)) == 2
