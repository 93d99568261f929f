"""The candle engine of one input partition: events in, candles and control events out.

No I/O and no clock: time is what the control events say. The same records give the same bytes,
however they are cut into batches, whatever else is in the partition, wherever it was restarted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from schemas.calendars import check_calendar
from schemas.codec import DECODE_ERRORS, explain, input_decoder
from schemas.dead_letters import DeadLetter
from schemas.errors import DataError, TickerplantError
from schemas.events import (
    NS_PER_S,
    Clock,
    Control,
    End,
    Gap,
    InputEvent,
    Quote,
    SessionRecord,
    Start,
    Tick,
    Trade,
)
from schemas.intervals import check_intervals, check_windows
from schemas.order import Fate, Order
from schemas.scaled import Scaler
from schemas.topics import QUOTES, TRADES
from streams.candles import gap as gaps
from streams.candles import session as sessions
from streams.candles.outputs import Outputs
from streams.candles.quotes import prices_of
from streams.candles.series import series_name
from streams.candles.session import Session, StateKey

PROGRESS_RECORDS = 1_000
"""Progress is told at the clocks among the last records of a batch, so many."""


class Record(Protocol):
    """A record as Kafka clients give it."""

    offset: int
    key: bytes | None
    value: bytes | None


class Engine:
    """Folds the records of one partition into the candles of every session in it."""

    def __init__(
        self,
        kind: type[Trade | Quote] = Trade,
        *,
        topic: str = "",
        partition: int = 0,
        ended_sessions_max: int = 1000,
        progress_ms: int | None = None,
    ) -> None:
        self.sessions: dict[str, Session] = {}
        """All sessions known here, those that ended included (they keep order and ledger only)."""
        self.void: list[StateKey] = []
        """Keys of the saved state that are to be deleted."""
        self._kind = kind
        self._place = topic, partition
        self._ended_max = ended_sessions_max
        self._progress_ms = progress_ms
        self._scaled = Scaler()
        self._progress_from = 0
        """The offset from which on progress is told in this batch."""

    def fold(self, records: Sequence[Record]) -> Outputs:
        """Fold a batch in order. Never raises for what a record holds."""
        out = Outputs()
        decode, find, scaled = input_decoder.decode, self.sessions.get, self._scaled
        trades_come, folded = self._kind is Trade, 0
        # Who is behind tells how things stand at the end of a batch: what was between is over.
        self._progress_from = records[-1].offset - PROGRESS_RECORDS if records else 0
        for record in records:
            try:
                event = decode(record.value)  # type: ignore[arg-type]
            except DECODE_ERRORS as error:
                self._refuse(out, record, explain(record.value, error))
                continue
            session = find(event.session)
            if type(event) is not Trade or not trades_come or session is None:
                self._other(out, record, session, event)
                continue
            order = session.order
            if event.epoch == order.epoch and event.seq > order.seq and not order.ended:
                order.seq = event.seq
            elif not self._taken(out, record, session, event):
                continue
            try:
                price, size = scaled[event.price], scaled[event.size]
                series = session.series.get(event.instrument) or session.add_series(
                    event.instrument, "trade"
                )
            except DataError as error:
                self._refuse_tick(out, record, session, error)
                continue
            ts = event.ts_event
            second: int | None = ts // NS_PER_S
            if not series.calendar.always_open:
                ts, second = series.calendar.place(ts)
            if second is None or ts < session.late_before:
                out.not_folded(session, series, event, None if second is None else ts)
                continue
            trades = series.pending.get(second)
            if trades is None:
                trades = session.begin_second(series, second, ts, price)
            trades.add(ts, price, size, event.side == "buy")
            session.ledger.folded += 1
            folded += 1
        out.tally["folded", ""] += folded
        return out

    def lose(self, catalogue: Iterable[SessionRecord]) -> None:
        """Go on after records that left the log unread: a gap in every session that is alive.

        A session whose start was among them goes on with the rules that the catalogue holds.
        """
        for entry in catalogue:
            if entry.state == "active" and entry.session not in self.sessions:
                order = Order(entry.epoch)
                began = entry.source_time
                self.sessions[entry.session] = Session(entry.session, order, entry.rules, began)
        for session in self.sessions.values():
            if session.hole_from is None and not session.order.ended:
                session.hole_from = session.time

    def _other(
        self, out: Outputs, record: Record, session: Session | None, event: InputEvent
    ) -> None:
        """Take a control event or a quote, or refuse data that does not belong here."""
        if not isinstance(event, Control | self._kind):
            self._refuse(out, record, DataError(f"not a {_tag(self._kind)} but a {_tag(event)}"))
            return
        if isinstance(event, Start) and (wrong := _unknown_rules(event)):
            self._refuse(out, record, wrong)
            return
        if session is None:
            if not isinstance(event, Start | End):
                what = "tick" if isinstance(event, Tick) else "control event"
                self._refuse(out, record, DataError(f"{what} of a session without start"))
                return
            session = self._open(event, Order())
        if not self._taken(out, record, session, event):
            return
        if isinstance(event, Quote):
            self._fold_quote(out, record, session, event)
            return
        assert isinstance(event, Control), "trades are folded where they are decoded"
        if isinstance(event, Clock | End):
            out.tally["missing", ""] += session.missing(event.counts)
        self._apply(out, record, session, event)
        out.candles.append((record.key, record.value or b""))

    def _fold_quote(self, out: Outputs, record: Record, session: Session, event: Quote) -> None:
        """Fold the prices of which candles are wanted; they are taken or refused together."""
        try:
            prices = prices_of(event, session.rules, self._scaled)
            series = [
                session.series.get(series_name(event.instrument, side))
                or session.add_series(event.instrument, side)
                for side, _, _ in prices
            ]
        except DataError as error:
            self._refuse_tick(out, record, session, error)
            return
        if not prices:
            session.ledger.passed += 1
            out.tally["dropped", "passed"] += 1
            return
        ts, second = series[0].calendar.place(event.ts_event)
        if second is None or ts < session.late_before:
            out.not_folded(session, series[0], event, None if second is None else ts)
            return
        for one, (_, price, size) in zip(series, prices, strict=True):
            quotes = one.pending.get(second) or session.begin_second(one, second, ts, price)
            quotes.add(ts, price, size, False)
        session.ledger.folded += 1
        out.tally["folded", ""] += 1

    def _apply(self, out: Outputs, record: Record, session: Session, event: Control) -> None:
        if isinstance(event, Start):
            self.void += session.state_keys()
            self._open(event, session.order)
        elif isinstance(event, Clock):
            out.emit(session, event, session.advance(event.source_time))
            if self._progress_ms is not None and record.offset >= self._progress_from:
                out.progress_of(session, event, self._progress_ms)
        elif isinstance(event, Gap):
            if event.of(TRADES.name if self._kind is Trade else QUOTES.name):
                session.add_gap(gaps.Gap(event.ts_from, event.ts_to, event.instruments))
        elif isinstance(event, End):
            out.emit(session, event, session.finish(event.source_time))
            if self._progress_ms is not None:
                out.progress_over(session)
            self.void += session.state_keys()
            session.order.ended = True
            rules, time = session.rules, session.time
            over = Session(session.name, session.order, rules, time)
            over.ledger = session.ledger
            self.sessions[session.name] = over
            self._bound_ended()

    def _open(self, event: Start | End, order: Order) -> Session:
        rules = event.rules if isinstance(event, Start) else sessions.NO_RULES
        session = Session(event.session, order, rules, began=event.source_time)
        self.sessions[event.session] = session
        return session

    def _bound_ended(self) -> None:
        ended = [name for name, session in self.sessions.items() if session.order.ended]
        for name in ended[: max(0, len(ended) - self._ended_max)]:
            del self.sessions[name]
            self.void.append(("session", name))

    def _taken(self, out: Outputs, record: Record, session: Session, event: InputEvent) -> bool:
        fate = session.order.judge(event, event.epoch, event.seq)
        if fate is Fate.ENDED:
            self._refuse(out, record, DataError("event after the end of its session"))
        elif fate is not Fate.TAKEN:
            session.ledger.duplicate += isinstance(event, Tick)
            out.tally["dropped", str(fate)] += 1
        return fate is Fate.TAKEN

    def _refuse_tick(
        self, out: Outputs, record: Record, session: Session, error: DataError
    ) -> None:
        session.ledger.refused += 1
        out.tally["dropped", "refused"] += 1
        self._refuse(out, record, error)

    def _refuse(self, out: Outputs, record: Record, error: DataError | None) -> None:
        if error is None:
            out.tally["dropped", "unknown type"] += 1
            return
        place = *self._place, record.offset
        letter = DeadLetter(record.value or b"", *place, str(error), "streams", record.key)
        out.dead.append(letter)


def _unknown_rules(start: Start) -> DataError | None:
    try:
        check_intervals(start.rules.intervals)
        check_windows(start.rules.windows)
        for name in start.rules.calendars.values():
            check_calendar(name)
    except TickerplantError as error:
        return DataError("start with rules that are not known", error.detail)
    return None


def _tag(event: object) -> str:
    return str(event.__struct_config__.tag)  # type: ignore[attr-defined] # of every event
