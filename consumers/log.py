"""The door to Kafka for reading: batches of records, committed only when they are stored.

With each offset goes a note (what the reader has to remember of the partition), in the commit's
metadata: offset and note are read back together, never torn. ``Log`` is a member of its group,
``Tail`` reads what it is told to.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Self

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    CommitFailedError,
    GroupCoordinatorNotAvailableError,
    IllegalStateError,
    KafkaError,
)
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.structs import OffsetAndMetadata

from consumers.origin import Partition, Record
from schemas.bare_records import hand_out_bare
from schemas.errors import UnavailableError
from schemas.settings import Settings

# The database may be away for longer than any poll interval, and heartbeats go on meanwhile: every
# request here has a timeout of its own, so that a consumer that lives is never one that hangs.
POLL_INTERVAL_MS_MAX = 2**31 - 1
REBALANCE_TIMEOUT_MS = 30_000
METADATA_AGE_MS_MAX = 10_000
FETCHED_BYTES_MAX = 64 * 1024 * 1024
"""Of all partitions, fetched and not yet read; each has its share."""
PARTITION_BYTES = (65_536, 1_048_576)
"""The smallest share and the largest."""
PROBE_TIMEOUT_S = 5.0
COORDINATOR_POLL_S = 0.1

Position = tuple[int, str]
"""The offset to go on from, and the note that belongs to it."""


@dataclass(slots=True)
class Batch:
    """Records by partition, in order; ``notes`` of all partitions if they are newly assigned."""

    records: dict[Partition, list[Record]]
    rows: int = 0
    notes: dict[Partition, str] | None = None


class Log(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka ships no types
    """Reads the topics as a member of the group, from ``join`` to the end of its context."""

    def __init__(self, settings: Settings, topics: Iterable[str]) -> None:
        consume = settings.consume
        self._servers = settings.kafka.servers
        self._group = settings.store_group
        self._rows_max = consume.batch_rows_max
        self._poll_s = consume.poll_ms / 1000
        self._topics = list(topics)
        self._assignments = 0
        self._assignment_read = 0
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self._servers,
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_bytes=consume.fetch_bytes_max,
            max_partition_fetch_bytes=_share(len(self._topics) * settings.kafka.partitions),
            max_poll_interval_ms=POLL_INTERVAL_MS_MAX,
            rebalance_timeout_ms=REBALANCE_TIMEOUT_MS,
            metadata_max_age_ms=METADATA_AGE_MS_MAX,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def join(self) -> None:
        """Join the group; raise ``UnavailableError`` if Kafka does not answer."""
        self._consumer.subscribe(self._topics, listener=self)
        try:
            await self._consumer.start()
            hand_out_bare(self._consumer)
        except KafkaError as error:
            raise _unavailable(self._servers, error) from error

    async def read(self) -> Batch:
        """Gather records until there are ``batch_rows_max`` or ``poll_ms`` have passed.

        Raises ``UnavailableError``.
        """
        batch = Batch({})
        deadline = time.monotonic() + self._poll_s
        try:
            while (room := self._rows_max - batch.rows) > 0:
                left_ms = int((deadline - time.monotonic()) * 1000)
                if left_ms <= 0:
                    break
                fetched = await self._consumer.getmany(timeout_ms=left_ms, max_records=room)
                if self._assignment_read != self._assignments:
                    # What was gathered before is read again, from where the group left off.
                    batch = Batch({}, notes=await self._notes())
                for place, records in fetched.items():
                    batch.records.setdefault(tuple(place), []).extend(records)
                    batch.rows += len(records)
        except KafkaError as error:
            raise _unavailable(self._servers, error) from error
        return batch

    async def commit(self, positions: dict[Partition, Position]) -> bool:
        """Commit what was read last; False if there was a new assignment: it will be read again.

        Waits while Kafka is away. Raises ``UnavailableError``.
        """
        if self._assignment_read != self._assignments:
            return False
        offsets = {
            TopicPartition(*place): OffsetAndMetadata(offset, note)
            for place, (offset, note) in positions.items()
        }
        try:
            await self._consumer.commit(offsets)
        except (CommitFailedError, IllegalStateError):
            return False
        except KafkaError as error:
            raise _unavailable(self._servers, error) from error
        return True

    async def lags(self) -> dict[Partition, int]:
        """Return the records not yet read, and thereby prove that Kafka answers."""
        places = list(self._consumer.assignment())
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                ends = await self._consumer.end_offsets(places)
                positions = [await self._consumer.position(place) for place in places]
        except (KafkaError, IllegalStateError, TimeoutError) as error:
            raise _unavailable(self._servers, error) from error
        return {
            (place.topic, place.partition): max(0, ends[place] - position)
            for place, position in zip(places, positions, strict=True)
        }

    def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Do nothing: what is not committed is read again, by whoever comes next."""

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:  # noqa: ARG002 - as inherited
        """Make ``read`` begin anew."""
        self._assignments += 1

    async def _notes(self) -> dict[Partition, str]:
        assignment = self._assignments
        places = map(tuple, self._consumer.assignment())
        committed = await _committed(self._servers, self._group, places)
        self._assignment_read = assignment
        return {place: note for place, (_, note) in committed.items()}


