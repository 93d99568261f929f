"""Live paper trading, its replay and the store give the same fills: they are one engine."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from functools import partial

import pytest
from msgspec import structs

from consumers.backtest import Terms
from consumers.store import reader
from consumers.store.reading import Store
from consumers.store.sql import database
from consumers_stage import running, until
from deploy.backtests.backtesting import execute
from deploy.backtests.paper import trade
from deploy.backtests.plans import Plan, plan_of, planned_live
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

MARKET = Simulated(instruments=2, rate=400, duration_s=6, seed=7)
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


def some_stored(settings, session):
    with database(settings.questdb) as db:
        return reader.counts(db, session)["trades"] > 100


def is_over(settings, session):
    """Tell whether all of it is stored: its end, and what the catalogue says of it."""
    with Store(settings.questdb) as store:
        last = deque(store.events(session), maxlen=1)
        return type(last.pop()) is End and store.session(session).state == "completed"


@pytest.mark.stack
async def test_live_its_replay_and_the_store_give_the_same_fills(settings):
    plan, never, name = planned_live(settings, ASKED), asyncio.Event(), f"{settings.namespace}p"
    live, replayed = Told(), Told()
    feed, began = SimulatedFeed(MARKET), time.time_ns()
    async with running(settings) as stage:
        feeding = asyncio.create_task(produce(feed, settings, Health(), asyncio.Event()))
        await until(
            lambda: asyncio.to_thread(some_stored, settings, feed.session), "the first trades"
        )
        # It begins in the middle, with what is stored, and has missed nothing.
        first = await trade(settings, plan, never, since=began, until_end=True, told=live)
        summary = await feeding
        await stage.stored(feed.session, trades=summary.trades, books=summary.books)
        await until(partial(asyncio.to_thread, is_over, settings, feed.session), "the end")

    with Store(settings.questdb) as store:
        told_again = Replayed(sessions=(feed.session,))
        recordings = stored_recordings(store, told_again)
        await replay(settings, Run(name, told_again, speed=None, keep=True), recordings)
    again = await trade(settings, plan, never, replay=name, told=replayed)
    await remove_run(settings, name)
    stored = await asyncio.to_thread(execute, settings, plan_of(first.run))

    assert len(live.fills) > 10
    assert replayed.fills == live.fills
    assert first.run.sessions == (feed.session,)
    assert again.run.result_hash == first.run.result_hash == stored.run.result_hash


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
