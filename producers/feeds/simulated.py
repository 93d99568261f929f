"""A seeded market: the same seed and start give the same observations."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from copy import copy
from heapq import heappop, heappush
from itertools import count
from math import log
from random import Random
from secrets import token_hex
from typing import Final

from producers.feed import Elapsed, Lost, Observation, Restored
from producers.pacing import paced
from producers.session_names import new_session
from schemas.events import NS_PER_MS, NS_PER_S, Book, Level, Tick, Trade
from schemas.sections import Simulated

LATENCY_NS: Final = 5 * NS_PER_MS
ELAPSED_NS: Final = 100 * NS_PER_MS
BURST_NS: Final = 20_000
"""Time between the trades of a burst."""
DISORDER_NS_MAX: Final = 50 * NS_PER_MS
DUPLICATE_NS_MAX: Final = 500 * NS_PER_MS
SIZES: Final = 4_096
SPREAD_TICKS: Final = 1


class SimulatedFeed:
    """The simulated market as a live feed: each start is a new recording."""

    origin = "simulated"
    repeatable = False
    wall_clock = False

    def __init__(self, settings: Simulated, now_ns: Callable[[], int] = time.time_ns) -> None:
        self.session = new_session("sim", now_ns(), token_hex(3))
        self.instruments = tuple(_name(number) for number in range(settings.instruments))
        self.skipped: Counter[str] = Counter()
        self._settings = settings
        self._now_ns = now_ns

    def observations(self) -> AsyncIterator[list[Observation]]:
        start_ns = self._settings.start_ns or self._now_ns()
        speed = None if self._settings.max_speed else 1.0
        return paced(market(self._settings, start_ns), speed)


class _Instrument:
    """One random walk on a grid of ticks."""

    def __init__(self, number: int, draw: Callable[[], float]) -> None:
        self.name = _name(number)
        self.scale = (100, 10, 10_000, 1_000)[number % 4]
        self.bid = 1_000 + int(draw() * 5_000_000)
        self.trades = 0
        self.books = 0


def market(settings: Simulated, start_ns: int) -> Iterator[Observation]:
    """Yield what is received from the market, in receiving order."""
    return _Market(settings, start_ns).run()


class _Market:
    def __init__(self, settings: Simulated, start_ns: int) -> None:
        self._settings = settings
        self._draw = Random(settings.seed).random  # noqa: S311 - a market, not a secret
        self._start_ns = start_ns
        self._instruments = [_Instrument(n, self._draw) for n in range(settings.instruments)]
        self._sizes = [(1 + int(self._draw() * 5_000)) / 1_000 for _ in range(SIZES)]
        self._later: list[tuple[int, int, Observation]] = []
        """What is received later: a heap by receive time."""
        self._ties = count()
        self._lost = False

    def run(self) -> Iterator[Observation]:
        settings, later = self._settings, self._later
        end_ns = self._start_ns + int(settings.duration_s * NS_PER_S)
        self._push(Elapsed(ts_recv=self._start_ns + ELAPSED_NS))
        if settings.disconnect_every_s:
            self._push(self._next_loss(self._start_ns))
        books_due = 0.0
        for ts_event in self._times():
            if settings.duration_s and ts_event >= end_ns:
                break
            ts_recv = ts_event + LATENCY_NS
            while later and later[0][0] <= ts_recv:
                yield from self._pop()
            instrument = self._instruments[int(self._draw() * len(self._instruments))]
            trade = self._trade(instrument, ts_event, ts_recv)
            if self._lost:
                continue
            if self._in_time(trade):
                yield trade
            books_due += settings.books_share
            while books_due >= 1:
                books_due -= 1
                yield self._book(instrument, ts_event, ts_recv)
        yield from self._rest()

    def _rest(self) -> Iterator[Observation]:
        """Yield what is still on its way when the market closes."""
        while self._later:
            for observation in self._pop(again=False):
                if not isinstance(observation, Elapsed | Lost):
                    yield observation

    def _times(self) -> Iterator[int]:
        """Yield exchange times at the given rate on average, bursts included."""
        draw, burst_share = self._draw, self._settings.burst_share
        mean_ns = NS_PER_S / self._settings.rate
        pause_ns = (mean_ns - burst_share * min(BURST_NS, mean_ns)) / max(1 - burst_share, 1e-9)
        if burst_share >= 1:
            burst_share, pause_ns = 0.0, mean_ns
        time_ns = self._start_ns
        while True:
            burst = draw() < burst_share
            time_ns += int(min(BURST_NS, mean_ns) if burst else -log(1 - draw()) * pause_ns)
            yield time_ns

    def _trade(self, instrument: _Instrument, ts_event: int, ts_recv: int) -> Trade:
        draw = self._draw
        chance = draw()
        instrument.bid += (chance < 0.2) - (chance >= 0.8)
        instrument.bid = max(instrument.bid, self._settings.book_levels + 1)
        buy = draw() < 0.5
        instrument.trades += 1
        return Trade(
            session="",
            epoch=0,
            seq=0,
            instrument=instrument.name,
            ts_event=ts_event,
            ts_recv=ts_recv,
            price=(instrument.bid + SPREAD_TICKS * buy) / instrument.scale,
            size=self._sizes[int(draw() * SIZES)],
            side="buy" if buy else "sell",
            trade_id=str(instrument.trades),
        )

    def _in_time(self, trade: Trade) -> bool:
        """Tell whether a trade arrives now; put off what is late, and what comes again."""
        settings = self._settings
        if not (settings.late_share or settings.out_of_order_share or settings.duplicate_share):
            return True
        chance = self._draw()
        if chance < settings.late_share:
            self._delay(trade, settings.late_ms_max * NS_PER_MS)
            return False
        if chance < settings.late_share + settings.out_of_order_share:
            self._delay(trade, DISORDER_NS_MAX)
            return False
        if self._draw() < settings.duplicate_share:
            self._delay(copy(trade), DUPLICATE_NS_MAX)
        return True

    def _delay(self, tick: Trade, delay_ns_max: int) -> None:
        tick.ts_recv += 1 + int(self._draw() * delay_ns_max)
        self._push(tick)

    def _book(self, instrument: _Instrument, ts_event: int, ts_recv: int) -> Book:
        bid, ask = instrument.bid, instrument.bid + SPREAD_TICKS
        levels = self._settings.book_levels
        instrument.books += 1
        return Book(
            session="",
            epoch=0,
            seq=0,
            instrument=instrument.name,
            ts_event=ts_event,
            ts_recv=ts_recv,
            bids=self._side(range(bid, bid - levels, -1), instrument.scale),
            asks=self._side(range(ask, ask + levels), instrument.scale),
            update_id=instrument.books,
        )

    def _side(self, ticks: range, scale: int) -> list[Level]:
        first = int(self._draw() * (SIZES - len(ticks)))
        sizes = self._sizes[first : first + len(ticks)]
        return list(zip([tick / scale for tick in ticks], sizes, strict=True))

    def _push(self, observation: Observation) -> None:
        heappush(self._later, (observation.ts_recv, next(self._ties), observation))

    def _pop(self, *, again: bool = True) -> Iterator[Observation]:
        """Yield the next of what was put off, and put off its successor."""
        _, _, observation = heappop(self._later)
        if isinstance(observation, Elapsed) and again:
            self._push(Elapsed(ts_recv=observation.ts_recv + ELAPSED_NS))
        elif isinstance(observation, Lost) and again:
            self._lost = True
            back_ns = observation.ts_recv + self._settings.disconnect_ms * NS_PER_MS
            self._push(Restored(ts_recv=back_ns, reason="connected again"))
        elif isinstance(observation, Restored):
            self._lost = False
            if again:
                self._push(self._next_loss(observation.ts_recv))
        elif isinstance(observation, Tick) and self._lost:
            observation.ts_recv += self._settings.disconnect_ms * NS_PER_MS
            self._push(observation)
            return
        yield observation

    def _next_loss(self, after_ns: int) -> Lost:
        ts_recv = after_ns + int(self._settings.disconnect_every_s * NS_PER_S)
        return Lost(ts_recv=ts_recv, reason="connection lost")


def _name(number: int) -> str:
    return f"SIM{number:03}.SIM"
