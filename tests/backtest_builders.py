"""Strategies and runs for the tests of backtests."""

from __future__ import annotations

from builders import at, clock, end, numbered, start, trade
from consumers.backtest import Engine, Strategy, Terms
from consumers.backtest.driver import Outcome, drive
from consumers_builders import candle
from schemas.events import NS_PER_S

NAME = "AAA.SIM"


class Script(Strategy):
    """Does at the n-th trade, book or candle what it is told; keeps all that it was told."""

    def __init__(self, steps=None):
        self.steps = steps or {}
        self.seen = []
        self.fills = []
        self.orders = []

    def on_trade(self, context, trade):
        self._step(context, trade)

    def on_book(self, context, book):
        self._step(context, book)

    def on_candle(self, context, candle):
        self._step(context, candle)

    def on_fill(self, context, fill):
        self.fills.append(fill)

    def _step(self, context, event):
        self.seen.append(event)
        step = self.steps.get(len(self.seen))
        if step:
            self.orders.append(step(context))


def buy(quantity=1.0, **options):
    return lambda context: context.buy(NAME, quantity, **options)


def sell(quantity=1.0, **options):
    return lambda context: context.sell(NAME, quantity, **options)


def run(strategy: Strategy, events, **terms) -> tuple[Engine, Outcome]:
    options = {
        name: terms.pop(name) for name in ("series", "interval", "calendar") if name in terms
    }
    engine = Engine(strategy, Terms(**terms), instruments=[NAME], **options)
    return engine, drive(engine, events)


def filled(strategy: Script) -> list[tuple[float, float]]:
    """Return price and signed quantity of each fill."""
    return [(fill.price, fill.signed) for fill in strategy.fills]


def minute(number: int, open_: float, high=None, low=None, close=None, **fields):
    """Return a candle of one minute; what is not said is its open."""
    prices = {"high": high or open_, "low": low or open_, "close": close or open_}
    times = {"ts_open": at(number * 60), "ts_close": at(number * 60) + 60 * NS_PER_S}
    usual = {"interval": "1m", "open": open_, "volume": "100"}
    return candle(**(usual | prices | times | fields))


def told(session, *instruments, seconds=300):
    """Return a session: a trade a second of each instrument, a clock every other."""
    own = {"session": session, "epoch": 0}
    events = [start(0, **own)]
    for second in range(seconds):
        price = 100 + (second * 7919 % 100) / 10
        events += [trade(second, price, **own, instrument=name) for name in instruments]
        if second % 2:
            events.append(clock(second, **own))
    return numbered(*events, end(seconds, **own))
