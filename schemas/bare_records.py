"""Records of Kafka as they are parsed: ``offset``, ``timestamp``, ``headers``, ``key``, ``value``.

aiokafka dresses each as a ``ConsumerRecord``, which adds the topic and the partition. Who reads
whole fetches knows both, and the dressing costs as much CPU as the candles of a tick.
"""

from __future__ import annotations

from typing import Any


def hand_out_bare(consumer: Any) -> None:
    """Make an ``AIOKafkaConsumer`` that has just been started hand out bare records."""
    fetcher = consumer._fetcher  # noqa: SLF001 - there is no public hook; the version is pinned
    fetch = fetcher._proc_fetch_request  # noqa: SLF001 - the same

    async def fetch_bare(*request: Any) -> Any:
        # Nobody reads between the answer and the loop: nothing here awaits.
        answer = await fetch(*request)
        for fetched in fetcher._records.values():  # noqa: SLF001 - the same
            # An error that waits to be raised has none.
            records = getattr(fetched, "_partition_records", None)
            if records is not None:
                records.__class__ = _bare(type(records))
        return answer

    fetcher._proc_fetch_request = fetch_bare  # noqa: SLF001 - the same


class _BareRecords:
    """Mixed into aiokafka's ``PartitionRecords``; what is not here stays as it is."""

    _records_iterator: Any

    def __iter__(self) -> Any:
        # Its own way costs a call for each record.
        return self._records_iterator

    @staticmethod
    def _consumer_record(_place: Any, record: Any) -> Any:
        return record


_KINDS: dict[Any, Any] = {}


def _bare(kind: Any) -> Any:
    if issubclass(kind, _BareRecords):
        return kind
    if kind not in _KINDS:
        _KINDS[kind] = type("BareRecords", (_BareRecords, kind), {})
    return _KINDS[kind]
