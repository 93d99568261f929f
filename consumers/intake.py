"""From records to the events that are to be kept, and reasons for the others. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from consumers.places import Places
from schemas.codec import DECODE_ERRORS, decode
from schemas.errors import DataError
from schemas.events import Candle, Control, Event, Tick
from schemas.order import Fate


class Record(Protocol):
    """A record as it lies on a topic."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


@dataclass(slots=True)
class Taken:
    """Events of one topic, each with the record it came from; and what is not kept, with why."""

    kept: list[tuple[Event, Record]] = field(default_factory=list)
    refused: list[tuple[Record, str]] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)


def take(
    records: Sequence[Record],
    decoder: msgspec.json.Decoder[Any],
    kind: type[Event],
    places: Places,
    taken: Taken,
) -> None:
    """Add the events of ``kind`` among the records of one partition to ``taken``.

    Ticks go by the order of truth. Candles have one ``seq`` for many and come again, equal, after
    a crash of the stream: all of them are kept.
    """
    for record, event in zip(records, _decoded(records, decoder, taken), strict=True):
        if event is None:
            continue
        if isinstance(event, Candle):
            fate = Fate.TAKEN
        else:
            assert isinstance(event, Tick | Control), "decoders know no others"
            fate = places.judge(event)
        if fate is not Fate.TAKEN:
            taken.dropped[fate] += 1
            if fate is Fate.ENDED and isinstance(event, Tick):
                taken.refused.append((record, f"data after the end of session {event.session}"))
        elif isinstance(event, kind):
            taken.kept.append((event, record))
        elif isinstance(event, Tick):
            taken.dropped["misplaced"] += 1
            taken.refused.append((record, f"a {type(event).__name__.lower()} on this topic"))


def _decoded(
    records: Sequence[Record], decoder: msgspec.json.Decoder[Any], taken: Taken
) -> list[Event | None]:
    decode_one = decoder.decode
    try:
        return [decode_one(record.value) for record in records]  # type: ignore[arg-type]
    except DECODE_ERRORS:
        return [_decoded_singly(record, decoder, taken) for record in records]


def _decoded_singly(
    record: Record, decoder: msgspec.json.Decoder[Any], taken: Taken
) -> Event | None:
    try:
        event = decode(decoder, record.value)
    except DataError as error:
        taken.dropped["garbled"] += 1
        taken.refused.append((record, str(error)))
        return None
    if event is None:
        taken.dropped["unknown_type"] += 1
    return event
