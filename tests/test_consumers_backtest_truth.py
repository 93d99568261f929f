"""Results that are known otherwise: in closed form, vectorised, and by no peeking."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from backtest_builders import NAME, Script, minute, run
from builders import at, clock, trade
from consumers.backtest import Engine, Strategy, Terms
from consumers.backtest.driver import drive
from consumers.backtest.series import AsOf
from consumers.backtest.strategies.book_imbalance import BookImbalance
from consumers.backtest.strategies.ma_cross import MovingAverageCross
from producers.feeds.recorded import RecordedFeed
from producers.order_books.deltas import Deltas
from producers_builders import recorded
from schemas.codec import input_decoder
from schemas.events import NS_PER_S, Book

CAPTURE = Path(__file__).parents[2] / "shared/data/binance_raw/usdm_btcusdt_20240808.gz"
FEE_BPS = 4.5


@pytest.fixture(scope="module")
def binance():
    """The events of a recorded session of Binance, in the order of seq."""
    if not CAPTURE.is_file():
        pytest.skip("recorded market data is not here")
    records = recorded(list(RecordedFeed([CAPTURE], "binance-usdm").read())).records
    found = {}
    for _, _, _, value, _ in records:
        event = input_decoder.decode(value)
        found[event.seq] = event
    return [found[seq] for seq in sorted(found)]


class FirstAskLastBid(Strategy):
    """Buys with the first book, sells just before the last."""

    quantity: float = 0.01

    def __init__(self, sell_at: int) -> None:
        self.sell_at = sell_at
        self.books = 0

    def on_book(self, context, book):
        self.books += 1
        if self.books == 1:
            context.buy(book.instrument, self.quantity)
        if self.books == self.sell_at:
            context.sell(book.instrument, self.quantity)


def test_first_ask_to_last_bid_is_known_to_the_cent(binance):
    books = [event for event in binance if isinstance(event, Book)]
    strategy = FirstAskLastBid(sell_at=len(books) - 1)
    engine = Engine(strategy, Terms(fee_bps=FEE_BPS))

    outcome = drive(engine, binance)

    ask, bid = books[1].asks[0][0], books[-1].bids[0][0]
    assert books[1].asks[0][1] >= strategy.quantity
    assert books[-1].bids[0][1] >= strategy.quantity
    fees = (ask + bid) * strategy.quantity * FEE_BPS / 10_000
    gain = (bid - ask) * strategy.quantity - fees
    assert len(books) > 6_000
    assert outcome.fees == pytest.approx(fees, abs=1e-9)
    assert engine.exchange.portfolio.cash == pytest.approx(100_000 + gain, abs=1e-9)
    assert outcome.trips[0].pnl == pytest.approx(gain, abs=1e-9)
    assert outcome.curve[-1].equity == engine.exchange.portfolio.cash


def test_the_same_events_give_the_same_run(binance):
    outcomes = [
        drive(Engine(BookImbalance(), Terms(fee_bps=FEE_BPS, latency_ms=20)), binance)
        for _ in range(2)
    ]

    assert outcomes[0].fills > 20
    assert outcomes[0].trips == outcomes[1].trips
    assert outcomes[0].curve == outcomes[1].curve


def test_changes_of_books_give_the_run_that_whole_books_give(binance):
    deltas = Deltas(NS_PER_S)
    by_changes, whole = [], []
    for event in binance:
        told = deltas.of([event]) if isinstance(event, Book) else [event]
        by_changes += told
        whole += [event] if told else []
    outcomes = [
        drive(Engine(BookImbalance(), Terms(fee_bps=FEE_BPS, latency_ms=20)), events)
        for events in (by_changes, whole)
    ]

    assert sum(isinstance(event, Book) and not event.snapshot for event in by_changes) > 5_000
    assert outcomes[0].fills > 20
    assert outcomes[0].trips == outcomes[1].trips
    assert outcomes[0].curve == outcomes[1].curve


def random_walk(bars, seed=3):
    steps = np.random.default_rng(seed).normal(0, 0.002, bars)
    closes = np.round(100 * np.cumprod(1 + steps), 2)
    opens = np.round(np.concatenate([[100.0], closes[:-1]]) * 1.0001, 2)
    return opens, closes


@pytest.mark.parametrize("short", [False, True])
def test_the_moving_averages_trade_as_a_vectorised_computation_does(short):
    opens, closes = random_walk(3_000)
    bars = [minute(n, o, close=c) for n, (o, c) in enumerate(zip(opens, closes, strict=True))]
    strategy = MovingAverageCross()
    strategy.interval, strategy.share, strategy.short = "1m", 0.3, short

    _, outcome = run(strategy, bars, cash=10_000, fee_bps=5)

    # At each turn of the averages the position is changed at the next open.
    cents = pd.Series(np.rint(closes * 100))
    rising = cents.rolling(10).sum() * 30 > cents.rolling(30).sum() * 10
    known = rising[29:]
    turns = known.index[known != known.shift(fill_value=not known.iloc[0])]
    turns = [n for n in turns if n + 1 < len(bars) and (short or rising[n] or n > turns[0])]
    expected = [
        ("buy" if rising[n] else "sell", at((n + 1) * 60), opens[n + 1])
        for n in turns
        if rising[n] or short
    ]
    exits = [opens[n + 1] for n in (turns[1:] if short else [n for n in turns if not rising[n]])]
    assert len(expected) > 30
    assert [(t.side, t.entry_time, t.entry_price) for t in outcome.trips] == expected
    assert [t.exit_price for t in outcome.trips if t.exit_price] == pytest.approx(
        exits[: len(expected)]
    )
    assert outcome.curve[-1].equity == pytest.approx(equity_of(outcome, closes[-1]))


def equity_of(outcome, last):
    """Compute the last equity from the trips alone."""
    equity = 10_000.0
    for trip in outcome.trips:
        sign = 1 if trip.side == "buy" else -1
        price = last if trip.exit_price is None else trip.exit_price
        equity += sign * trip.quantity * (price - trip.entry_price)
        paid = trip.entry_price + (trip.exit_price or 0)
        assert trip.fees == pytest.approx(trip.quantity * paid * 5e-4)
        equity -= trip.fees
    return equity


class Clairvoyant(Strategy):
    """Tries to trade at prices that it has already seen."""

    def on_candle(self, context, candle):
        # The low of a candle is known when it is over: too late to buy there.
        context.buy(NAME, 1.0, limit=candle.low)
        context.sell(NAME, 1.0, limit=candle.high)


def test_the_candle_that_is_seen_fills_no_order():
    bars = [minute(n, 100, high=110, low=90, close=100) for n in range(50)]

    _, outcome = run(Clairvoyant(), [*bars, minute(50, 100)], cash=1e6)

    # Lows and highs of the past are reached again, but never gone through.
    assert outcome.fills == 0


@pytest.mark.parametrize("latency_ms", [0, 1_500])
def test_no_fill_comes_from_before_its_order(latency_ms):
    rng = np.random.default_rng(1)
    seconds = np.sort(rng.uniform(0, 600, 3_000))
    late = rng.uniform(0, 5, 3_000) * (rng.random(3_000) < 0.2)
    trades = [
        trade(second - delay, float(price), seq=n)
        for n, (second, delay, price) in enumerate(
            zip(seconds, late, 100 + rng.integers(-50, 50, 3_000) / 10, strict=True)
        )
    ]

    class Busy(Script):
        def on_trade(self, context, trade):
            side = context.buy if context.random.random() < 0.5 else context.sell
            limit = round(trade.price + context.random.uniform(-1, 1), 2)
            order = side(NAME, 0.1, limit=limit if context.random.random() < 0.5 else None)
            self.seen.append((order.number, context.time, trade.ts_event))

    strategy = Busy()

    _, outcome = run(strategy, trades, cash=1e9, latency_ms=latency_ms)

    placed = {number: max(now, ts) for number, now, ts in strategy.seen}
    assert outcome.fills > 1_000
    for fill in strategy.fills:
        assert fill.ts >= placed[fill.order.number] + latency_ms * 1_000_000


def test_series_beside_the_market_are_known_when_their_time_has_come():
    points = [(at(n * 60), float(n)) for n in range(10)]
    seen = []

    class Reader(Strategy):
        def on_candle(self, context, candle):
            seen.append((context.time, context.as_of("sentiment", NAME)))

    run(Reader(), [minute(n, 100) for n in range(5)], series=AsOf(lambda *_: points))

    assert seen == [(at((n + 1) * 60), n + 1.0) for n in range(5)]


def test_a_series_that_grows_is_read_again_after_a_while():
    points, reads = [(at(0), 1.0)], []

    def lookup(*name):
        reads.append(name)
        return points

    known = AsOf(lookup, 60 * NS_PER_S)

    assert known.value("sentiment", NAME, at(10)) == 1.0
    points.append((at(20), 2.0))
    assert known.value("sentiment", NAME, at(69)) == 1.0
    assert known.value("sentiment", NAME, at(70)) == 2.0
    assert reads == [("sentiment", NAME)] * 2


def test_the_equity_is_sampled_at_each_interval_whether_or_not_anything_happened():
    strategy = Script({1: lambda context: context.buy(NAME, 10.0)})

    events = [*(trade(n, 100 + n, 99.0) for n in (0, 1)), clock(200), trade(200, 300)]

    _, outcome = run(strategy, events, cash=10_000)

    times = [point.ts_event for point in outcome.curve]
    assert times == [at(0) - 60 * NS_PER_S, at(0), at(60), at(120), at(180), at(200)]
    assert [point.equity for point in outcome.curve] == [10_000.0] * 5 + [11_990.0]
