"""What a batch gave, as it goes onto the topics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from schemas.codec import encode
from schemas.dead_letters import DeadLetter
from schemas.events import (
    NS_PER_MS,
    Clock,
    Control,
    FilledBar,
    Late,
    LateQuote,
    Progress,
    Quote,
    Trade,
)
from streams.candles.filling import Bar, fill
from streams.candles.progress import candles_in_progress, windows
from streams.candles.series import Series
from streams.candles.session import Emitted, Session


class Outputs:
    """What a batch gave, in order."""

    __slots__ = ("candles", "dead", "late", "progress", "tally")

    def __init__(self) -> None:
        self.candles: list[tuple[bytes | None, bytes]] = []
        """Keys and values: each control event after the candles that it closed."""
        self.progress: list[tuple[bytes, bytes | None]] = []
        """How series stand; None for those of a session that ended."""
        self.late: list[tuple[bytes, bytes]] = []
        self.dead: list[DeadLetter] = []
        self.tally: Counter[tuple[str, str]] = Counter()
        """For metrics: ("closed" | "revised", interval), ("dropped", reason), ("folded", ""),
        ("missing", "")."""

    def emit(self, session: Session, event: Control, emitted: Iterable[Emitted]) -> None:
        """Add the candles that a control event has closed or revised."""
        place = session.name, session.order.epoch, event.seq
        emitted = list(emitted)
        for series, candle in emitted:
            made = candle.event(series.instrument, series.price_type, *place)
            self.candles.append((series.instrument.encode(), encode(made)))
            self.tally["revised" if candle.revision else "closed", candle.interval] += 1

        if session.rules.fill != "none":
            for series, bar in fill(session, emitted):
                self._add_filled(series, bar, *place)

    def _add_filled(self, series: Series, bar: Bar, session: str, epoch: int, seq: int) -> None:
        prices = zip(("open", "high", "low", "close"), bar.prices or [None] * 4, strict=True)
        filled = FilledBar(
            session=session,
            epoch=epoch,
            seq=seq,
            instrument=series.instrument,
            price_type=series.price_type,
            interval=bar.interval,
            ts_open=bar.ts_open,
            ts_close=bar.ts_close,
            flags=bar.flags,
            **dict(prices),
        )
        self.candles.append((series.instrument.encode(), encode(filled)))

    def progress_of(self, session: Session, event: Clock, interval_ms: int) -> None:
        """Add how series stand, at most once in an interval of source time."""
        if session.time < session.progress_at:
            return
        interval = max(1, interval_ms * NS_PER_MS)
        session.progress_at = session.time - session.time % interval + interval
        for series in session.moving_series():
            progress = Progress(
                session=session.name,
                epoch=event.epoch,
                seq=event.seq,
                instrument=series.instrument,
                price_type=series.price_type,
                source_time=session.time,
                candles=candles_in_progress(series, session.cascade, session.flags),
                windows=windows(series, session.flags),
            )
            self.progress.append((encode([session.name, series.name]), encode(progress)))

    def progress_over(self, session: Session) -> None:
        """Add that nothing of the session is in progress any more."""
        self.progress += [(encode([session.name, name]), None) for name in session.series]

    def not_folded(
        self, session: Session, series: Series, event: Trade | Quote, ts: int | None
    ) -> None:
        """Count a tick that no candle gets, out of hours or late; with it goes what it missed."""
        if ts is None:
            session.ledger.outside += 1
            self.tally["dropped", "outside"] += 1
            return
        session.ledger.late += 1
        self.tally["dropped", "late"] += 1
        calendar, intervals = series.calendar, session.rules.intervals
        missed = {interval: calendar.bounds(interval, ts)[0] for interval in intervals}
        fields = {name: getattr(event, name) for name in event.__struct_fields__}
        kind = Late if isinstance(event, Trade) else LateQuote
        self.late.append((event.instrument.encode(), encode(kind(**fields, missed=missed))))
