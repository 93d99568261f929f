"""A recording told again as it was: its own seqs and control events, under another name or epoch.

The counterpart of ``producers.recorder`` for what has been recorded before: nothing is added, so
that the same ticks give the same candles, clock by clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

from msgspec import structs

from producers.feed import Observation, Told
from producers.lanes import Lanes
from producers.recorder import Identity, Output, Record
from schemas.codec import encode
from schemas.errors import DataError
from schemas.events import NS_PER_MS, Control, End, Gap, Start, Tick


class Retelling:
    """Tells one session again. Raises ``DataError`` if what it is given has another order."""

    def __init__(self, identity: Identity, lanes: Lanes) -> None:
        self.lanes = lanes
        self.gaps = 0
        self.dropped: Counter[tuple[str, str]] = Counter()
        self.ts_recv = 0
        self.source_time = 0
        self._me = identity
        self._last: Control | None = None
        self._seq = -1

    def record(self, observations: Sequence[Observation]) -> Output:
        """Tell events in the order of their seqs."""
        out = Output()
        for observation in observations:
            self.ts_recv = observation.ts_recv
            event = observation.event if isinstance(observation, Told) else observation
            if not isinstance(event, Tick | Control):
                raise DataError("not an event of a recording", type(event).__name__)
            self._check(event)
            if isinstance(event, Control):
                self._control(event, out.records)
            else:
                out.records.append(self._tick(event))
        return out

    def stop_time(self, ns: int) -> None:
        """Do nothing: time is what was recorded."""

    def end(self, state: Literal["completed", "failed"], reason: str | None = None) -> Output:
        """Close a session whose recording does not tell its end."""
        out = Output()
        if self._seq >= 0 and not isinstance(self._last, End):
            place: dict[str, Any] = {"session": "", "epoch": 0, "seq": self._seq + 1}
            ended = End(**place, source_time=self.source_time, state=state, reason=reason)
            self._control(ended, out.records)
        return out

    def _check(self, event: Tick | Control) -> None:
        if self._seq < 0 and not isinstance(event, Start):
            raise DataError("recording does not begin with its start", f"seq {event.seq}")
        if isinstance(self._last, End):
            raise DataError("recording goes on after its end", f"seq {event.seq}")
        if event.seq <= self._seq:
            raise DataError("recording is not in order", f"seq {event.seq} after {self._seq}")
        self._seq = event.seq

    def _tick(self, tick: Tick) -> Record:
        lane, key = self.lanes.route(tick)
        tick.session, tick.epoch = self._me.session, self._me.epoch
        lane.count += 1
        return lane.topic, lane.partition, key, encode(tick), tick.ts_event // NS_PER_MS

    def _control(self, event: Control, records: list[Record]) -> None:
        me = self._me
        self._last = structs.replace(event, session=me.session, epoch=me.epoch)
        self._seq = event.seq
        self.source_time = max(self.source_time, event.source_time)
        self.gaps += isinstance(event, Gap)
        key, time_ms = me.session.encode(), event.source_time // NS_PER_MS
        for lane in self.lanes:
            self._last.counts = lane.count
            records.append((lane.topic, lane.partition, key, encode(self._last), time_ms))
