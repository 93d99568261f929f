"""Producing while Kafka stops and dies: nothing lost, nothing doubled."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys

import pytest

from producers.feeds.simulated import market
from producers.produce import produce
from producers_builders import ListFeed
from producers_topics import T0, WAIT_S, batches, check_lane, events_of, ids_of, until
from schemas import metrics
from schemas.events import Control, Trade
from schemas.health import Health
from schemas.sections import Simulated
from schemas.settings import Settings, child_environment

pytestmark = pytest.mark.stack


def kafka_pid(settings: Settings) -> int:
    environment = child_environment(TICKERPLANT_HOME=str(settings.home), TICKERPLANT_PORTS="auto")
    status = subprocess.run(
        (sys.executable, "-m", "deploy.cli", "status", "--json"),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return int(json.loads(status.stdout)["services"]["kafka"]["pid"])


def narrow(settings: Settings) -> Settings:
    limits = {"in_flight_bytes_max": 65_536, "batch_bytes_max": 16_384}
    # A Kafka that is away is so for longer than this: the session must not be given up for it.
    limits |= {"heartbeat_ms": 100, "heartbeat_timeout_ms": 500}
    return settings.model_copy(update={"produce": settings.produce.model_copy(update=limits)})


async def test_a_stopped_kafka_blocks_the_feed_which_is_counted_and_said(settings):
    pid, health, before = kafka_pid(settings), Health(), metrics.FEED_BLOCKED._value.get()
    feed, count = ListFeed(batches(20_000)), 20_000
    stopped = False

    async def stop_and_go():
        nonlocal stopped
        await until(lambda: feed.given > 500, "some ticks")
        os.kill(pid, signal.SIGSTOP)
        try:
            await until(lambda: "kafka" in health.faults, "the fault to be seen")
            stopped = True
        finally:
            os.kill(pid, signal.SIGCONT)

    task = asyncio.create_task(stop_and_go())
    summary = await produce(feed, narrow(settings), health, asyncio.Event())
    await task

    assert stopped
    assert health.ready
    assert summary.trades == count
    assert metrics.FEED_BLOCKED._value.get() > before + 1
    assert len(set(ids_of(await events_of(settings)))) == count


async def test_nothing_is_lost_doubled_or_reordered_when_kafka_is_killed(settings):
    trades = [
        o
        for o in market(Simulated(rate=3_000, duration_s=20, books_share=0.2), T0)
        if not isinstance(o, Control)
    ]
    feed, health = ListFeed([trades[n : n + 200] for n in range(0, len(trades), 200)]), Health()
    task = asyncio.create_task(produce(feed, narrow(settings), health, asyncio.Event()))
    for part in (0.1, 0.5):
        await until(lambda part=part: feed.given > part * len(trades), "some ticks")
        pid = kafka_pid(settings)
        os.kill(pid, signal.SIGKILL)
        given = feed.given
        await until(lambda given=given: feed.given > given + 2_000, "the feed to go on")

    summary = await asyncio.wait_for(task, WAIT_S)

    lanes = await events_of(settings)
    expected = sorted((o.instrument, int(o.trade_id)) for o in trades if type(o) is Trade)
    assert ids_of(lanes) == expected
    assert summary.trades == len(expected)
    for topic in ("trades", "books", "quotes"):
        for lane in (await events_of(settings, topic)).values():
            check_lane(lane)
