"""The partitions that have what is wanted, and the events on them. Pure."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from consumers.client.wanted import CANDLE_TOPICS, TICKS, Wanted, topic_name
from consumers.log import partition_of
from consumers.origin import Partition, Record
from schemas.codec import DECODE_ERRORS, candle_decoder, explain, input_decoder
from schemas.events import Candle, Event, Tick
from schemas.topics import Topic

log = logging.getLogger(__name__)
_DATA: Final = tuple(
    f'{{"type":"{tag}"'.encode()
    for tag in (
        *(kind.__struct_config__.tag for _, kind in TICKS.values()),
        Candle.__struct_config__.tag,
    )
)
"""How data begins as we write it; whoever writes otherwise is decoded to the end."""


class Sources(Collection[Partition]):
    """Partitions by topic and instrument, those of candles first: they are made of the others."""

    def __init__(self, wanted: Wanted, namespace: str, counts: Mapping[str, int]) -> None:
        self._names = {topic.full_name(namespace): name for name, topic in wanted.topics.items()}
        self._namespace = namespace
        self._counts = counts
        self._keys = {name.encode() for name in wanted.instruments}
        self._of: dict[tuple[str, str], Partition] = {}
        for full_name, name in sorted(self._names.items()):
            for instrument in sorted(wanted.instruments):
                place = full_name, partition_of(instrument.encode(), counts[full_name])
                self._of[name, instrument] = place
        places = dict.fromkeys(self._of.values())
        self.candles = frozenset(p for p in places if self._names[p[0]] in CANDLE_TOPICS)
        self.inputs = frozenset(places) - self.candles
        self._places = sorted(places, key=lambda place: (place in self.inputs, place))

    def __iter__(self) -> Iterator[Partition]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, place: object) -> bool:
        return place in self._places

    def partitions_of(self, topic: Topic) -> list[Partition]:
        """Return all partitions of a topic of the namespace."""
        name = topic.full_name(self._namespace)
        return [(name, number) for number in range(self._counts.get(name, 0))]

    def last(self, seqs: Mapping[tuple[str, str], int]) -> dict[Partition, int]:
        """Return the highest seq of each source, from those by topic and instrument."""
        found: dict[Partition, int] = {}
        for of, seq in seqs.items():
            found[self._of[of]] = max(seq, found.get(self._of[of], -1))
        return found

    def source_of(self, event: Event) -> Partition:
        """Return where an event is from; control events are on all."""
        if isinstance(event, Tick | Candle):
            return self._of[topic_name(event), event.instrument]
        return self._places[0]

    def decoded(self, source: Partition, records: Sequence[Record]) -> Iterator[tuple[int, Event]]:
        """Yield events with their offsets, without most of what is of other instruments."""
        decode = (candle_decoder if source in self.candles else input_decoder).decode
        for record in records:
            value = record.value or b""
            if record.key not in self._keys and value.startswith(_DATA):
                continue
            try:
                event = decode(value)
            except DECODE_ERRORS as error:
                if wrong := explain(record.value, error):
                    place = *source, record.offset
                    log.warning("passed over topic=%s partition=%d offset=%d why=%s", *place, wrong)
                continue
            yield record.offset, event
