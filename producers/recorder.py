"""Observations to records: order, time and control events. No I/O and no clock of its own.

The same observations give the same bytes, however they are cut into batches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from msgspec import Struct

from producers.feed import Lost, Note, Observation, Rejected, Restored
from producers.lanes import TOPIC_OF, Lanes
from producers.losses import Loss, Losses
from producers.source_clock import SourceClock, Verdict
from producers.ticks import TickCheck, check_times
from producers.trade_ids import TradeIds
from schemas.codec import encode
from schemas.dead_letters import DeadLetter
from schemas.errors import DataError
from schemas.events import (
    NS_PER_MS,
    CandleRules,
    Clock,
    Control,
    End,
    Gap,
    Start,
    Status,
    Tick,
    Trade,
)
from schemas.sections import Produce
from schemas.topics import TRADES

HELD_MAX: Final = 1_000
"""Observations kept until the source time is known."""
NAMED_MAX: Final = 1_000
"""Instruments that a control event names; more are all."""
OVERHEAD_BYTES_MAX: Final = 512
"""What a batch adds to the value of its only record: headers, key, lengths."""

Record = tuple[str, int, bytes | None, bytes, int]
"""Topic, partition, key, value, time in ms."""
UNUSABLE: Final = (DataError, ValueError, TypeError, OverflowError)
"""What a tick that breaks the contract raises while it is checked and encoded."""


class Identity(Struct, frozen=True, kw_only=True):
    """Whose recording it is, and what its ``start`` says."""

    session: str
    epoch: int
    origin: str
    rules: CandleRules


@dataclass(slots=True)
class Output:
    """What observations gave, in publishing order."""

    records: list[Record] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)


class Recorder:
    """Records one session."""

    def __init__(
        self,
        identity: Identity,
        settings: Produce,
        namespace: str,
        lanes: Lanes,
    ) -> None:
        self.lanes = lanes
        self.gaps = 0
        self.dropped: Counter[tuple[str, str]] = Counter()
        """By topic and reason: ``duplicate`` or ``rejected``."""
        self.ts_recv = 0
        self._me = identity
        self._namespace = namespace
        self._interval_ns = settings.clock_interval_ms * NS_PER_MS
        self._bytes_max = settings.batch_bytes_max - OVERHEAD_BYTES_MAX
        self._check = TickCheck().of
        self._clock = SourceClock(settings.ahead_ms_max * NS_PER_MS)
        self._losses = Losses(settings.disconnect_ms_max * NS_PER_MS)
        self._trade_ids = TradeIds(settings.trade_ids_max)
        self._seq = 0
        self._due_at = 0
        self._opening: list[Observation] | None = []
        self._held: Tick | None = None
        self._out = Output()

    @property
    def source_time(self) -> int:
        """T now; 0 while it is not known."""
        return self._clock.at(self.ts_recv) if self._clock.known else 0

    def record(self, observations: Sequence[Observation]) -> Output:
        """Record observations in receiving order."""
        for observation in observations:
            if self._opening is None:
                self._take(observation)
            else:
                self._open(self._opening, observation)
        out, self._out = self._out, Output()
        return out

    def stop_time(self, ns: int) -> None:
        """Leave out time in which a feed with a wall clock could not receive."""
        if self._clock.known:
            self._clock.stop(ns)

    def end(self, state: Literal["completed", "failed"], reason: str | None = None) -> Output:
        """Close the session: nothing can be recorded after it."""
        if self._opening is not None:
            self._start(self._opening)
        if self._held is not None:
            self._refuse(self._held, DataError("time is ahead of the market's, and not confirmed"))
        for loss in self._losses.end():
            self._gap(loss)
        self._control(End, self.source_time, reason=reason, state=state)
        out, self._out = self._out, Output()
        return out

    def _open(self, opening: list[Observation], observation: Observation) -> None:
        """Hold the first observations back until two ticks agree about the time."""
        opening.append(observation)
        if _timed(observation):
            self._clock.observe(observation.ts_event, observation.ts_recv)  # type: ignore[union-attr]
        if self._clock.known or len(opening) >= HELD_MAX:
            self._start(opening)

    def _start(self, opening: list[Observation]) -> None:
        """Write ``start``, then what was held back. Without agreement the first tick is right."""
        self._opening = None
        clock = self._clock
        times = [(o.ts_event, o.ts_recv) for o in opening if _timed(o)]  # type: ignore[union-attr]
        if not clock.known and opening:
            last = opening[-1].ts_recv
            clock.believe(*(times[0] if times else (last, last)))
        source_time = next((t for t, r in times if clock.agrees(t, r)), clock.newest)
        self._due_at = source_time - source_time % self._interval_ns + self._interval_ns
        self._control(Start, source_time, rules=self._me.rules, origin=self._me.origin)
        for observation in opening:
            self._take(observation)

    def _take(self, observation: Observation) -> None:
        ts_recv = self.ts_recv = observation.ts_recv
        clock = self._clock
        time = clock.at(ts_recv)
        if self._losses.lasting:
            for loss in self._losses.expire(ts_recv):
                self._gap(loss)
        if time >= self._due_at and not self._losses.time_stands_still:
            self._tick_clock(time)
        if not isinstance(observation, Tick):
            self._other(observation)
            return
        try:
            check_times(observation)
            self._check[type(observation)](observation)
        except UNUSABLE as error:
            self._refuse(observation, error)
            return
        ts_event = observation.ts_event
        if not ts_event:
            observation.ts_event = time
            self._publish(observation)
        elif self._held is None and clock.accepts(ts_event, ts_recv, time):
            self._publish(observation)
        else:
            self._judge(observation)

    def _tick_clock(self, time: int) -> None:
        """Write one clock for all multiples of the interval that have passed."""
        source_time = time - time % self._interval_ns
        self._due_at = source_time + self._interval_ns
        self._control(Clock, source_time)

    def _judge(self, tick: Tick) -> None:
        """Hold a tick that is far ahead; decide about the one held before it."""
        verdict = self._clock.observe(tick.ts_event, tick.ts_recv)
        held, self._held = self._held, None
        if held is not None:
            if verdict is Verdict.CONFIRMED:
                self._publish(held)
            else:
                wrong = DataError("time is ahead of the market's", f"ts_event {held.ts_event}")
                self._refuse(held, wrong)
        if verdict is Verdict.HELD:
            self._held = tick
        else:
            self._publish(tick)

    def _publish(self, tick: Tick) -> None:
        try:
            lane, key = self.lanes.route(tick)
            if type(tick) is Trade and self._trade_ids.seen(tick.instrument, tick.trade_id):
                self.dropped[TRADES.name, "duplicate"] += 1
                return
            tick.session, tick.epoch, tick.seq = self._me.session, self._me.epoch, self._seq
            value = encode(tick)
            if len(value) > self._bytes_max:
                raise DataError("record is too big", f"{len(value)} bytes")
        except UNUSABLE as error:
            self._refuse(tick, error)
            return
        self._seq += 1
        lane.count += 1
        record = (lane.topic, lane.partition, key, value, tick.ts_event // NS_PER_MS)
        self._out.records.append(record)

    def _other(self, observation: Observation) -> None:
        if isinstance(observation, Lost):
            since = observation.ts_from
            self._losses.begin(
                Loss(
                    _named(observation.instruments),
                    observation.reason,
                    self._clock.newest if since is None else since,
                    observation.ts_recv,
                    observation.topics,
                )
            )
        elif isinstance(observation, Restored):
            for loss in self._losses.end(_named(observation.instruments), observation.topics):
                ts_to = observation.ts_to or self.source_time + observation.margin_ns
                for missing in loss.without_trades_of(observation.filled):
                    self._gap(missing, ts_to)
        elif isinstance(observation, Note):
            names = _named(observation.instruments)
            time = self.source_time
            self._control(Status, time, reason=observation.reason, instruments=names)
        elif isinstance(observation, Rejected):
            self._reject(observation.value, observation.topic, observation.reason)

    def _gap(self, loss: Loss, ts_to: int | None = None) -> None:
        """Publish what is known of a loss; if it lasts, the next gap begins where this ends."""
        time, ts_from = self.source_time, loss.ts_from
        loss.ts_from = max(time if ts_to is None else ts_to, ts_from + 1)
        self.gaps += 1
        what: dict[str, Any] = {"instruments": loss.instruments, "topics": loss.topics}
        span: dict[str, Any] = {"ts_from": ts_from, "ts_to": loss.ts_from}
        self._control(Gap, time, reason=loss.reason, **what, **span)

    def _control(self, kind: type[Control], source_time: int, **fields: Any) -> None:
        """Write a copy into every partition of every input topic: one seq, own counts."""
        seq, self._seq = self._seq, self._seq + 1
        me = self._me
        event = kind(session=me.session, epoch=me.epoch, seq=seq, source_time=source_time, **fields)
        key, time_ms = me.session.encode(), source_time // NS_PER_MS
        for lane in self.lanes:
            event.counts = lane.count
            record = (lane.topic, lane.partition, key, encode(event), time_ms)
            self._out.records.append(record)

    def _refuse(self, tick: Tick, error: Exception) -> None:
        try:
            value = encode(tick)
        except UNUSABLE:
            value = repr(tick).encode(errors="backslashreplace")
        reason = str(error) if isinstance(error, DataError) else f"not a tick: {error}"
        self._reject(value, TOPIC_OF[type(tick)], reason)

    def _reject(self, value: bytes, topic: str, reason: str) -> None:
        self.dropped[topic, "rejected"] += 1
        full_name = f"{self._namespace}.{topic}"
        self._out.letters.append(DeadLetter(value, full_name, -1, -1, reason, "producers"))


def _named(instruments: tuple[str, ...]) -> tuple[str, ...]:
    return instruments if len(instruments) <= NAMED_MAX else ()


def _timed(observation: Observation) -> bool:
    """Tell whether an observation is a tick that says when it happened."""
    if not isinstance(observation, Tick) or not observation.ts_event:
        return False
    try:
        check_times(observation)
    except UNUSABLE:
        return False
    return True
