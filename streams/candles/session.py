"""One recording in one partition: its time, its order, its candles. Ticks fold; clocks emit."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heapify, heappop, heappush
from itertools import count

from msgspec import Struct

from schemas import events
from schemas.events import NS_PER_MS, CandleRules
from schemas.intervals import bounds_ns
from schemas.order import Order
from streams.candles.candle import Candle
from streams.candles.series import Series

Emitted = tuple[str, Candle]
"""Instrument and the candle as it is now."""


class Ledger(Struct, array_like=True, gc=False):
    """What became of the ticks that the publisher counted."""

    folded: int = 0
    late: int = 0
    refused: int = 0
    missing: int = 0
    """Written by the publisher, seen by nobody."""

    @property
    def total(self) -> int:
        return self.folded + self.late + self.refused


NO_RULES = CandleRules(intervals=(), grace_ms=0, horizon_ms=0)
"""Of a session whose end is all that is known of it."""


class Gap(Struct, array_like=True, frozen=True, gc=False):
    """Source time in which something of the instruments (empty: of all) may be missing."""

    ts_from: int
    ts_to: int
    instruments: tuple[str, ...] = ()

    def of(self, instrument: str) -> bool:
        return not self.instruments or instrument in self.instruments


class Session:
    """State of a session; what has changed since the last save is in the ``unsaved_*`` fields."""

    def __init__(self, name: str, order: Order, rules: CandleRules, began: int) -> None:
        self.name = name
        self.order = order
        self.rules = rules
        self.began = began
        self.move(began)
        self.ledger = Ledger()
        self.gaps: list[Gap] = []
        self.hole_from: int | None = None
        """Records of this session were lost from here on; the next clock tells until when."""
        self.series: dict[str, Series] = {}
        self.unsettled: set[Series] = set()
        self.unsaved_series: set[Series] = set()
        self.unsaved_closed: dict[tuple[str, str, int], Candle | None] = {}
        """Closed candles by (instrument, interval, ts_open); None where one left the horizon."""
        self._revised: dict[int, tuple[Series, Candle]] = {}
        self._due: list[tuple[int, int, Series, Candle]] = []
        self._ties = count()

    def move(self, time: int) -> None:
        """Set source time T, and before which time a tick is late: folded nowhere."""
        self.time = time
        self.late_before = time - self.rules.horizon_ms * NS_PER_MS

    def settle(self) -> None:
        """Merge pending trades into candles. Harmless at any moment: nothing is emitted."""
        for series in self.unsettled:
            self.ledger.folded += sum(t.trades_count for t in series.pending.values())
            self.unsaved_series.add(series)
            for candle, new in series.settle(self.rules.intervals):
                if new:
                    self._admit(series, candle)
                elif candle.closed:
                    self._revise(series, candle)
        self.unsettled.clear()

    def missing(self, counts: int) -> int:
        """Check the publisher's count; return how many more ticks are missing than before."""
        self.settle()
        more = max(0, counts - self.ledger.total - self.ledger.missing)
        self.ledger.missing += more
        return more

    def advance(self, time: int) -> list[Emitted]:
        """Move to source time T: close what is due, revise what has changed, in a fixed order."""
        self.settle()
        if self.hole_from is not None:
            self.add_gap(Gap(self.hole_from, max(time, self.time)))
            self.hole_from = None
        self.move(max(self.time, time))
        due = self._pop_due()
        closing = [pair for pair in due if not pair[1].closed]
        expired = [pair for pair in due if pair[1].closed]
        result = self._emit([*self._revised.values(), *closing])
        self._revised.clear()
        for series, candle in closing:
            self._watch(candle.ts_close + self.rules.horizon_ms * NS_PER_MS, series, candle)
        expired += self._pop_due()  # closed just now, and already out of reach
        for series, candle in expired:
            self._expire(series, candle)
        self._forget_gaps()
        return result

    def add_gap(self, gap: Gap) -> None:
        """Flag what the gap touches, now and later; what is closed is revised at the next clock."""
        self.settle()
        self.gaps.append(gap)
        for series in self.series.values():
            if not gap.of(series.instrument):
                continue
            for candle in series.candles.values():
                if not candle.gap and candle.touches(gap.ts_from, gap.ts_to):
                    candle.gap = True
                    self.unsaved_series.add(series)
                    if candle.closed:
                        self._revise(series, candle)

    def finish(self, time: int) -> list[Emitted]:
        """Advance, then close every candle still open, those cut short as partial."""
        result = self.advance(time)
        rest = [(s, candle) for s in self.series.values() for candle in s.open_candles()]
        for _, candle in rest:
            candle.partial = candle.partial or candle.ts_close > self.time
        return result + self._emit(rest)

    def restore(self, candles: Iterable[tuple[str, Candle]]) -> None:
        """Take back saved candles with their instruments."""
        for instrument, candle in candles:
            series = self.series.setdefault(instrument, Series(instrument))
            series.candles[candle.interval, candle.ts_open] = candle
            wait_ms = self.rules.horizon_ms if candle.closed else self.rules.grace_ms
            due = candle.ts_close + wait_ms * NS_PER_MS
            self._due.append((due, next(self._ties), series, candle))
            if candle.closed and candle.revise:
                self._revised[id(candle)] = (series, candle)
            series.stored_open = series.stored_open or not candle.closed
        heapify(self._due)

    def event(self, emitted: Emitted, seq: int) -> events.Candle:
        instrument, candle = emitted
        return candle.event(instrument, self.name, self.order.epoch, seq)

    def _admit(self, series: Series, candle: Candle) -> None:
        candle.partial = candle.ts_open < self.began
        candle.gap = any(
            candle.touches(gap.ts_from, gap.ts_to) for gap in self.gaps if gap.of(series.instrument)
        )
        self._watch(candle.ts_close + self.rules.grace_ms * NS_PER_MS, series, candle)

    def _pop_due(self) -> list[tuple[Series, Candle]]:
        due = []
        while self._due and self._due[0][0] <= self.time:
            due.append(heappop(self._due)[2:])
        return due

    def _watch(self, due: int, series: Series, candle: Candle) -> None:
        heappush(self._due, (due, next(self._ties), series, candle))

    def _revise(self, series: Series, candle: Candle) -> None:
        candle.revise = True
        self._revised[id(candle)] = (series, candle)
        self._save_closed(series, candle)

    def _emit(self, pairs: list[tuple[Series, Candle]]) -> list[Emitted]:
        lengths = {interval: rank for rank, interval in enumerate(self.rules.intervals)}
        pairs.sort(key=lambda p: (p[1].ts_close, lengths[p[1].interval], p[0].instrument))
        for series, candle in pairs:
            candle.revision += 1
            candle.revise = False
            self._save_closed(series, candle)
            self.unsaved_series.add(series)
        return [(series.instrument, candle) for series, candle in pairs]

    def _save_closed(self, series: Series, candle: Candle) -> None:
        self.unsaved_closed[series.instrument, candle.interval, candle.ts_open] = candle

    def _expire(self, series: Series, candle: Candle) -> None:
        del series.candles[candle.interval, candle.ts_open]
        self.unsaved_closed[series.instrument, candle.interval, candle.ts_open] = None

    def _forget_gaps(self) -> None:
        if self.gaps:
            self.gaps = [gap for gap in self.gaps if self._reaches(gap)]

    def _reaches(self, gap: Gap) -> bool:
        """Tell whether a tick can still come into a bucket that the gap touches."""
        ends = (bounds_ns(name, max(gap.ts_to - 1, 0))[1] for name in self.rules.intervals)
        return max(ends, default=0) > self.late_before
