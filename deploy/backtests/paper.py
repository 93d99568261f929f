"""A strategy on the topics, live or replayed, with money that is not: the engine of backtests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, closing
from functools import partial
from typing import Final

import msgspec
from msgspec import structs

from consumers.backtest.driver import State, failure_of, outcome
from consumers.backtest.engine import Engine, written
from consumers.backtest.orders import Fill
from consumers.client import subscribe
from consumers.store.client import IngestClient
from consumers.store.reading import Store
from consumers.store.sinks.backtests import write_run
from deploy.backtests.backtesting import Finished, engine_of, keep, run_of
from deploy.backtests.plans import Plan
from deploy.backtests.watchdog import calls_limited
from schemas.events import NS_PER_S, Control, End, Event
from schemas.settings import Settings
from streams.candles.aggregate import aggregate

TICKS: Final = ("trades", "books", "quotes", "control")
SERIES_AGAIN_NS: Final = 60 * NS_PER_S
"""After so long a series that a strategy looks up is read again: more of it may be stored."""


async def trade(  # noqa: PLR0913 - what a run is made of
    settings: Settings,
    plan: Plan,
    stop: asyncio.Event,
    *,
    replay: str | None = None,
    since: int | None = None,
    until_end: bool = False,
    told: Callable[[Fill], None] = lambda _: None,
) -> Finished:
    """Trade until ``stop`` is set or the strategy fails; keep what came of it.

    With ``since`` (ns) it begins with what is stored from then on, as if it had run all along. A
    replay is traded until its sessions are over, and so are live ones with ``until_end``.
    ``told`` is given each fill. The run names the sessions that it saw, so that it can be
    reproduced from what was stored of them.
    """
    began, clock = time.time_ns(), time.monotonic()
    run = run_of(plan, began)
    with (
        Store(settings.questdb, aggregate=aggregate) as store,
        closing(IngestClient(settings.questdb)) as client,
    ):
        write_run(client, run)
        engine = engine_of(store, plan, None if replay else SERIES_AGAIN_NS)
        trading = _Trading(engine, told, until_end=until_end or replay is not None)
        with calls_limited(settings.backtest.call_s_max):
            events = _events(settings, plan, engine, since, replay)
            failure = await trading.until(stop, events)
        state: State = "failed" if failure else "stopped" if engine.over else "completed"
        # What it saw is a part of the plan: so it can be run again on what was stored.
        plan = structs.replace(plan, sessions=tuple(trading.seen))
        text = msgspec.json.encode(plan).decode()
        run = structs.replace(run, sessions=plan.sessions, settings=text)
        return keep(client, plan, run, outcome(engine, state, failure or engine.over), clock)


class _Trading:
    """A strategy and the sessions that it sees."""

    def __init__(self, engine: Engine, told: Callable[[Fill], None], *, until_end: bool) -> None:
        self._engine = engine
        self.seen: dict[str, bool] = {}
        """By session, whether it is over."""
        self._until_end = until_end
        tell = engine.exchange.tell

        def filled(fill: Fill) -> None:
            told(fill)
            tell(fill)

        engine.exchange.tell = filled

    async def until(self, stop: asyncio.Event, events: AsyncGenerator[Event, None]) -> str | None:
        """Return the traceback of a strategy that failed."""
        feeding = asyncio.create_task(self._feed(events))
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({feeding, stopping}, return_when=asyncio.FIRST_COMPLETED)
            failure = feeding.result() if feeding.done() else None
        finally:
            for task in (feeding, stopping):
                task.cancel()
            await asyncio.gather(feeding, stopping, return_exceptions=True)
        return failure or failure_of(self._engine.stop)

    async def _feed(self, events: AsyncGenerator[Event, None]) -> str | None:
        engine = self._engine
        if failure := failure_of(engine.start):
            return failure
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Control):
                    self.seen[event.session] = isinstance(event, End)
                if failure := failure_of(partial(engine.handle, event)):
                    return failure
                if engine.over:
                    return None
                if self._until_end and self.seen and all(self.seen.values()):
                    return None
        return None


def _events(
    settings: Settings, plan: Plan, engine: Engine, since: int | None, replay: str | None
) -> AsyncGenerator[Event, None]:
    kinds = [*TICKS]
    if written(engine.strategy, "on_candle") or written(engine.strategy, "on_revision"):
        kinds += (f"candles.{interval}" for interval in settings.stream.intervals)
    return subscribe(plan.instruments, kinds, settings=settings, since=since, run=replay)
