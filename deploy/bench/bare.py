"""The limits: what the clients of Kafka and QuestDB cost when nothing is done beside."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from aiokafka import AIOKafkaProducer

from deploy.bench.meter import Meter
from deploy.bench.scratch import ECHO, PUBLISHED, reader, records_of, stored_table
from deploy.bench.workload import Workload
from schemas.codec import input_decoder
from schemas.settings import Settings


async def read(settings: Settings, work: Workload, meter: Meter) -> None:
    """``getmany`` and ``orjson.loads`` over the topic."""
    done = 0
    async with reader(settings, work.topic(settings)) as consumer:
        meter.mark(0)
        while done < work.count:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    orjson.loads(record.value)
                done += len(records)
                meter.mark(done)


async def echo(settings: Settings, work: Workload, meter: Meter) -> None:
    """Send each clock on as soon as it is read, until the session has ended."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka.servers, enable_idempotence=True)
    target, done, running = f"{settings.namespace}.{ECHO}", 0, settings.kafka.partitions
    async with producer, reader(settings, work.topic(settings)) as consumer:
        meter.mark(0)
        while running:
            for place, records in (await consumer.getmany(timeout_ms=200)).items():
                for record in records:
                    if b'"type":"clock"' in record.value:
                        await producer.send(target, record.value, partition=place.partition)
                    running -= b'"type":"end"' in record.value
                done += len(records)
                meter.mark(done)


async def publish(settings: Settings, work: Workload, meter: Meter) -> None:
    """Send ready bytes with ``create_batch`` and ``send_batch``, configured as our publisher."""
    lanes: dict[int, list[Any]] = {}
    for record in await records_of(settings, work.topic(settings)):
        lanes.setdefault(record.partition, []).append(record)
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka.servers,
        enable_idempotence=True,
        acks="all",
        compression_type="lz4",
        max_batch_size=settings.produce.batch_bytes_max,
    )
    topic, done = f"{settings.namespace}.{PUBLISHED}", 0
    await producer.start()
    meter.mark(0)

    async def send(partition: int, records: list[Any]) -> None:
        nonlocal done
        batch = producer.create_batch()
        for record in records:
            if not batch.append(key=record.key, value=record.value, timestamp=record.timestamp):
                await (await producer.send_batch(batch, topic, partition=partition))
                done += batch.record_count()
                meter.mark(done)
                batch = producer.create_batch()
                batch.append(key=record.key, value=record.value, timestamp=record.timestamp)
        await (await producer.send_batch(batch, topic, partition=partition))
        done += batch.record_count()
        meter.mark(done)

    await asyncio.gather(*(send(*lane) for lane in lanes.items()))
    await producer.stop()


async def store(settings: Settings, work: Workload, meter: Meter) -> None:
    """``Sender.dataframe`` of frames that are ready, into a table like the one of the stage."""
    from questdb import Protocol, Sender

    kind, rows = work.kind, settings.consume.batch_rows_max
    values = [record.value for record in await records_of(settings, work.topic(settings))]
    events = [e for e in map(input_decoder.decode, values) if isinstance(e, kind.events)]
    frames = [kind.frame(events[first : first + rows]) for first in range(0, len(events), rows)]
    del values, events
    db, done = settings.questdb, 0
    with (
        stored_table(settings, kind.table) as (table, time_column),
        Sender(
            Protocol.Http,
            db.host,
            db.http_port,
            username=db.user,
            password=db.password.get_secret_value(),
            auto_flush=False,
        ) as sender,
    ):
        meter.mark(0)
        for frame in frames:
            sender.dataframe(frame, table_name=table, at=time_column)
            sender.flush()
            done += len(frame)
            meter.mark(done)
