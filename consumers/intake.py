"""From records to the events that are to be kept, and reasons for the others. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, Final, Protocol

from consumers.places import Places
from schemas.codec import DECODE_ERRORS, explain
from schemas.dead_letters import RETRIED
from schemas.events import Control, End, Event, Tick
from schemas.order import Fate, Order


class Record(Protocol):
    """A record as it lies in a partition."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


Partition = tuple[str, int]
"""Topic and number."""
Origin = tuple[Partition, Record]
Decode = Callable[[Any], Any]
"""Turns the value of a record into an event, or raises one of ``DECODE_ERRORS``."""


_PAST: Final = frozenset({Fate.DUPLICATE, Fate.ENDED})
"""Its session has moved on. A row has no order: what was refused then is stored now."""


@dataclass(slots=True)
class Intake:
    """What a batch holds of one topic: events, beside them where they came from; and the rest."""

    kinds: tuple[type, ...]
    decode: Decode
    ordered: bool = True
    """By (epoch, seq). Otherwise all are kept: what the stream makes comes again, equal, after a
    crash, and of the catalogue the last word counts."""
    events: list[Event] = field(default_factory=list)
    origins: list[Origin] = field(default_factory=list)
    controls: list[Event] = field(default_factory=list)
    """Every copy of every control event."""
    control_origins: list[Origin] = field(default_factory=list)
    refused: list[tuple[Origin, str]] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)

    def take(self, partition: Partition, records: Sequence[Record], places: Places) -> None:
        """Take the events of ``kinds`` and of control from records of a partition, in order."""
        kept: list[Record] = []
        keep_event, keep_record, kinds = self.events.append, kept.append, self.kinds
        ordered = self.ordered
        good = fate = Fate.TAKEN
        session, order = "", Order()
        for record, event in zip(records, self._decoded(partition, records), strict=True):
            if event is None:
                continue
            if ordered:
                if event.session != session:
                    session = event.session
                    order = places.order(session)
                # What `judge` says of nearly every event, without the call.
                if event.epoch == order.epoch and event.seq > order.seq and not order.ended:
                    order.seq, fate = event.seq, good
                else:
                    fate = order.judge(event, event.epoch, event.seq)
            if fate is good and type(event) in kinds:
                keep_event(event)
                keep_record(record)
            elif fate is good and isinstance(event, Control):
                order.ended = type(event) is End
                self.controls.append(event)
                self.control_origins.append((partition, record))
            elif fate in _PAST and type(event) in kinds and _retried(record):
                keep_event(event)
                keep_record(record)
            elif fate is not good or isinstance(event, Tick):
                self._pass_over((partition, record), event, fate)
        self.origins += zip(repeat(partition), kept, strict=False)

    def _pass_over(self, origin: Origin, event: Event, fate: Fate) -> None:
        """Count an event that is not kept, and refuse it if it should not be here at all."""
        if fate is Fate.TAKEN:
            self.dropped["misplaced"] += 1
            self.refused.append((origin, f"a {type(event).__name__.lower()} on this topic"))
            return
        self.dropped[fate] += 1
        if fate is Fate.ENDED and isinstance(event, Tick):
            self.refused.append((origin, f"data after the end of session {event.session}"))

    def _decoded(self, partition: Partition, records: Sequence[Record]) -> list[Event | None]:
        decode = self.decode
        try:
            return [decode(record.value) for record in records]
        except DECODE_ERRORS:
            return [self._decoded_singly((partition, record)) for record in records]

    def _decoded_singly(self, origin: Origin) -> Event | None:
        value = origin[1].value
        try:
            event: Event = self.decode(value)
        except DECODE_ERRORS as error:
            wrong = explain(value, error)
        else:
            return event
        if wrong is None:
            self.dropped["unknown_type"] += 1
        else:
            self.dropped["garbled"] += 1
            self.refused.append((origin, str(wrong)))
        return None


def _retried(record: Record) -> bool:
    return any(name == RETRIED for name, _ in record.headers)
