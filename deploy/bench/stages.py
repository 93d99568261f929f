"""Our stages as they run in a worker, metered by their own counters."""

from __future__ import annotations

import asyncio

from deploy.bench.following import begin, follow, reading
from deploy.bench.meter import Meter
from deploy.bench.scratch import last_values
from deploy.bench.workload import MarketFeed, Workload
from schemas.codec import candle_decoder, decode
from schemas.events import End, Tick
from schemas.health import Health
from schemas.metrics import RECEIVED, SENT
from schemas.settings import Settings
from schemas.topics import CANDLES


async def feed(settings: Settings, work: Workload, meter: Meter) -> None:
    """Take the simulated market and do nothing with it: what of ``produce`` is the market's."""
    ticks = 0
    async for observations in MarketFeed(settings, work).observations():
        ticks += sum(isinstance(observation, Tick) for observation in observations)
        if ticks:
            meter.mark(ticks)


async def produce(settings: Settings, work: Workload, meter: Meter) -> None:
    """Feed, recorder and publisher, until Kafka has acknowledged all."""
    from producers.produce import produce

    running = asyncio.create_task(
        produce(MarketFeed(settings, work), settings, Health(), asyncio.Event())
    )
    await follow(running, meter, reading(RECEIVED, "produce", work.kind.topic.name))


async def stream(settings: Settings, work: Workload, meter: Meter) -> None:
    """Trades to candles, until ``end`` is on every partition and the state is saved."""
    from streams.app import stream

    stop, health = asyncio.Event(), Health("kafka")
    running = asyncio.create_task(stream(settings, health, stop))
    await begin(running, meter, health)
    await follow(running, meter, reading(RECEIVED, "stream", work.kind.topic.name), work.count)
    # A save that is under way has not all of it, the one after it has.
    await asyncio.sleep(2 * settings.stream.save_interval_ms / 1000)
    meter.settle()
    stop.set()
    await running
    for value in await last_values(settings, CANDLES.full_name(settings.namespace)):
        assert isinstance(decode(candle_decoder, value), End), "candles end before their session"


async def consume(settings: Settings, work: Workload, meter: Meter) -> None:
    """Ticks to QuestDB, until all are acknowledged and committed."""
    from consumers.consume import consume
    from producers.publisher import Publisher

    stop, health = asyncio.Event(), Health("questdb")
    async with Publisher(settings, health, "consume") as letters:
        running = asyncio.create_task(consume(settings, letters, health, stop))
        await begin(running, meter, health)
        done = reading(SENT, "consume", work.kind.topic.name)
        await follow(running, meter, done, work.count)
        stop.set()
        await running
        meter.settle()
