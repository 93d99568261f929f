"""The engine of a backtest, fed one event at a time: stored, replayed or live, it is the same code.

No I/O and no clock: time is what events say. Each event first moves time, then fills the orders
that were there before it, and only then is told to the strategy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from msgspec import structs

from consumers.backtest.context import Context
from consumers.backtest.equity import Curve
from consumers.backtest.exchange import Exchange
from consumers.backtest.market import Market
from consumers.backtest.orders import Fill
from consumers.backtest.series import AsOf
from consumers.backtest.strategy import Strategy
from consumers.backtest.terms import Terms
from schemas.calendars import UTC_DAYS, Calendar
from schemas.events import (
    NS_PER_S,
    Bar,
    Book,
    Candle,
    Clock,
    End,
    Event,
    Gap,
    Quote,
    Start,
    Tick,
    Trade,
)

AHEAD_NS_MAX: Final = 10 * NS_PER_S
"""A tick further ahead moves time only when the next one agrees: the rule of the recorder."""


class Engine:
    """A strategy, its market and its portfolio.

    With ``instruments``, those alone are seen and traded; without, whatever comes.
    """

    def __init__(  # noqa: PLR0913 - what a run is made of
        self,
        strategy: Strategy,
        terms: Terms,
        *,
        instruments: Iterable[str] = (),
        interval: str = "1m",
        calendar: Calendar = UTC_DAYS,
        series: AsOf | None = None,
    ) -> None:
        self.strategy = strategy
        self.exchange = Exchange(terms, calendar)
        self.exchange.tell = self._filled
        self.context = Context(self.exchange, series or AsOf())
        self.curve = Curve(self.exchange.portfolio, interval, calendar)
        self.events = 0
        self.gaps = 0
        self.over: str | None = None
        """Why nothing more is to be handled."""
        self._doubted: int | None = None
        """Time of the last tick, if it was far ahead."""
        self._calm_until = -1
        """Up to here a tick moves time, and nothing else is due."""
        for name in instruments:
            self.exchange.markets[name] = Market(name)
        self._all = not self.exchange.markets
        self._takes: dict[type, Callable[[Any], None]] = {
            Trade: self._trade,
            Book: self._book,
            Quote: self._quote,
            Candle: self._candle,
            Bar: self._bar,
            Gap: self._gap,
            **dict.fromkeys((Start, Clock, End), self._control),
        }
        self._on_trade = written(strategy, "on_trade")
        self._on_book = written(strategy, "on_book")
        self._on_candle = written(strategy, "on_candle")
        self._on_revision = written(strategy, "on_revision")
        self._on_fill = written(strategy, "on_fill")

    def start(self) -> None:
        self.strategy.on_start(self.context)

    def handle(self, event: Event) -> None:
        """Take the next event; types that are not known are passed over."""
        take = self._takes.get(type(event))
        if take is not None:
            self.events += 1
            take(event)

    def stop(self) -> None:
        self.strategy.on_stop(self.context)

    def settle(self) -> None:
        """Cancel what waits and sample the equity a last time; positions stay as they are."""
        for order in self.context.orders:
            self.exchange.close(order, "cancelled", "the run is over")
        if self.curve.points:
            self.curve.sample(self.exchange.time)

    def _tick(self, ts: int) -> None:
        """Let time go on to a tick, unless it is far ahead and alone with that."""
        exchange = self.exchange
        exchange.event_ts = ts
        if ts <= exchange.time:
            return
        if ts <= self._calm_until:
            exchange.time = ts
        elif exchange.time and ts > exchange.time + AHEAD_NS_MAX and not self._agrees(ts):
            self._doubted, self._calm_until = ts, -1
        else:
            self._move(ts)

    def _agrees(self, ts: int) -> bool:
        return self._doubted is not None and ts >= self._doubted - AHEAD_NS_MAX

    def _move(self, ts: int) -> None:
        """Let time go on, and sample the equity at the end of each interval before."""
        exchange, curve = self.exchange, self.curve
        exchange.event_ts = ts
        if ts <= exchange.time:
            return
        if ts > curve.due:
            if curve.due < 0:
                curve.begin(ts)
            curve.advance(ts)
            if curve.points[-1].equity <= 0:
                self.over = "ruin: nothing is left of the equity"
        exchange.time = ts
        self._doubted, self._calm_until = None, min(curve.due, ts + AHEAD_NS_MAX)

    def _market(self, tick: Tick | Candle) -> Market | None:
        market = self.exchange.markets.get(tick.instrument)
        if market is None and self._all:
            self.exchange.markets[tick.instrument] = market = Market(tick.instrument)
        return market

    def _trade(self, trade: Trade) -> None:
        market = self.exchange.markets.get(trade.instrument) or self._market(trade)
        if market is None:
            return
        newest = trade.ts_event >= self.exchange.time
        self._tick(trade.ts_event)
        if newest:
            market.last = trade.price
        market.ticked = market.traded = True
        if market.orders:
            self.exchange.meet_trade(market, trade)
        if self._on_trade:
            self._on_trade(self.context, trade)

    def _book(self, book: Book) -> None:
        market = self._market(book)
        if market is None:
            return
        self._tick(book.ts_event)
        if not market.see_book(book):
            return
        if market.orders:
            self.exchange.meet_book(market, book.ts_event)
        if self._on_book:
            if not book.snapshot:
                bids, asks = list(market.bids), list(market.asks)
                book = structs.replace(book, bids=bids, asks=asks, snapshot=True)
            self._on_book(self.context, book)

    def _quote(self, quote: Quote) -> None:
        market = self._market(quote)
        if market is None:
            return
        self._tick(quote.ts_event)
        if market.books:
            return
        market.see_quote(quote)
        if market.orders:
            self.exchange.meet_book(market, quote.ts_event)

    def _candle(self, candle: Candle) -> None:
        if candle.revision:
            if self._on_revision and self._market(candle):
                self._on_revision(self.context, candle)
        elif self.exchange.terms.gaps != "skip" or "gap" not in candle.flags:
            self._bar(candle)

    def _bar(self, candle: Candle | Bar) -> None:
        market = self._market(candle)
        if market is None:
            return
        self._move(candle.ts_close)
        if not market.ticked:
            if market.orders:
                self.exchange.meet_candle(market, candle)
            market.last = candle.close
        if self._on_candle:
            self._on_candle(self.context, candle)

    def _control(self, event: Start | Clock | End) -> None:
        self._move(event.source_time)

    def _gap(self, gap: Gap) -> None:
        self.gaps += 1
        self._move(gap.source_time)
        policy = self.exchange.terms.gaps
        if policy == "stop":
            self.over = f"gap: ticks may be missing from {gap.ts_from} to {gap.ts_to}"
        elif policy == "skip":
            for order in self.context.orders:
                if not gap.instruments or order.instrument in gap.instruments:
                    self.exchange.close(order, "cancelled", "ticks may be missing")

    def _filled(self, fill: Fill) -> None:
        if self._on_fill:
            self._on_fill(self.context, fill)


def written(strategy: Strategy, hook: str) -> Callable[..., None] | None:
    """Return a hook of a strategy; None if it is the one that does nothing."""
    method = getattr(type(strategy), hook)
    return None if method is getattr(Strategy, hook) else getattr(strategy, hook)
