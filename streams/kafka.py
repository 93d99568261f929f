"""The stage's own door to Kafka: outputs, and state saved with its position in a transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, ProducerFenced

from schemas.codec import session_decoder
from schemas.dead_letters import DeadLetter, Headers
from schemas.errors import FencedError, UnavailableError
from schemas.events import SessionRecord
from schemas.settings import Settings

BATCH_BYTES_MAX = 262_144
FETCH_BYTES_MAX = 16 * 1024 * 1024
"""A state is read as a whole."""
Item = tuple[bytes | None, bytes | None]
Ack = asyncio.Future[Any]


class OutputLog:
    """Sends what a batch gave. Idempotent, so that a retry neither doubles nor reorders."""

    def __init__(self, settings: Settings) -> None:
        self._servers = settings.kafka.servers
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._servers,
            enable_idempotence=True,
            compression_type="lz4",
            max_batch_size=BATCH_BYTES_MAX,
        )

    async def start(self) -> None:
        """Connect, or raise ``UnavailableError``."""
        try:
            await self._producer.start()
        except KafkaError as error:
            await self._producer.stop()
            what = f"{self._servers}: {error!r}"
            hint = "start it with: tickerplant up, or set kafka.bootstrap"
            raise UnavailableError("Kafka does not answer", what, hint) from error

    async def stop(self) -> None:
        await self._producer.stop()

    async def send(self, topic: str, partition: int, items: Sequence[Item]) -> list[Ack]:
        """Hand over records in order; the returned futures tell when they are acknowledged."""
        return await _send_in_batches(self._producer, topic, partition, items)

    async def send_letters(self, topic: str, letters: Iterable[DeadLetter]) -> list[Ack]:
        """Hand over dead letters; the topic has one partition."""
        acks: list[Ack] = []
        for letter in letters:
            batch = self._producer.create_batch()
            headers: Headers = letter.headers()
            batch.append(key=letter.key, value=letter.value, timestamp=None, headers=headers)
            acks.append(await self._producer.send_batch(batch, topic, partition=0))
        return acks


class StateLog:
    """The saved state of one input partition, written by one worker at a time.

    Opening it fences whoever held it before: their next save raises ``FencedError``.
    """

    def __init__(self, settings: Settings, topic: str, partition: int) -> None:
        self._servers = settings.kafka.servers
        self._place = TopicPartition(topic, partition)
        self._timeout_s = settings.stream.transaction_timeout_ms / 1000
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._servers,
            transactional_id=f"{settings.stream.app_id}-{topic}-{partition}",
            transaction_timeout_ms=settings.stream.transaction_timeout_ms,
            request_timeout_ms=settings.stream.transaction_timeout_ms,
            max_batch_size=BATCH_BYTES_MAX,
            compression_type="lz4",
        )

    async def open(self) -> dict[bytes, bytes]:
        """Fence the last holder, then return the last committed value of each key."""
        await self._producer.start()
        # The first transaction makes the coordinator finish what the last holder left open.
        async with self._producer.transaction():
            pass
        return await read_compacted(self._servers, self._place)

    async def save(self, items: Sequence[Item]) -> None:
        """Write all of it in one transaction, or raise and write nothing."""
        try:
            async with asyncio.timeout(self._timeout_s), self._producer.transaction():
                topic, partition = self._place
                acks = await _send_in_batches(self._producer, topic, partition, items)
                await asyncio.gather(*acks)
        except ProducerFenced as error:
            raise FencedError("another worker holds this partition", str(self._place)) from error
        except (KafkaError, TimeoutError) as error:
            raise UnavailableError("state not saved", f"{self._place}: {error!r}") from error

    async def close(self) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._producer.stop()
        except (KafkaError, TimeoutError):
            pass  # it is given up all the same; its successor fences it


async def read_compacted(servers: str, place: TopicPartition) -> dict[bytes, bytes]:
    """Read a compacted partition to its end, committed transactions only: last value by key."""
    found: dict[bytes, bytes] = {}
    async with _reader(servers) as consumer:
        consumer.assign([place])
        end = (await consumer.end_offsets([place]))[place]
        await consumer.seek_to_beginning(place)
        while await consumer.position(place) < end:
            for records in (await consumer.getmany(place, timeout_ms=200)).values():
                for record in records:
                    if record.value is None:
                        found.pop(record.key, None)
                    else:
                        found[record.key] = record.value
    return found


async def read_catalogue(servers: str, topic: str) -> list[SessionRecord]:
    """Read the catalogue of sessions."""
    records = await read_compacted(servers, TopicPartition(topic, 0))
    return [session_decoder.decode(value) for value in records.values()]


async def log_bounds(servers: str, topic: str, partition: int) -> tuple[int, int]:
    """Return the first offset of a partition's log and the one after its last."""
    place = TopicPartition(topic, partition)
    async with _reader(servers) as consumer:
        first = await consumer.beginning_offsets([place])
        return first[place], (await consumer.end_offsets([place]))[place]


def _reader(servers: str) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        bootstrap_servers=servers,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=FETCH_BYTES_MAX,
    )


async def _send_in_batches(
    producer: AIOKafkaProducer, topic: str, partition: int, items: Sequence[Item]
) -> list[Ack]:
    acks: list[Ack] = []
    batch = producer.create_batch()
    for key, value in items:
        if batch.append(key=key, value=value, timestamp=None) is None:
            acks.append(await producer.send_batch(batch, topic, partition=partition))
            batch = producer.create_batch()
            batch.append(key=key, value=value, timestamp=None)
    if batch.record_count():
        acks.append(await producer.send_batch(batch, topic, partition=partition))
    return acks
