"""From records to the events that are to be kept, and reasons for the others. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

from consumers.lot import Decode, Lay, Lot
from consumers.origin import Origin, Partition, Record, Refusal
from consumers.places import Places
from schemas.codec import DECODE_ERRORS, explain
from schemas.dead_letters import RETRIED
from schemas.events import Control, End, Event, Tick
from schemas.order import Fate


class Reading(NamedTuple):
    """How a topic is read: which events are kept, and how records become events."""

    events: tuple[type, ...]
    decode: Decode
    ordered: bool = True
    """By (epoch, seq). Otherwise all are kept: what the stream makes comes again, equal, after a
    crash, and of the catalogue the last word counts."""
    run_max: int = 1_000
    """Events that are decoded and laid out together: as many as a cache holds."""


_PAST: Final = frozenset({Fate.DUPLICATE, Fate.ENDED})
"""Its session has moved on. A row has no order: what was refused then is stored now."""


class Intake:
    """What a batch holds of one topic: events and control events, laid out, and the rest."""

    def __init__(self, reading: Reading, lay: Lay, lay_controls: Lay) -> None:
        self.events = Lot(reading.decode, lay)
        self.controls = Lot(reading.decode, lay_controls)
        """Every copy of every control event."""
        self.refused: list[Refusal] = []
        self.dropped: Counter[str] = Counter()
        self._reading = reading

    def take(self, partition: Partition, records: Sequence[Record], places: Places) -> None:
        """Take the events of the reading and of control from records of a partition, in order."""
        run_max = self._reading.run_max
        for first in range(0, len(records), run_max):
            self._take(partition, records[first : first + run_max], places)

    def _take(self, partition: Partition, records: Sequence[Record], places: Places) -> None:
        events = self._decoded(partition, records)
        begin = 0
        while begin < len(events):
            end = self._run(events, begin, places)
            if end == begin:
                end = begin + 1
                self._judge(events[begin], (partition, records[begin]), places)
            else:
                self.events.gather(events[begin:end], records[begin:end])
            begin = end
        self.events.lay_out(partition)
        self.controls.lay_out(partition)

    def _run(self, events: Sequence[Any], begin: int, places: Places) -> int:
        """Return where the events end that are of one session and follow one another.

        They are nearly all there are, and need no other judgement.
        """
        kind = type(events[begin])
        if kind not in self._reading.events:
            return begin
        if not self._reading.ordered:
            others = (at for at in range(begin, len(events)) if type(events[at]) is not kind)
            return next(others, len(events))
        session = events[begin].session
        order = places.order(session)
        if order.ended:
            return begin
        epoch, seq, end = order.epoch, order.seq, begin
        for event in islice(events, begin, None):
            if type(event) is not kind or event.epoch != epoch or event.session != session:
                break
            if event.seq <= seq:
                break
            seq = event.seq
            end += 1
        order.seq = seq
        return end

    def _judge(self, event: Any, origin: Origin, places: Places) -> None:
        if event is None:
            return
        fate = Fate.TAKEN
        ordered = self._reading.ordered
        if ordered or isinstance(event, Control):
            # Of what is not judged by it the place is remembered too: from there readers go on.
            order = places.order(event.session)
            told = order.judge(event, event.epoch, event.seq)
            if told is Fate.TAKEN:
                order.ended = type(event) is End
            fate = told if ordered else fate
        wanted = type(event) in self._reading.events
        if wanted and (fate is Fate.TAKEN or (fate in _PAST and _retried(origin[1]))):
            self.events.gather([event], [origin[1]])
        elif fate is Fate.TAKEN and isinstance(event, Control):
            self.controls.gather([event], [origin[1]])
        elif fate is not Fate.TAKEN or isinstance(event, Tick):
            self._pass_over(origin, event, fate)

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
        decode = self._reading.decode
        try:
            return [decode(record.value) for record in records]
        except DECODE_ERRORS:
            return [self._decoded_singly((partition, record)) for record in records]

    def _decoded_singly(self, origin: Origin) -> Event | None:
        value = origin[1].value
        try:
            event: Event = self._reading.decode(value)
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
