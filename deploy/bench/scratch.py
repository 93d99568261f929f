"""What the cases need of Kafka and QuestDB beside what they measure."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewTopic

from deploy import kafka_admin
from schemas.settings import Settings
from schemas.tables import TIMES
from schemas.topics import TRADES

PUBLISHED: Final = "bench.published"
TICKS: Final = "bench.ticks"
"""Some of the trades, without control events: for those who are slow and know none."""
PEER_CANDLES: Final = "bench.candles"
ECHO: Final = "bench.echo"
SCRATCH: Final = (PUBLISHED, TICKS, PEER_CANDLES, ECHO)


@asynccontextmanager
async def scratch_namespace(settings: Settings) -> AsyncIterator[Settings]:
    """Make a namespace with its topics and those of the baselines; delete all at the end."""
    name = f"bench-{uuid4().hex[:10]}"
    own = settings.model_copy(update={"namespace": name})
    await kafka_admin.provision(own)
    try:
        async with kafka_admin.admin(own) as client:
            options = {"topic_configs": {"message.timestamp.type": "LogAppendTime"}}
            await client.create_topics(
                [NewTopic(f"{name}.{t}", own.kafka.partitions, 1, **options) for t in SCRATCH]
            )
        yield own
    finally:
        async with kafka_admin.admin(own) as client:
            # Faust and quixstreams make topics of their own.
            await client.delete_topics(
                [topic for topic in await client.list_topics() if name in topic]
            )


@asynccontextmanager
async def reader(settings: Settings, topic: str) -> AsyncIterator[AIOKafkaConsumer]:
    """Open a consumer of all partitions from their beginning, without a group."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka.servers,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, n) for n in range(settings.kafka.partitions)])
        yield consumer
    finally:
        await consumer.stop()


async def log_ends(settings: Settings, topic: str) -> dict[int, int]:
    """Return the offset after the last record of each partition."""
    async with reader(settings, topic) as consumer:
        ends = await consumer.end_offsets(consumer.assignment())
    return {place.partition: end for place, end in ends.items()}


async def records_of(settings: Settings, topic: str) -> list[Any]:
    """Read a topic to its present end."""
    found: list[Any] = []
    async with reader(settings, topic) as consumer:
        total = sum((await consumer.end_offsets(consumer.assignment())).values())
        while len(found) < total:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += records
    return found


async def last_values(settings: Settings, topic: str) -> list[bytes]:
    """Return the last record of each partition."""
    last = {record.partition: record.value for record in await records_of(settings, topic)}
    return [last[number] for number in range(settings.kafka.partitions)]


async def copy_ticks(settings: Settings, source: str, target: str, count: int) -> int:
    """Copy the first ticks (no control events) of a topic; return how many."""
    records = [r for r in await records_of(settings, source) if b'"instrument"' in r.value]
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka.servers)
    await producer.start()
    try:
        for record in sorted(records, key=lambda record: record.timestamp)[:count]:
            place = {"partition": record.partition, "key": record.key}
            await producer.send(f"{settings.namespace}.{target}", record.value, **place)
        await producer.flush()
    finally:
        await producer.stop()
    return min(count, len(records))


async def refill(
    source: Settings,
    target: Settings,
    *,
    ended: bool = True,
    every: int = 0,
    wait: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Copy the trades of one namespace to another, fast, each record to its partition.

    Without ``ended``, all but the ``end``. After ``every`` so many records it waits.
    """
    producer = AIOKafkaProducer(
        bootstrap_servers=target.kafka.servers, compression_type="lz4", max_batch_size=262_144
    )
    name, copied = TRADES.full_name(target.namespace), 0
    async with producer, reader(source, TRADES.full_name(source.namespace)) as consumer:
        left = sum((await consumer.end_offsets(consumer.assignment())).values())
        while left:
            for place, records in (await consumer.getmany(timeout_ms=200)).items():
                left -= len(records)
                copied += len(records)
                kept = [r for r in records if ended or b'"type":"end"' not in r.value]
                await _send_all(producer, name, place.partition, kept)
            if wait and copied >= every:
                await producer.flush()
                await wait()
                copied = 0


async def _send_all(
    producer: AIOKafkaProducer, topic: str, partition: int, records: list[Any]
) -> None:
    batch = producer.create_batch()
    for record in records:
        item = {"key": record.key, "value": record.value, "timestamp": record.timestamp}
        if not batch.append(**item):
            await producer.send_batch(batch, topic, partition=partition)
            batch = producer.create_batch()
            batch.append(**item)
    await producer.send_batch(batch, topic, partition=partition)


@contextmanager
def stored_table(settings: Settings, like: str) -> Iterator[tuple[str, str]]:
    """Make a table like one of the store; give its name and its time column; drop it at the end."""
    from consumers.store.sql import database

    table = f"bench_{like}"
    with database(settings.questdb) as db:
        db.execute(f"DROP TABLE IF EXISTS {table}")
        db.execute(f"CREATE TABLE {table} (LIKE {like})")
        try:
            yield table, TIMES[like]
        finally:
            db.execute(f"DROP TABLE {table}")
