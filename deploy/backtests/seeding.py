"""A realistic history to try things on: bars, sentiment and ticks, the same from the same seed."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from itertools import islice
from math import exp, pi, sin
from random import Random
from typing import Final

from msgspec import Struct

from consumers.store import imports
from consumers.store.client import IngestClient
from consumers.store.sinks.sentiment import Sentiment, write_sentiment
from consumers.store.sql import database
from deploy.importing import CLOCK_INTERVAL_MS
from deploy.local.lock import only_feeder
from deploy.local.progress import Progress
from deploy.stored import wait_stored
from producers.feed import Feed, Observation
from producers.feeds.simulated import SimulatedFeed
from producers.produce import produce
from schemas.events import NS_PER_S, Bar
from schemas.health import Health
from schemas.intervals import FIXED_NS
from schemas.sections import Simulated
from schemas.settings import Settings

SYMBOLS: Final = {"ALPHA.SEED": 42_000.0, "BETA.SEED": 2_300.0, "GAMMA.SEED": 95.0}
"""With their first prices."""
INTERVAL: Final = "5m"
SOURCE: Final = "seed"
DAY_NS: Final = 86_400 * NS_PER_S
STORED_S_MAX: Final = 120.0
BATCH: Final = 1_000
PRICE_DECIMALS: Final = 2
SENTIMENT_BARS: Final = 12
"""An item an hour."""


class History(Struct, kw_only=True, frozen=True):
    """What is made up: bars of so many days, and ticks of the first seconds after them."""

    start_ns: int
    days: int = 60
    seed: int = 1
    tick_seconds: float = 600.0
    tick_rate: float = 100.0

    @property
    def end_ns(self) -> int:
        return self.start_ns + self.days * DAY_NS

    @property
    def name(self) -> str:
        return f"{self.start_ns // NS_PER_S}-{self.days}-{self.seed}"


class Planted(Struct, kw_only=True):
    """What became of a part of the history."""

    session: str
    what: str
    rows: int
    state: str
    """stored, or present: it was there before."""


class _Walk:
    """One instrument: trends that come and go, volatility that clusters, days that have hours."""

    def __init__(self, name: str, price: float, seed: int) -> None:
        self.name = name
        self._draw = Random(f"{seed} {name}")  # noqa: S311 - a market, not a secret
        self._price = price
        self._volatility = self._drift = 0.0

    def bar(self, ts_open: int) -> Bar:
        draw, length = self._draw, FIXED_NS[INTERVAL]
        hour = (ts_open % DAY_NS) / DAY_NS
        busy = 1 + 0.5 * sin(2 * pi * (hour - 0.3))
        self._volatility = 0.97 * self._volatility + draw.gauss(0, 0.08)
        self._drift = 0.985 * self._drift + draw.gauss(0, 0.00001)
        spread = 0.0012 * busy * exp(self._volatility)
        opened = self._price
        path = [opened]
        for _ in range(4):
            path.append(path[-1] * exp(self._drift / 4 + draw.gauss(0, spread / 2)))
        prices = [round(price, PRICE_DECIMALS) for price in path]
        self._price = prices[-1]
        volume = round(busy * 1e5 / opened * exp(self._volatility + draw.gauss(0, 0.4)), 3)
        ts_close = ts_open + length
        return Bar(
            session="",
            epoch=0,
            seq=0,
            instrument=self.name,
            ts_event=ts_close,
            ts_recv=ts_close,
            source=SOURCE,
            interval=INTERVAL,
            ts_open=ts_open,
            ts_close=ts_close,
            open=prices[0],
            high=max(prices),
            low=min(prices),
            close=prices[-1],
            volume=f"{volume:.3f}".rstrip("0").rstrip("."),
        )


def bars(history: History) -> Iterator[Bar]:
    """Yield the bars of all symbols as they close."""
    walks = [_Walk(name, price, history.seed) for name, price in SYMBOLS.items()]
    for ts_open in range(history.start_ns, history.end_ns, FIXED_NS[INTERVAL]):
        for walk in walks:
            yield walk.bar(ts_open)


def sentiment(history: History) -> Iterator[Sentiment]:
    """Yield what people say once an hour: half of it is what the price just did."""
    draw = Random(f"{history.seed} sentiment")  # noqa: S311 - a market, not a secret
    closes: dict[str, list[float]] = {name: [] for name in SYMBOLS}
    for number, bar in enumerate(bars(history)):
        past = closes[bar.instrument]
        past.append(bar.close)
        if len(past) % SENTIMENT_BARS:
            continue
        change = past[-1] / past[-SENTIMENT_BARS] - 1
        score = max(-1.0, min(1.0, 40 * change + draw.gauss(0, 0.3)))
        yield Sentiment(
            instrument=bar.instrument,
            session=f"seed-bars-{history.name}",
            source=SOURCE,
            item=str(number),
            ts_event=bar.ts_close,
            ts_recv=bar.ts_close,
            score=round(score, 4),
            magnitude=round(abs(draw.gauss(0, 1)), 4),
            confidence=round(draw.random(), 4),
        )


class BarsFeed:
    """The bars as a feed; fed again, they are the same recording."""

    origin = "seed"
    repeatable = True
    wall_clock = False
    instruments = tuple(SYMBOLS)

    def __init__(self, history: History) -> None:
        self.session = f"seed-bars-{history.name}"
        self.skipped: Counter[str] = Counter()
        self._bars = bars(history)

    async def observations(self) -> AsyncIterator[list[Observation]]:
        while batch := list(islice(self._bars, BATCH)):
            yield [*batch]


def ticks_feed(history: History) -> Feed:
    """Return the tick session: the simulated market of the time after the bars."""
    market = Simulated(
        seed=history.seed,
        instruments=len(SYMBOLS),
        rate=history.tick_rate,
        duration_s=history.tick_seconds,
        start_ns=history.end_ns,
        max_speed=True,
    )
    feed = SimulatedFeed(market)
    feed.session = f"seed-ticks-{history.name}"
    return feed


def plant(settings: Settings, history: History, progress: Progress) -> list[Planted]:
    """Store the history, through the topics where there are topics; what is there stays.

    Returns when all of it can be read. Raises what ``produce`` and ``wait_stored`` do.
    """
    planted = [
        _publish(settings, feed, what, progress)
        for feed, what in ((BarsFeed(history), "bars"), (ticks_feed(history), "ticks"))
    ]
    items = list(sentiment(history))
    with closing(IngestClient(settings.questdb)) as client:
        write_sentiment(client, items)
    planted.append(
        Planted(session=items[0].session, what="sentiment", rows=len(items), state="stored")
    )
    return planted


def _publish(settings: Settings, feed: Feed, what: str, progress: Progress) -> Planted:
    with database(settings.questdb) as db:
        if imports.session_state(db, feed.session) == "completed":
            return Planted(session=feed.session, what=what, rows=0, state="present")
    fixed = {"owner": f"seed-{socket.gethostname()}", "clock_interval_ms": CLOCK_INTERVAL_MS}
    if what == "ticks":
        del fixed["clock_interval_ms"]
    produced = settings.produce.of_files().model_copy(update=fixed)
    own = settings.model_copy(update={"produce": produced})
    with only_feeder(settings.home, feed.session):
        progress.begin(f"storing {what}")
        rows = asyncio.run(_run(own, feed))
        progress.done(f"storing {what}", f"{rows:,} rows")
    return Planted(session=feed.session, what=what, rows=rows, state="stored")


async def _run(settings: Settings, feed: Feed) -> int:
    summary = await produce(feed, settings, Health("kafka"), asyncio.Event())
    await wait_stored(settings, summary.end_offsets, seconds=STORED_S_MAX)
    return summary.trades + summary.books + summary.bars
