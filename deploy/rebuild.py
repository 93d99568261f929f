"""Candles out of stored ticks, by the stream's own engine, and where they differ. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from msgspec import Struct, structs

from consumers.store.ticks import Told
from schemas.calendars import GRACE_AFTER_CLOSE_NS, ROUND_THE_CLOCK, Calendar, calendar_of
from schemas.codec import candle_decoder, encode
from schemas.errors import DataError
from schemas.events import (
    NS_PER_MS,
    Candle,
    CandleRules,
    Clock,
    Control,
    End,
    Event,
    Gap,
    SessionRecord,
    Start,
    Trade,
)
from schemas.instruments import split_instrument
from streams.candles.engine import Engine

SPAN_TICKS_MAX: Final = 100_000
"""Ticks folded between two clocks, unless a single minute has more."""
FIELDS: Final = (
    *("ts_close", "open", "high", "low", "close", "volume", "quote_volume", "vwap"),
    *("trades_count", "buy_volume", "buy_quote_volume", "is_closed"),
)
"""What ticks decide of a candle; flags are the session's."""

Row = dict[str, Any]
Span = tuple[int, int]
"""``[since, until)``."""


class Change(Struct, kw_only=True):
    """What a repair makes of a candle; ``old`` is None where there was none at all."""

    session: str
    instrument: str
    interval: str
    ts_open: int
    repair: int
    old: Row | None
    new: Row


@dataclass(slots=True)
class _Record:
    value: bytes | None
    key: bytes | None = None
    topic: str = "tick_prices"
    partition: int = -1
    offset: int = -1


def hours_of(instrument: str, rules: CandleRules, began: int) -> Calendar:
    """Return the calendar by which the stream cut the candles of an instrument."""
    name = rules.calendars.get(split_instrument(instrument)[1], ROUND_THE_CLOCK)
    return calendar_of(name, began)


def spans(minutes: Iterable[tuple[int, int]], calendar: Calendar, until: int) -> Iterator[Span]:
    """Cut time into spans of bounded numbers of ticks; ``minutes`` say when there are how many.

    Each begins within trading hours, so that the ticks that count before it are all before it.
    """
    since, ticks = 0, 0
    for ts_open, trades in minutes:
        if ticks and ticks + trades > SPAN_TICKS_MAX and calendar.next_open(ts_open) == ts_open:
            yield since, ts_open
            since, ticks = ts_open, 0
        since = since or ts_open
        ticks += trades
    if ticks:
        yield since, until


def rebuild(
    entry: SessionRecord,
    told: Told,
    spans: Sequence[Span],
    read: Callable[[int, int], Iterable[list[Trade]]],
) -> Iterator[list[Candle]]:
    """Yield the candles of one instrument as they close, each once, with all of its ticks.

    ``read`` gives the ticks of a span in publishing order, page by page. Raises ``DataError`` for
    one that the stream refuses.
    """
    if not spans:
        return
    stream = _Stream(entry)
    stream.fold([stream.event(Start, told.began, rules=_unhurried(entry.rules, told, spans[0][0]))])
    for gap in told.gaps:
        stream.fold([stream.event(Gap, told.began, **gap._asdict())])
    for since, until in spans:
        for ticks in read(since, until):
            stream.fold(ticks)
        # Ticks from before the session began would come after what a clock calls complete.
        if told.began < until <= told.until:
            yield stream.fold([stream.event(Clock, until)])
    yield stream.fold([stream.event(End, told.until)])


def compare(candle: Candle, stored: Row | None, told: Told) -> Candle | None:
    """Return what is to take the place of a stored candle; None if it is right.

    Raises ``DataError`` for one that has trades which are not stored: it cannot be rebuilt.
    """
    if stored is None:
        return structs.replace(candle, repair=1, revision=0, seq=told.seq)
    if stored["trades_count"] > candle.trades_count:
        raise DataError(
            "stored ticks are not all that a candle was made of",
            f"{candle.instrument} {candle.interval} at {candle.ts_open} of {candle.session}: "
            f"{candle.trades_count} of {stored['trades_count']}",
            f"nothing was made of them; see: tickerplant audit {candle.session}",
        )
    if all(getattr(candle, name) == stored[name] for name in FIELDS):
        return None
    return structs.replace(
        candle,
        repair=stored["repair"] + 1,
        revision=0,
        seq=told.seq,
        flags=tuple(stored["flags"]),
    )


def change_of(candle: Candle, stored: Row | None) -> Change:
    """Tell field by field what a repaired candle changes."""
    return Change(
        session=candle.session,
        instrument=candle.instrument,
        interval=candle.interval,
        ts_open=candle.ts_open,
        repair=candle.repair,
        old=stored and {name: stored[name] for name in FIELDS},
        new={name: getattr(candle, name) for name in FIELDS},
    )


class _Stream:
    """The engine, fed with events that are numbered as they come."""

    def __init__(self, entry: SessionRecord) -> None:
        self._engine = Engine()
        self._session, self._epoch = entry.session, entry.epoch
        self._number = count()

    def event(self, kind: type[Control], source_time: int, **fields: Any) -> Control:
        place: dict[str, Any] = {"session": self._session, "epoch": self._epoch, "seq": 0}
        return kind(**place, source_time=source_time, **fields)

    def fold(self, events: Sequence[Event]) -> list[Candle]:
        """Fold events in order; return the candles that they close."""
        for event in events:
            event.epoch, event.seq = self._epoch, next(self._number)
        out = self._engine.fold([_Record(encode(event)) for event in events])
        if out.dead:
            raise DataError("stored tick is refused", str(out.dead[0]))
        made = (candle_decoder.decode(value) for _, value in out.candles)
        return [event for event in made if isinstance(event, Candle)]


def _unhurried(rules: CandleRules, told: Told, since: int) -> CandleRules:
    """Return rules by which no tick since a time is late: ticks come in order of time."""
    reach = max(0, told.began - since) + GRACE_AFTER_CLOSE_NS
    return CandleRules(
        intervals=rules.intervals,
        calendars=rules.calendars,
        grace_ms=0,
        horizon_ms=-(-reach // NS_PER_MS),
    )
