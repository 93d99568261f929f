"""Records of Kafka as they are parsed: ``offset``, ``timestamp``, ``headers``, ``key``, ``value``.

aiokafka dresses each as a ``ConsumerRecord``, which adds the topic and the partition, and hands
them on one by one. Who reads whole fetches knows both, and the dressing costs as much CPU as the
candles of a tick. Here records come a batch of the producer at a time, as its parser gives them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any


def hand_out_bare(consumer: Any) -> None:
    """Make an ``AIOKafkaConsumer`` that has just been started hand out bare records.

    Of its ways to read only ``getmany`` works from then on.
    """
    fetcher = consumer._fetcher  # noqa: SLF001 - there is no public hook; the version is pinned
    fetch = fetcher._proc_fetch_request  # noqa: SLF001 - the same

    async def fetch_bare(*request: Any) -> Any:
        # Nobody reads between the answer and the loop: nothing here awaits.
        answer = await fetch(*request)
        for result in fetcher._records.values():  # noqa: SLF001 - the same
            # An error that waits to be raised has none.
            records = getattr(result, "_partition_records", None)
            if records is not None and not isinstance(records, _BareRecords):
                records.__class__ = _bare(type(records))
                records.by_batch()
                result.getall = partial(_getall, result)
        return answer

    fetcher._proc_fetch_request = fetch_bare  # noqa: SLF001 - the same


def _getall(result: Any, max_records: int | None = None) -> list[Any]:
    """Do what a ``FetchResult`` does, without asking for each record."""
    if not result.check_assignment(result._topic_partition) or not result.has_more():  # noqa: SLF001 - as above
        return []
    records = result._partition_records  # noqa: SLF001 - as above
    taken: list[Any] = records.take(max_records)
    result._update_position()  # noqa: SLF001 - as above
    if records.over:
        result._partition_records = None  # noqa: SLF001 - as above
        del result.getall  # it holds the result, which holds it
    return taken


class _BareRecords:
    """Mixed into its ``PartitionRecords``, which decides what of a batch is to be told."""

    next_fetch_offset: int
    over: bool
    _left: list[Any]
    _records: Any
    _records_iterator: Iterator[list[Any]]

    def by_batch(self) -> None:
        """Read batches as if each were one record; nothing has been read before."""
        self.over, self._left = False, []
        self._records = _Batches(self._records)

    def take(self, records_max: int | None) -> list[Any]:
        """Return the next records, and let the position be behind the last of them."""
        taken = self._left
        while records_max is None or len(taken) < records_max:
            batch = next(self._records_iterator, None)
            if batch is None:
                self.over, self._left = True, []
                return taken
            taken += batch
        self._left = taken[records_max:]
        del taken[records_max:]
        self.next_fetch_offset = taken[-1].offset + 1
        return taken

    def _consumer_record(self, _place: Any, batch: _AsOne) -> list[Any]:
        # A batch is fetched whole though only a part of it was asked for.
        records = batch.records
        if records[0].offset < self.next_fetch_offset:
            return [record for record in records if record.offset >= self.next_fetch_offset]
        return records


class _AsOne:
    """The records of a batch where one record is expected."""

    __slots__ = ("offset", "records")

    def __init__(self, records: list[Any]) -> None:
        self.records = records
        self.offset = records[-1].offset


class _Batches:
    def __init__(self, records: Any) -> None:
        self.has_next = records.has_next
        self._next_batch = records.next_batch

    def next_batch(self) -> _Batch:
        return _Batch(self._next_batch())


class _Batch:
    """A batch that iterates over all its records at once; else as it was."""

    def __init__(self, batch: Any) -> None:
        self._batch = batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[_AsOne]:
        records = list(self._batch)
        if records:
            yield _AsOne(records)


_KINDS: dict[Any, Any] = {}


def _bare(kind: Any) -> Any:
    if kind not in _KINDS:
        _KINDS[kind] = type("BareRecords", (_BareRecords, kind), {})
    return _KINDS[kind]
