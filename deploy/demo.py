"""The demo: a stack, a simulated market, a live table of candles, and a check of all of it."""

from __future__ import annotations

import asyncio
import signal
from time import monotonic
from typing import Any

from msgspec import Struct
from rich.console import Console
from rich.live import Live
from rich.table import Table

from consumers.store import reader
from consumers.store.sql import Database, database
from consumers.store.verify import verify
from deploy import kafka_admin
from deploy.local.progress import Shown
from deploy.local.stack import Stack
from deploy.stored import wait_stored
from deploy.telemetry import scrape
from producers.feeds.simulated import SimulatedFeed
from producers.produce import Summary, produce
from schemas.health import Health
from schemas.settings import Settings
from schemas.topics import DEAD_LETTERS

REFRESH_S = 0.25
STORED_S_MAX = 60.0


class DemoResult(Struct, kw_only=True):
    """What went in, what came out, and whether the one equals the other."""

    session: str
    trades_produced: int
    trades_stored: int
    candles_closed: int
    candles_stored: int
    revisions: int
    dead_letters: int
    differences: int
    verified: bool
    seconds_to_first_candle: float | None
    """From starting the servers, jars present."""

    def lines(self) -> list[str]:
        check = "equal" if self.verified else f"{self.differences} DIFFERENCES"
        first = self.seconds_to_first_candle
        candles = f"{self.candles_closed} closed, {self.candles_stored} stored"
        return [
            f"trades    {self.trades_produced} produced, {self.trades_stored} stored",
            f"candles   {candles}, {self.revisions} revisions of late trades",
            f"check     every stored candle against SQL over the stored trades: {check}",
            f"letters   {self.dead_letters} dead",
            f"first candle after {first:.1f} s" if first else "no candle was seen in time",
        ]


async def run_demo(settings: Settings, seconds: float, *, live: bool) -> DemoResult | None:
    """Run the stack for as long as the market moves, and check what was stored.

    None if a signal came while it was starting.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    began = monotonic()
    with Shown() as progress:
        stack = Stack(settings, workers=("stream", "consume"), progress=progress)
        started = await stack.start_unless(stop)
    if started is None:
        return None
    settings = started
    try:
        loop.call_later(seconds, stop.set)
        feed = SimulatedFeed(settings.simulated)
        watch = _Watch(settings, feed.session, began, live=live)
        watching = asyncio.create_task(watch.run())
        summary = await produce(feed, settings, Health(), stop)
        await wait_stored(settings, summary.end_offsets, seconds=STORED_S_MAX)
        watch.over.set()
        await watching
        return await _check(settings, summary, watch.first_candle_s)
    finally:
        await stack.stop()


async def _check(settings: Settings, summary: Summary, first_s: float | None) -> DemoResult:
    closed, revised = await asyncio.to_thread(_emitted, settings)
    letters = DEAD_LETTERS.full_name(settings.namespace)
    ends = await kafka_admin.log_ends(settings, [letters])
    report, stored = await asyncio.to_thread(_read_back, settings, summary.session)
    whole = stored["trades"] == summary.trades and report.candles == closed
    return DemoResult(
        session=summary.session,
        trades_produced=summary.trades,
        trades_stored=stored["trades"],
        candles_closed=closed,
        candles_stored=report.candles,
        revisions=revised,
        dead_letters=sum(ends.values()),
        differences=report.different,
        verified=report.verified and whole,
        seconds_to_first_candle=first_s and round(first_s, 2),
    )


def _emitted(settings: Settings) -> tuple[int, int]:
    values = scrape(settings.stream.metrics_port)
    names = ("tickerplant_candles_closed_total", "tickerplant_candles_revised_total")
    closed, revised = (int(values.get(name, 0)) for name in names)
    return closed, revised


def _read_back(settings: Settings, session: str) -> tuple[Any, dict[str, int]]:
    with database(settings.questdb) as db:
        return verify(db, session, settings.stream.intervals), reader.counts(db, session)


class _Watch:
    """Looks into the store while the market moves, and shows what it sees."""

    def __init__(self, settings: Settings, session: str, began: float, *, live: bool) -> None:
        self.first_candle_s: float | None = None
        self.over = asyncio.Event()
        self._settings = settings
        self._session = session
        self._began = began
        self._console = Console(stderr=not live)
        self._live = live and self._console.is_terminal

    async def run(self) -> None:
        with database(self._settings.questdb) as db:
            if not self._live:
                await self._look_until_over(db, None)
                return
            with Live(console=self._console, auto_refresh=False) as screen:
                await self._look_until_over(db, screen)

    async def _look_until_over(self, db: Database, screen: Live | None) -> None:
        while not self.over.is_set():
            stored = await asyncio.to_thread(reader.counts, db, self._session)
            if stored["candles"] and self.first_candle_s is None:
                self.first_candle_s = monotonic() - self._began
            if screen:
                candles = await asyncio.to_thread(reader.latest_candles, db, self._session)
                screen.update(_table(stored, candles, monotonic() - self._began), refresh=True)
            try:
                async with asyncio.timeout(REFRESH_S):
                    await self.over.wait()
            except TimeoutError:
                continue


def _table(stored: dict[str, int], candles: list[dict[str, Any]], age_s: float) -> Table:
    """Draw the newest closed candle of each instrument and interval."""
    title = (
        f"{age_s:5.1f} s   {stored['trades']} trades, {stored['books']} books, "
        f"{stored['candles']} candles stored"
    )
    columns = ("instrument", "interval", "open", "high", "low", "close", "volume", "vwap", "trades")
    table = Table(*columns, title=title, title_justify="left", box=None)
    for column in table.columns[2:]:
        column.justify = "right"
    for candle in candles:
        rising = candle["close"] >= candle["open"]
        vwap = candle["vwap"]
        table.add_row(
            candle["instrument"],
            candle["interval"],
            *(f"{candle[name]:.15g}" for name in ("open", "high", "low")),
            f"[{'green' if rising else 'red'}]{candle['close']:.15g}[/]",
            candle["volume"],
            "" if vwap is None else f"{vwap:.4f}",
            str(candle["trades_count"]),
        )
    return table
