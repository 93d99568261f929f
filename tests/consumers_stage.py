"""The store stage as it runs in tests, and what puts events before it."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import TopicPartition

from builders import trade
from consumers.consume import consume
from consumers.store import reader
from consumers.store.sql import database
from schemas.codec import encode
from schemas.health import Health
from schemas.settings import Settings

WAIT_S = 60


class MemoryLetters:
    def __init__(self):
        self.letters = []

    async def dead_letter(self, letter):
        self.letters.append(letter)


async def until(condition, what):
    """Wait for a condition, which may be a coroutine function."""
    deadline = time.monotonic() + WAIT_S
    while True:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return
        assert time.monotonic() < deadline, f"waited {WAIT_S} s for {what}"
        await asyncio.sleep(0.02)


class Stage:
    """A running store stage, and what it left behind."""

    def __init__(self, settings: Settings, letters: MemoryLetters) -> None:
        self.settings = settings
        self.letters = letters
        self.health = Health()
        self._stop = asyncio.Event()
        self.task = asyncio.create_task(consume(settings, letters, self.health, self._stop))

    async def stop(self) -> None:
        self._stop.set()
        await self.task

    async def stored(self, session: str, **expected: int) -> None:
        def counted() -> dict[str, int]:
            with database(self.settings.questdb) as db:
                return reader.counts(db, session)

        async def enough() -> bool:
            assert not self.task.done(), self.task.result()
            counts = await asyncio.to_thread(counted)
            return all(counts[name] >= count for name, count in expected.items())

        await until(enough, f"{expected} rows")
        counts = await asyncio.to_thread(counted)
        assert {name: counts[name] for name in expected} == expected

    async def committed(self, topic: str, end: int, partition: int = 0) -> None:
        """Wait until the group has committed ``end`` of a partition of a topic."""
        place = TopicPartition(f"{self.settings.namespace}.{topic}", partition)
        group = self.settings.store_group

        async def there() -> bool:
            admin = AIOKafkaAdminClient(bootstrap_servers=self.settings.kafka.servers)
            try:
                await admin.start()
                offsets = await admin.list_consumer_group_offsets(group, partitions=[place])
            finally:
                await admin.close()
            return offsets[place].offset == end

        await until(there, f"offset {end} of {topic}")


@asynccontextmanager
async def running(settings, letters=None):
    stage = Stage(settings, letters or MemoryLetters())
    try:
        yield stage
    finally:
        await stage.stop()


@asynccontextmanager
async def sending(settings):
    """Give what puts events (or bytes) on a partition of a topic of the namespace, in order."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka.servers)
    await producer.start()

    async def send(topic, *values, partition=0, key=b"k"):
        for value in values:
            raw = value if value is None or isinstance(value, bytes) else encode(value)
            full_name = f"{settings.namespace}.{topic}"
            await producer.send(full_name, raw, key=key, partition=partition)
        await producer.flush()

    yield send
    await producer.stop()


def trades_of(session, count, first=0, **fields):
    return [
        trade(seq * 0.001, seq=seq, session=session, **fields)
        for seq in range(first, first + count)
    ]
