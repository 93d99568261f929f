"""Paper trading on topics and a backtest on the store give the same fills: it is one engine."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from functools import partial

import pytest
from msgspec import structs

from consumers.backtest import Terms
from consumers.store.reading import Store
from consumers_stage import running, until
from deploy.backtests.backtesting import Plan, execute, plan_of
from deploy.backtests.paper import planned_live, trade
from deploy.replays.recordings import stored_recordings
from deploy.replays.replaying import Run, replay
from deploy.replays.runs import remove_run
from producers.feeds.simulated import SimulatedFeed
from producers.produce import produce
from schemas.errors import DataError, SettingsError, UnknownNameError
from schemas.events import End
from schemas.health import Health
from schemas.replay_control import Plan as Replayed
from schemas.sections import Simulated
from schemas.settings import load_settings

MARKET = Simulated(instruments=2, rate=400, duration_s=6, seed=7, max_speed=True)
NAMES = ("SIM000.SIM", "SIM001.SIM")
PARAMS = {"levels": "1", "threshold": "0.05", "hold_ms": "300"}
TERMS = Terms(fee_bps=1.0, latency_ms=20.0, slippage_bps=0.5)
ASKED = Plan(strategy="book_imbalance", params=PARAMS, instruments=NAMES, terms=TERMS)


@dataclass
class Told:
    """Fills as they are told."""

    fills: list = field(default_factory=list)

    def __call__(self, fill):
        self.fills.append((fill.ts, fill.instrument, fill.signed, fill.price, fill.fee))


def is_over(settings, session):
    """Tell whether all of it is stored: its end, and what the catalogue says of it."""
    with Store(settings.questdb) as store:
        last = deque(store.events(session), maxlen=1)
        return type(last.pop()) is End and store.session(session).state == "completed"


@pytest.mark.stack
async def test_on_topics_while_they_come_and_from_the_store_the_fills_are_the_same(settings):
    plan, never, name = planned_live(settings, ASKED), asyncio.Event(), f"{settings.namespace}p"
    told = Told()
    feed = SimulatedFeed(MARKET)
    async with running(settings) as stage:
        summary = await produce(feed, settings, Health(), asyncio.Event())
        await stage.stored(feed.session, trades=summary.trades, books=summary.books)
        await until(partial(asyncio.to_thread, is_over, settings, feed.session), "the end")
    again = Replayed(sessions=(feed.session,))

    with Store(settings.questdb) as store:
        recordings = stored_recordings(store, again)
        async with asyncio.TaskGroup() as tasks:
            run = Run(name, again, speed=2.0, keep=True)
            tasks.create_task(replay(settings, run, recordings))
            on_topics = await _once_there(partial(trade, settings, plan, never, told=told), name)
    await remove_run(settings, name)
    stored = await asyncio.to_thread(execute, settings, plan_of(on_topics.run))

    assert len(told.fills) > 10
    assert on_topics.run.sessions == (feed.session,)
    assert on_topics.run.result_hash == stored.run.result_hash


async def _once_there(call, name):
    """Call when the topics of a replay that begins are there."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await call(replay=name)
            except UnknownNameError:
                await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"instruments": ()}, SettingsError),
        ({"strategy": "nobody"}, UnknownNameError),
        ({"params": {"threshold": "much"}}, SettingsError),
        ({"instruments": ("btc usdt",)}, DataError),
    ],
)
def test_what_cannot_be_traded_is_said_before_anything_is(wrong, error):
    with pytest.raises(error):
        planned_live(load_settings(), structs.replace(ASKED, **wrong))