class Tail:
    """Reads partitions that are named, each from an offset on; a group only remembers places.

    There is one reader of a group at a time: what its partitions say is put in order together.
    """

    def __init__(self, settings: Settings, group: str | None = None) -> None:
        self._servers = settings.kafka.servers
        self._rows_max = settings.consume.batch_rows_max
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self._servers,
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_bytes=settings.consume.fetch_bytes_max,
            metadata_max_age_ms=METADATA_AGE_MS_MAX,
        )

    async def __aenter__(self) -> Self:
        try:
            await self._consumer.start()
            hand_out_bare(self._consumer)
        except KafkaError as error:
            await self._consumer.stop()
            raise _unavailable(self._servers, error) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def topics(self) -> dict[str, int]:
        """Return the topics that there are, with their partition counts."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self._servers)
        with self._explained():
            try:
                await admin.start()
                found = await admin.describe_topics()
            finally:
                await admin.close()
        return {topic["topic"]: len(topic["partitions"]) for topic in found}

    async def committed(
        self, group: str, partitions: Iterable[Partition]
    ) -> dict[Partition, Position]:
        """Return what a group has committed of each partition; an offset of -1: nothing."""
        with self._explained():
            return await _committed(self._servers, group, partitions)

    async def begin(self, offsets: dict[Partition, int], *, at_end: bool) -> dict[Partition, int]:
        """Read each partition from its offset; if that is -1 from its end or its beginning.

        Return the offsets.
        """
        places = {TopicPartition(*place): offset for place, offset in offsets.items()}
        bounds = self._consumer.end_offsets if at_end else self._consumer.beginning_offsets
        with self._explained():
            for place, offset in places.items():
                # One after the other: what is made of a topic is asked for before that topic.
                places[place] = offset if offset >= 0 else (await bounds([place]))[place]
        self._consumer.assign(list(places))
        for place, offset in places.items():
            self._consumer.seek(place, offset)
        return {tuple(place): offset for place, offset in places.items()}

    async def read(
        self, partitions: Iterable[Partition], wait_ms: int
    ) -> dict[Partition, list[Record]]:
        """Return what has come of these partitions, after a while nothing."""
        places = [TopicPartition(*place) for place in partitions]
        with self._explained():
            fetched = await self._consumer.getmany(
                *places, timeout_ms=wait_ms, max_records=self._rows_max
            )
        return {tuple(place): records for place, records in fetched.items()}

    async def commit(self, positions: dict[Partition, Position]) -> None:
        """Let the group remember; raise ``UnavailableError``."""
        offsets = {
            TopicPartition(*place): OffsetAndMetadata(offset, note)
            for place, (offset, note) in positions.items()
        }
        with self._explained():
            await self._consumer.commit(offsets)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except KafkaError as error:
            raise _unavailable(self._servers, error) from error


async def _committed(
    servers: str, group: str, partitions: Iterable[Partition]
) -> dict[Partition, Position]:
    """Return offsets (-1: none) and notes, together as they were committed."""
    places = [TopicPartition(*place) for place in partitions]
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    deadline = time.monotonic() + PROBE_TIMEOUT_S
    try:
        await admin.start()
        found: dict[TopicPartition, OffsetAndMetadata] = {}
        while len(found) < len(places):
            # The first time that it is asked for offsets, Kafka makes a topic for them.
            with suppress(GroupCoordinatorNotAvailableError):
                found = await admin.list_consumer_group_offsets(group, partitions=places)
            if len(found) < len(places):
                if time.monotonic() > deadline:
                    raise GroupCoordinatorNotAvailableError(group)
                await asyncio.sleep(COORDINATOR_POLL_S)
    finally:
        await admin.close()
    return {tuple(place): (found[place].offset, found[place].metadata or "") for place in places}


def _unavailable(servers: str, error: Exception) -> UnavailableError:
    return UnavailableError(
        "kafka does not answer",
        f"{servers}: {type(error).__name__} {error}".strip(),
        "start it with: tickerplant up, or set kafka.bootstrap",
    )


def partition_of(key: bytes, partitions: int) -> int:
    """Return Kafka's own choice of a partition, as every client computes it."""
    everyone = list(range(partitions))
    return int(DefaultPartitioner()(key, everyone, everyone))


def _share(partitions: int) -> int:
    least, most = PARTITION_BYTES
    return max(least, min(most, FETCHED_BYTES_MAX // partitions))
