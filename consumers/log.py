"""The door to Kafka for reading: batches of records, committed only when they are stored.

With each offset goes a note (what the reader has to remember of the partition), in the commit's
metadata: offset and note are read back together, never torn.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
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
            raise self._unavailable(error) from error

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
            raise self._unavailable(error) from error
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
            raise self._unavailable(error) from error
        return True

    async def lags(self) -> dict[Partition, int]:
        """Return the records not yet read, and thereby prove that Kafka answers."""
        places = list(self._consumer.assignment())
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                ends = await self._consumer.end_offsets(places)
                positions = [await self._consumer.position(place) for place in places]
        except (KafkaError, IllegalStateError, TimeoutError) as error:
            raise self._unavailable(error) from error
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
        places = list(self._consumer.assignment())
        admin = AIOKafkaAdminClient(bootstrap_servers=self._servers)
        try:
            await admin.start()
            committed = await admin.list_consumer_group_offsets(self._group, partitions=places)
        finally:
            await admin.close()
        self._assignment_read = assignment
        return {tuple(place): committed[place].metadata or "" for place in places}

    def _unavailable(self, error: Exception) -> UnavailableError:
        return UnavailableError(
            "kafka does not answer",
            f"{self._servers}: {type(error).__name__} {error}".strip(),
            "start it with: tickerplant up, or set kafka.bootstrap",
        )


def _share(partitions: int) -> int:
    least, most = PARTITION_BYTES
    return max(least, min(most, FETCHED_BYTES_MAX // partitions))
