"""Kafka as producers see it: records out in order and once, and the catalogue read back.

The only module of ``producers`` with aiokafka. Each partition has one growing batch, which is sent
when the one before it is acknowledged and it is ``linger_ms`` old: the slower Kafka answers, the
larger the batches. aiokafka sends batches of a partition in the order of ``send_batch``, and with
idempotence it repeats one until it is acknowledged, so that nothing is lost, doubled or reordered.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Final, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, ProducerFenced
from aiokafka.partitioner import murmur2

from producers.recorder import Record
from schemas import metrics
from schemas.dead_letters import DeadLetter, Headers
from schemas.errors import FencedError, SettingsError, TickerplantError, UnavailableError
from schemas.events import NS_PER_MS
from schemas.health import Health
from schemas.settings import Settings
from schemas.topics import DEAD_LETTERS, INPUTS

log = logging.getLogger(__name__)

STALL_S: Final = 2.0
"""An acknowledgement that takes longer turns readiness red."""
CLOSE_S_MAX: Final = 5.0
TOPIC_S_MAX: Final = 5.0
"""aiokafka waits for a topic that does not exist as long as for any answer: 40 s."""
LETTER_BYTES_MAX: Final = 2_000_000
"""A longer dead letter is cut: its topic takes no more."""
SEQUENCES: Final = 2**31


class _Lane:
    """One partition: batches that wait, and the task that sends them one after the other."""

    def __init__(self, topic: str, partition: int) -> None:
        self.topic = topic
        self.partition = partition
        self.waiting: deque[tuple[Any, int]] = deque()
        """Batches with their bytes; the last one grows."""
        self.filled = asyncio.Event()
        self.in_flight_bytes = 0
        self.began_at = 0.0
        self.task: asyncio.Task[None] | None = None


class Publisher:
    """Publishes records, bounded in flight. Use as an async context manager."""

    def __init__(self, settings: Settings, health: Health, stage: str = "produce") -> None:
        self.offsets: dict[tuple[str, int], int] = {}
        """The offset of the last record acknowledged, by (topic, partition)."""
        self._settings = settings
        self._health = health
        self._stage = stage
        self._lanes: dict[tuple[str, int], _Lane] = {}
        self._in_flight_bytes = 0
        self._progress = asyncio.Event()
        self._failure: TickerplantError | None = None

    async def __aenter__(self) -> Self:
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._settings.kafka.servers,
            enable_idempotence=True,
            acks="all",
            compression_type="lz4",
            linger_ms=0,
            max_batch_size=self._settings.produce.batch_bytes_max,
        )
        try:
            await self._producer.start()
        except KafkaError as error:
            await self._producer.stop()
            raise _unavailable(self._settings, error) from error
        # A batch is otherwise given up if its partition has no leader just after a long outage.
        self._producer._message_accumulator._batch_ttl = float("inf")  # noqa: SLF001 - no public way
        self._health.good("kafka")
        metrics.UNACKNOWLEDGED.labels(self._stage).set_function(lambda: self._in_flight_bytes)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                await asyncio.wait_for(self.flush(), CLOSE_S_MAX)
        except TimeoutError as slow:
            raise _unavailable(self._settings, slow) from slow
        finally:
            await self._close()

    async def _close(self) -> None:
        tasks = [lane.task for lane in self._lanes.values() if lane.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            await asyncio.wait_for(self._producer.stop(), CLOSE_S_MAX)
        except (TimeoutError, KafkaError) as error:
            log.warning("kafka left without goodbye why=%r", error)
            await self._producer.client.close()

    async def partitions(self) -> int:
        """Return the partition count of the input topics, or raise if they differ."""
        counts = {}
        for topic in INPUTS:
            name = topic.full_name(self._settings.namespace)
            try:
                async with asyncio.timeout(TOPIC_S_MAX):
                    counts[name] = len(await self._producer.partitions_for(name))
            except (KafkaError, TimeoutError) as error:
                hint = "create it: tickerplant provision"
                raise SettingsError("topic does not exist", name, hint) from error
        if len(set(counts.values())) > 1:
            raise SettingsError(
                "input topics differ in partitions",
                ", ".join(f"{name}: {count}" for name, count in counts.items()),
                "create them anew: tickerplant provision",
            )
        return next(iter(counts.values()))

    async def publish(self, records: Iterable[Record], headers: Headers | None = None) -> float:
        """Hand records over, in order; return the seconds for which a full buffer made it wait.

        Each of them gets the ``headers``.
        """
        blocked_s = 0.0
        bytes_max = self._settings.produce.in_flight_bytes_max
        for record in records:
            self._append(record, headers)
            if self._in_flight_bytes > bytes_max:
                began = time.monotonic()
                await self._until(lambda: self._in_flight_bytes <= bytes_max)
                blocked_s += time.monotonic() - began
        if self._failure:
            raise self._failure
        await asyncio.sleep(0)  # a feed that never waits must not starve the sending
        return blocked_s

    async def flush(self, topic: str | None = None) -> None:
        """Return when nothing (of the topic) is in flight any more."""
        lanes = [lane for lane in self._lanes.values() if topic in {None, lane.topic}]
        await self._until(lambda: not any(lane.in_flight_bytes for lane in lanes))

    async def dead_letter(self, letter: DeadLetter) -> None:
        """Publish a dead letter and return when it is acknowledged."""
        await self.dead_letters([letter])

    async def dead_letters(self, letters: Iterable[DeadLetter]) -> None:
        """Publish dead letters and return when they are acknowledged."""
        topic = DEAD_LETTERS.full_name(self._settings.namespace)
        for letter in letters:
            value, headers = letter.value, letter.headers()
            if len(value) > LETTER_BYTES_MAX:
                headers.append(("cut", str(len(value)).encode()))
                value = value[:LETTER_BYTES_MAX]
            self._append((topic, 0, letter.key, value, time.time_ns() // NS_PER_MS), headers)
        await self.flush(topic)

    async def read(self, topic: str) -> list[tuple[bytes | None, bytes | None]]:
        """Return what is on partition 0 of a compacted topic, to its present end."""
        place = TopicPartition(topic, 0)
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._settings.kafka.servers,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        found = []
        try:
            await consumer.start()
            consumer.assign([place])
            end = (await consumer.end_offsets([place]))[place]
            await consumer.seek_to_beginning(place)
            while await consumer.position(place) < end:
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    found += [(record.key, record.value) for record in records]
        except KafkaError as error:
            raise _unavailable(self._settings, error) from error
        finally:
            await consumer.stop()
        return found

    def _append(self, record: Record, headers: Headers | None = None) -> None:
        topic, partition, key, value, time_ms = record
        lane = self._lanes.get((topic, partition)) or self._new_lane(topic, partition)
        size = len(value)
        self._in_flight_bytes += size
        lane.in_flight_bytes += size
        if lane.waiting:
            batch, bytes_before = lane.waiting[-1]
            if batch.append(timestamp=time_ms, key=key, value=value, headers=headers or []):
                lane.waiting[-1] = (batch, bytes_before + size)
                return
        else:
            lane.began_at = time.monotonic()
            lane.filled.set()
        batch = self._producer.create_batch()
        taken = batch.append(timestamp=time_ms, key=key, value=value, headers=headers or [])
        assert taken, "an empty batch takes any record"
        lane.waiting.append((batch, size))

    def _new_lane(self, topic: str, partition: int) -> _Lane:
        lane = self._lanes[topic, partition] = _Lane(topic, partition)
        lane.task = asyncio.get_running_loop().create_task(self._send_all(lane))
        return lane

    async def _send_all(self, lane: _Lane) -> None:
        linger_s = self._settings.produce.linger_ms / 1000
        try:
            while True:
                await lane.filled.wait()
                age_s = time.monotonic() - lane.began_at
                if len(lane.waiting) == 1 and age_s < linger_s:
                    await asyncio.sleep(linger_s - age_s)
                batch, size = lane.waiting.popleft()
                if not lane.waiting:
                    lane.filled.clear()
                lane.began_at = time.monotonic()
                await self._send(lane, batch)
                self._in_flight_bytes -= size
                lane.in_flight_bytes -= size
                self._progress.set()
        except Exception as error:  # noqa: BLE001 - whatever it is, records would be lost silently
            where = f"{lane.topic}-{lane.partition}: {error!r}"
            if isinstance(error, ProducerFenced):
                self._failure = FencedError("publisher was fenced", where)
            else:
                self._failure = UnavailableError("kafka refused records for good", where)
            self._health.bad("kafka", str(self._failure))
            metrics.ERRORS.labels(self._stage, "kafka").inc()
            self._progress.set()

    async def _send(self, lane: _Lane, batch: Any) -> None:
        """Send one batch and wait until it is acknowledged, however long that takes."""
        count = batch.record_count()
        batch.close()
        future = await self._producer.send_batch(batch, lane.topic, partition=lane.partition)
        done, _ = await asyncio.wait({future}, timeout=STALL_S)
        if not done:
            self._health.bad("kafka", "kafka does not acknowledge; waiting")
            metrics.ERRORS.labels(self._stage, "kafka").inc()
        base = (await future).offset
        self._health.good("kafka")
        self._wrap_sequence(lane)
        if base >= 0:
            self.offsets[lane.topic, lane.partition] = base + count - 1
        short_name = lane.topic.removeprefix(f"{self._settings.namespace}.")
        metrics.SENT.labels(self._stage, short_name).inc(count)

    def _wrap_sequence(self, lane: _Lane) -> None:
        """Go on at 0 after 2**31 records, as Kafka does; aiokafka 0.14 would turn negative."""
        sequences = self._producer._txn_manager._sequence_numbers  # noqa: SLF001 - no public way
        place = TopicPartition(lane.topic, lane.partition)
        if sequences[place] < 0:
            sequences[place] += SEQUENCES

    async def _until(self, reached: Callable[[], bool]) -> None:
        while not (reached() or self._failure):
            self._progress.clear()
            await self._progress.wait()
        if self._failure:
            raise self._failure


def partition_of(key: bytes, partitions: int) -> int:
    """Return Kafka's own choice of a partition, as every client computes it."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)


def _unavailable(settings: Settings, error: Exception) -> UnavailableError:
    where = f"{settings.kafka.servers}: {error!r}"
    return UnavailableError("kafka does not answer", where, "start it: tickerplant up")
