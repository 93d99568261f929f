"""How fast a session goes from the store to Kafka, and how well a replay keeps its time."""

from __future__ import annotations

import asyncio
import time
from itertools import groupby
from operator import attrgetter
from statistics import mean, median, quantiles
from typing import Any, Final

from aiokafka import AIOKafkaProducer

from consumers.store.reading import Store
from deploy import kafka_admin
from deploy.bench.scratch import PUBLISHED, reader, records_of, scratch_namespace
from deploy.bench.workload import KINDS, MarketFeed, Workload, with_market
from deploy.local.supervisor import Patience, Supervisor
from deploy.local.workers import worker_beside
from deploy.replays.recordings import StoredRecordings, stored_recordings
from deploy.replays.replaying import quick_turns
from deploy.stored import ends_of, reach
from producers.produce import produce
from producers.replay.inbox import Inbox
from producers.replay.play import Before, Replay
from schemas.codec import input_decoder
from schemas.events import Tick
from schemas.health import Health
from schemas.replay_control import Plan, ReplayStatus
from schemas.settings import Settings
from schemas.topics import SESSIONS, TRADES

TIMED_RATE: Final = 200.0
TIMED_S: Final = 6.0
"""Of real time, at each speed."""
SPEEDS: Final = (1.0, 10.0)
STILL_S_MAX: Final = 120.0
TICKS_S: Final = 50_000
"""Ticks asked for, to one second of the timed replays, at most ``TIMED_S``."""


async def replay(settings: Settings, ticks: int) -> dict[str, float]:
    """Replay trades as fast as possible beside the bare limit, then a market at its pace."""
    figures: dict[str, float] = {}
    async with scratch_namespace(with_market(settings)) as own:
        session = await _stored(own, ticks)
        figures |= await _speed(own, session)
    seconds = min(TIMED_S, max(1.0, ticks / TICKS_S))
    for speed in SPEEDS:
        market = with_market(settings, rate=TIMED_RATE)
        async with scratch_namespace(market) as own:
            session = await _stored(own, int(TIMED_RATE * seconds * speed))
            figures |= await _timing(own, session, speed)
    return figures


async def _stored(settings: Settings, ticks: int) -> str:
    """Publish and store a market of trades; return its session."""
    service = worker_beside(settings, "consume", "consume-replay")
    worker = Supervisor(service, settings.home, lambda: None, Patience())
    await worker.start()
    try:
        feed = MarketFeed(settings, Workload(KINDS["trades"], ticks))
        summary = await produce(feed, settings, Health(), asyncio.Event())
        ends = ends_of(summary.end_offsets)
        # Until its end is stored, too, it cannot be replayed.
        ends |= await kafka_admin.log_ends(settings, [SESSIONS.full_name(settings.namespace)])
        await reach(settings, settings.store_group, ends, STILL_S_MAX, lambda _: None)
    finally:
        await worker.stop()
    return summary.session


async def _speed(settings: Settings, session: str) -> dict[str, float]:
    topic = TRADES.full_name(settings.namespace)
    records = await records_of(settings, topic)
    ready = sorted(records, key=attrgetter("partition"))
    count = sum(b'"type":"trade"' in record.value for record in records)
    async with scratch_namespace(settings) as target:
        with Store(settings.questdb) as store, quick_turns():
            # First whatever is read first is read from disk: that is neither's.
            rows = sum(batch.num_rows for batch in store.read("trades", session=session))
            assert rows == count, "every trade is stored"
            bare = await _took(_bare(target, store, session, ready))
            ours = await _took(_play(target, _looked_up(store, session), None))
    return {
        "ticks_per_second": count / ours[0],
        "bare_ticks_per_second": count / bare[0],
        "ratio_to_bare": bare[0] / ours[0],
        "cpu_us": ours[1] / count * 1e6,
        "bare_cpu_us": bare[1] / count * 1e6,
    }


async def _bare(settings: Settings, store: Store, session: str, ready: list[Any]) -> None:
    """Read the session as parquet, then send bytes that are ready."""
    await asyncio.to_thread(
        lambda: sum(batch.num_rows for batch in store.read("trades", session=session))
    )
    topic = f"{settings.namespace}.{PUBLISHED}"
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka.servers,
        enable_idempotence=True,
        acks="all",
        compression_type="lz4",
        max_batch_size=settings.produce.batch_bytes_max,
    )

    async def send(partition: int, records: list[Any]) -> None:
        batch = producer.create_batch()
        for record in records:
            item = {"key": record.key, "value": record.value, "timestamp": record.timestamp}
            if not batch.append(**item):
                await (await producer.send_batch(batch, topic, partition=partition))
                batch = producer.create_batch()
                batch.append(**item)
        await (await producer.send_batch(batch, topic, partition=partition))

    async with producer:
        lanes = [(n, list(some)) for n, some in groupby(ready, key=attrgetter("partition"))]
        await asyncio.gather(*(send(*lane) for lane in lanes))


async def _play(
    settings: Settings, recordings: StoredRecordings, speed: float | None
) -> ReplayStatus:
    status = ReplayStatus(
        run="bench",
        plan=Plan(sessions=tuple(recordings.rules)),
        state="playing",
        speed=speed,
        first=recordings.first,
        last=recordings.last,
    )
    playing = Replay(settings, recordings, Before(status, {}), inbox=Inbox(), show=lambda _: None)
    await playing.run(Health("kafka"))
    return playing.status


def _looked_up(store: Store, session: str) -> StoredRecordings:
    return stored_recordings(store, Plan(sessions=(session,)))


async def _timing(settings: Settings, session: str, speed: float) -> dict[str, float]:
    """Compare when ticks come to a plain consumer with when they came to the recorder."""
    arrived: list[tuple[int, int]] = []
    async with scratch_namespace(settings) as target:
        topic = TRADES.full_name(target.namespace)
        quick = target.model_copy(
            update={"produce": target.produce.model_copy(update={"linger_ms": 0})}
        )
        async with reader(target, topic) as consumer:
            with Store(settings.questdb) as store, quick_turns():
                playing = asyncio.create_task(_play(quick, _looked_up(store, session), speed))
                silent = False
                while not (silent and playing.done()):
                    fetched = await consumer.getmany(timeout_ms=100)
                    now, silent = time.monotonic_ns(), not fetched
                    for records in fetched.values():
                        for record in records:
                            event = input_decoder.decode(record.value)
                            if isinstance(event, Tick):
                                arrived.append((now, event.ts_recv))
                status = await playing
    name = f"{speed:g}x"
    began, first = min(arrived, key=lambda one: one[1])
    # Against the best of them: what all have in common is the way through Kafka.
    late = [now - began - (ts_recv - first) / speed for now, ts_recv in sorted(arrived)]
    least, tenth = min(late), max(1, len(late) // 10)
    late_ms = [(one - least) / 1e6 for one in late]
    return {
        f"error_p50_ms_at_{name}": status.error_p50_ms,
        f"error_p99_ms_at_{name}": status.error_p99_ms,
        f"arrival_p50_ms_at_{name}": median(late_ms),
        f"arrival_p99_ms_at_{name}": quantiles(late_ms, n=100, method="inclusive")[98],
        f"drift_ms_at_{name}": mean(late_ms[-tenth:]) - mean(late_ms[:tenth]),
    }


async def _took(work: Any) -> tuple[float, float]:
    """Return wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    await work
    return time.perf_counter() - wall, time.process_time() - cpu
