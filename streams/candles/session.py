"""One recording in one partition: its time, its order, its candles. Ticks fold; clocks emit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import heapify, heappop, heappush
from itertools import count

from schemas.calendars import UTC_DAYS, Calendar, calendar_of
from schemas.events import NS_PER_MS, NS_PER_S, CandleRules, Flag, PriceType
from schemas.instruments import check_instrument, split_instrument
from schemas.intervals import WINDOWS, longest_ns
from schemas.order import Order
from streams.candles.candle import Candle, candle_of
from streams.candles.cascade import cascade_of
from streams.candles.gap import Gap
from streams.candles.horizon import Horizon
from streams.candles.ledger import Ledger
from streams.candles.ohlcv import Ohlcv, empty
from streams.candles.packed import pack, unpack
from streams.candles.series import Key, Series, split_name

StateKey = tuple[str | int, ...]
"""``("session", S)``, ``("open", S, series)``, ``("closed", S, series, interval, ts_open)`` or
``("rolling", S, series, step, ts)``."""
Emitted = tuple[Series, Candle]
"""A candle as it is now, and whose it is."""
FOREVER = 2**63

NO_RULES = CandleRules(intervals=(), grace_ms=0, horizon_ms=0)
"""Of a session whose end is all that is known of it."""


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
        self.unsaved_series: set[Series] = set()
        self.unsaved_closed: dict[tuple[str, str, int], Candle | None] = {}
        """Closed candles by (series, interval, ts_open); None where one left the horizon."""
        self.grace = rules.grace_ms * NS_PER_MS
        self._seconds: dict[int, list[Series]] = {}
        """Which series have a second pending."""
        self.cascade = cascade_of(rules.intervals)
        self.progress_at = began
        self.moving: set[Series] = set()
        """Candles were in progress when that was last told, or windows have moved since."""
        self._revised: dict[int, Emitted] = {}
        self._due: list[tuple[int, int, int, Series, Candle]] = []
        """When a candle closes; what nests in another comes before it."""
        self._horizon = Horizon()
        self._ties = count()

    def move(self, time: int) -> None:
        """Set source time T, and before which time a tick is late: folded nowhere."""
        self.time = time
        self.late_before = time - self.rules.horizon_ms * NS_PER_MS

    def add_series(self, instrument: str, price_type: PriceType) -> Series:
        """Begin the candles of an instrument; raise ``DataError`` if its name is none."""
        check_instrument(instrument)
        series = Series(instrument, price_type, self.calendar(instrument), self.rules.windows)
        self.series[series.name] = series
        return series

    def named(self, name: str) -> Series:
        """Return a series by its name; a saved one was checked before."""
        return self.series.get(name) or self.add_series(*split_name(name))

    def calendar(self, instrument: str) -> Calendar:
        name = self.rules.calendars.get(split_instrument(instrument)[1])
        return UTC_DAYS if name is None else calendar_of(name, self.began)

    def begin_second(self, series: Series, second: int, ts: int, price: int) -> Ohlcv:
        """Begin a second of a series with the place of its first tick, which is then added."""
        trades = series.pending[second] = empty(ts, price)
        self._seconds.setdefault(second, []).append(series)
        return trades

    def missing(self, counts: int) -> int:
        """Check the publisher's count; return how many more ticks are missing than before."""
        more = max(0, counts - self.ledger.seen - self.ledger.missing)
        self.ledger.missing += more
        return more

    def advance(self, time: int) -> list[Emitted]:
        """Move to source time T: close what is due, revise what has changed, in a fixed order."""
        if self.hole_from is not None:
            self.add_gap(Gap(self.hole_from, max(time, self.time)))
            self.hole_from = None
        self.move(max(self.time, time))
        closing = self._close_due(self.time)
        result = self._emit([*self._revised.values(), *closing])
        self._revised.clear()
        for series, key in self._horizon.leave(self.time):
            del series.closed[key]
            self._save_closed(series, key, None)
        self.moving |= self._move_windows()
        self._forget_gaps()
        return result

    def add_gap(self, gap: Gap) -> None:
        """Flag what the gap touches, now and later; what is closed is revised at the next clock."""
        self.gaps.append(gap)
        for series in self.series.values():
            if not gap.of(series.instrument):
                continue
            for key in [key for key in series.closed if gap.near(key)]:
                candle = unpack(series.closed[key], *key)
                if not candle.gap and gap.touches(candle.ts_open, candle.ts_close):
                    series.reopen(key)
            for candle in series.candles.values():
                if not candle.gap and gap.touches(candle.ts_open, candle.ts_close):
                    candle.gap = True
                    self.unsaved_series.add(series)
                    if candle.closed:
                        self._revise(series, candle)

    def finish(self, time: int) -> list[Emitted]:
        """Advance, then close every candle still open, those cut short as partial."""
        result = self.advance(time)
        rest = self._close_due(FOREVER)
        for _, candle in rest:
            candle.partial = candle.partial or candle.ts_close > self.time
        return result + self._emit(rest)

    def restore(self, name: str, pending: dict[int, Ohlcv], candles: Iterable[Candle]) -> Series:
        """Take back what was saved of a series, in any order; ``restored`` ends it."""
        series = self.named(name)
        series.pending.update(pending)
        for second in pending:
            self._seconds.setdefault(second, []).append(series)
        for candle in candles:
            key = candle.interval, candle.ts_open
            if candle.closed:
                key = self._keep(series, candle)
            if candle.closed and not candle.revise:
                series.closed[key] = pack(candle)
                continue
            series.candles[key] = candle
            if candle.revise:
                self._revised[id(candle)] = (series, candle)
            else:
                rank, due = self.cascade.rank[candle.interval], candle.ts_close + self.grace
                self._due.append((due, rank, next(self._ties), series, candle))
        series.stored = series.stored or bool(pending) or bool(series.open_candles())
        return series

    def restore_rolling(self, name: str, step: int, start: int, trades: Ohlcv) -> None:
        """Take back a saved bucket of the windows of a series."""
        series = self.named(name)
        assert series.rolling is not None, "saved by a session with windows"
        series.rolling.restore(step, start, trades)

    def restored(self) -> None:
        """Go on from what was taken back."""
        heapify(self._due)
        self._move_windows()

    def state_keys(self) -> Iterator[StateKey]:
        """Yield the keys under which the series of this session may be saved."""
        yield from (("closed", self.name, *place) for place in self.unsaved_closed)
        for series in self.series.values():
            yield "open", self.name, series.name
            for key in (*series.candles, *series.closed):
                yield "closed", self.name, series.name, *key
            if series.rolling is not None:
                for place in series.rolling.places():
                    yield "rolling", self.name, series.name, *place

    def pending_series(self) -> set[Series]:
        """Return the series that have ticks which no candle has yet."""
        return {series for waiting in self._seconds.values() for series in waiting}

    def moving_series(self) -> list[Series]:
        """Return the series to tell of, in a fixed order: also once after they came to rest."""
        active = self.pending_series()
        told = sorted(active | self.moving, key=lambda series: series.name)
        self.moving = active
        return told

    def flags(self, series: Series, ts_open: int, ts_close: int) -> tuple[Flag, ...]:
        """Return what is known against a stretch of time."""
        touched = any(
            gap.touches(ts_open, ts_close) for gap in self.gaps if gap.of(series.instrument)
        )
        flags: list[Flag] = ["gap"] if touched else []
        return (*flags, "partial") if ts_open < self.began else tuple(flags)

    def _close_due(self, until: int) -> list[Emitted]:
        """Hand on what is complete at ``until``; return the candles that close."""
        self._absorb_seconds(until)
        closing: list[Emitted] = []
        due, above = self._due, self.cascade.above
        while due and due[0][0] <= until:
            *_, series, candle = heappop(due)
            closing.append((series, candle))
            if above[candle.interval]:
                self._absorb(series, above[candle.interval], candle.ts_open, candle)
        return closing

    def _absorb_seconds(self, until: int) -> None:
        edge = (until - self.grace) // NS_PER_S
        roots = self.cascade.roots
        for second in sorted(second for second in self._seconds if second < edge):
            for series in self._seconds.pop(second):
                trades = series.pending.pop(second)
                if series.rolling is not None:
                    series.rolling.add(second * NS_PER_S, trades)
                self._absorb(series, roots, second * NS_PER_S, trades)
                self.unsaved_series.add(series)

    def _absorb(self, series: Series, intervals: tuple[str, ...], ts: int, trades: Ohlcv) -> None:
        """Merge trades into candles; from a closed one they go on into those made of it."""
        candles = series.candles
        for interval in intervals:
            ts_open, ts_close = series.calendar.bounds(interval, ts)
            key = interval, ts_open
            candle = candles.get(key) or series.reopen(key)
            if candle is None:
                candle = candles[key] = candle_of(trades, interval, ts_open, ts_close)
                self._admit(series, candle)
                continue
            candle.merge(trades)
            if candle.closed:
                self._revise(series, candle)
                self._absorb(series, self.cascade.above[interval], ts, trades)

    def _admit(self, series: Series, candle: Candle) -> None:
        flags = self.flags(series, candle.ts_open, candle.ts_close) if self.gaps else ()
        candle.gap = "gap" in flags
        candle.partial = candle.ts_open < self.began
        rank, due = self.cascade.rank[candle.interval], candle.ts_close + self.grace
        heappush(self._due, (due, rank, next(self._ties), series, candle))

    def _keep(self, series: Series, candle: Candle) -> Key:
        until = candle.ts_close + self.rules.horizon_ms * NS_PER_MS
        return self._horizon.add(until, series, (candle.interval, candle.ts_open))

    def _revise(self, series: Series, candle: Candle) -> None:
        candle.revise = True
        self._revised[id(candle)] = (series, candle)
        self._save_closed(series, (candle.interval, candle.ts_open), candle)

    def _emit(self, pairs: list[Emitted]) -> list[Emitted]:
        rank = self.cascade.rank
        pairs.sort(key=lambda p: (p[1].ts_close, rank[p[1].interval], p[0].name))
        for series, candle in pairs:
            candle.revision += 1
            candle.revise = False
            key = candle.interval, candle.ts_open
            del series.candles[key]
            if not candle.revision:
                key = self._keep(series, candle)
            series.closed[key] = pack(candle)
            self._save_closed(series, key, candle)
            self.unsaved_series.add(series)
        return pairs

    def _save_closed(self, series: Series, key: Key, state: Candle | None) -> None:
        self.unsaved_closed[series.name, *key] = state

    def _move_windows(self) -> set[Series]:
        """End the windows where ticks are complete; return the series that show it."""
        if not self.rules.windows:
            return set()
        end = self.time - self.grace
        return {s for s in self.series.values() if s.rolling and s.rolling.advance(end)}

    def _forget_gaps(self) -> None:
        """Keep the gaps that touch a bucket into which a tick can still come."""
        if self.gaps:
            lengths = [longest_ns(interval) for interval in self.rules.intervals]
            longest = max([*lengths, *(WINDOWS[name] for name in self.rules.windows)], default=0)
            self.gaps = [gap for gap in self.gaps if gap.ts_to + longest > self.late_before]
