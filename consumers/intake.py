"""From records to the events that are to be kept, and reasons for the others. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from consumers.places import Places
from schemas.codec import DECODE_ERRORS, explain
from schemas.events import Candle, Control, End, Event, Tick
from schemas.order import Fate, Order


class Record(Protocol):
    """A record as it lies on a topic."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


Decode = Callable[[Any], Event]
"""Turns the value of a record into an event, or raises one of ``DECODE_ERRORS``."""


@dataclass(slots=True)
class Taken:
    """Events of one topic beside the records they came from; and what is not kept, with why."""

    events: list[Event] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    controls: list[Event] = field(default_factory=list)
    """Every copy of every control event, beside the records they came from."""
    control_records: list[Record] = field(default_factory=list)
    refused: list[tuple[Record, str]] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)


def take(
    records: Sequence[Record], decode: Decode, kind: type[Event], places: Places, taken: Taken
) -> None:
    """Add the events of ``kind`` and of control in the records of one partition to ``taken``.

    Ticks go by the order of truth. Candles have one ``seq`` for many and come again, equal, after
    a crash of the stream: all of them are kept.
    """
    keep_event, keep_record = taken.events.append, taken.records.append
    good = fate = Fate.TAKEN
    session, order = "", Order()
    for record, event in zip(records, _decoded(records, decode, taken), strict=True):
        if event is None:
            continue
        if kind is not Candle:
            if event.session != session:
                session = event.session
                order = places.order(session)
            # What `judge` says of nearly every event, without the call.
            if event.epoch == order.epoch and event.seq > order.seq and not order.ended:
                order.seq, fate = event.seq, good
            else:
                fate = order.judge(event, event.epoch, event.seq)
        if fate is good and type(event) is kind:
            keep_event(event)
            keep_record(record)
        elif fate is good and isinstance(event, Control):
            order.ended = type(event) is End
            taken.controls.append(event)
            taken.control_records.append(record)
        elif fate is not good or isinstance(event, Tick):
            _pass_over(record, event, fate, taken)


def _pass_over(record: Record, event: Event, fate: Fate, taken: Taken) -> None:
    """Count an event that is not kept, and refuse it if it should not be here at all."""
    if fate is Fate.TAKEN:
        taken.dropped["misplaced"] += 1
        taken.refused.append((record, f"a {type(event).__name__.lower()} on this topic"))
        return
    taken.dropped[fate] += 1
    if fate is Fate.ENDED and isinstance(event, Tick):
        taken.refused.append((record, f"data after the end of session {event.session}"))


def _decoded(records: Sequence[Record], decode: Decode, taken: Taken) -> list[Event | None]:
    try:
        return [decode(record.value) for record in records]
    except DECODE_ERRORS:
        return [_decoded_singly(record, decode, taken) for record in records]


def _decoded_singly(record: Record, decode: Decode, taken: Taken) -> Event | None:
    try:
        return decode(record.value)
    except DECODE_ERRORS as error:
        wrong = explain(record.value, error)
    if wrong is None:
        taken.dropped["unknown_type"] += 1
    else:
        taken.dropped["garbled"] += 1
        taken.refused.append((record, str(wrong)))
    return None
