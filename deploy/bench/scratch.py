"""What the cases need of Kafka and QuestDB beside what they measure."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewTopic

from consumers.store.sql import database
from deploy import kafka_admin
from schemas.settings import Settings
from schemas.tables import TIMES

PUBLISHED: Final = "bench.published"
STOCK: Final = "bench.stock"
STOCK_CANDLES: Final = "bench.stock-candles"
SCRATCH: Final = (PUBLISHED, STOCK, STOCK_CANDLES)


@asynccontextmanager
async def scratch_namespace(settings: Settings, name: str) -> AsyncIterator[Settings]:
    """Make a namespace with its topics and those of the baselines; delete all at the end."""
    own = settings.model_copy(update={"namespace": name})
    topics = [f"{name}.{topic}" for topic in SCRATCH]
    await kafka_admin.provision(own)
    try:
        async with kafka_admin.admin(own) as client:
            partitions = own.kafka.partitions
            await client.create_topics([NewTopic(topic, partitions, 1) for topic in topics])
        yield own
    finally:
        async with kafka_admin.admin(own) as client:
            # Faust makes topics of its own.
            await client.delete_topics(
                [topic for topic in await client.list_topics() if topic.startswith(f"{name}.")]
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


@contextmanager
def stored_table(settings: Settings, like: str) -> Iterator[tuple[str, str]]:
    """Make a table like one of the store; give its name and its time column; drop it at the end."""
    table = f"bench_{like}"
    with database(settings.questdb) as db:
        db.execute(f"DROP TABLE IF EXISTS {table}")
        db.execute(f"CREATE TABLE {table} (LIKE {like})")
        try:
            yield table, TIMES[like]
        finally:
            db.execute(f"DROP TABLE {table}")
