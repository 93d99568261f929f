"""Read back what was produced, and judge it."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict

from aiokafka import AIOKafkaConsumer, TopicPartition

from producers_builders import seen_trade
from schemas.codec import input_decoder
from schemas.events import Control, End, Start, Trade
from schemas.settings import Settings

WAIT_S = 120
T0 = 1_760_000_400_000_000_000


async def until(condition, what):
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {WAIT_S} s for {what}"
        await asyncio.sleep(0.02)


async def lanes_of(settings: Settings, topic: str) -> dict[int, list]:
    """Read a topic to its end: the raw records of each partition."""
    name = f"{settings.namespace}.{topic}"
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka.servers)
    await consumer.start()
    try:
        await consumer._client._wait_on_metadata(name)
        places = [TopicPartition(name, n) for n in consumer.partitions_for_topic(name)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        lanes = defaultdict(list)
        for place in places:
            while await consumer.position(place) < ends[place]:
                for found, records in (await consumer.getmany(timeout_ms=500)).items():
                    lanes[found.partition] += records
        return lanes
    finally:
        await consumer.stop()


async def events_of(settings: Settings, topic: str = "trades") -> dict[int, list]:
    lanes = await lanes_of(settings, topic)
    return {n: [input_decoder.decode(r.value) for r in some] for n, some in lanes.items()}


def check_lane(lane: list) -> None:
    """Order and completeness of one session in one partition."""
    assert isinstance(lane[0], Start)
    assert isinstance(lane[-1], End)
    seqs = [event.seq for event in lane]
    assert seqs == sorted(set(seqs))
    ticks = 0
    for event in lane:
        if isinstance(event, Control):
            assert event.counts == ticks
        else:
            ticks += 1


def ids_of(lanes: dict[int, list]) -> list[tuple[str, int]]:
    return sorted(
        (e.instrument, int(e.trade_id)) for lane in lanes.values() for e in lane if type(e) is Trade
    )


def batches(count: int, size: int = 100) -> list[list]:
    numbers = range(count)
    return [
        [
            seen_trade(n / 1_000, instrument=f"S{n % 7}.SIM", trade_id=str(n))
            for n in numbers[first : first + size]
        ]
        for first in range(0, count, size)
    ]
