"""Orders where only candles come: the open of the next one, its range, its volume."""

from __future__ import annotations

import pytest

from backtest_builders import Script, buy, filled, minute, run
from builders import at, trade


def test_an_order_is_filled_at_the_open_of_the_next():
    strategy = Script({1: buy(1.0)})

    run(strategy, [minute(0, 100), minute(1, 105, close=110)], cash=1e6)

    assert filled(strategy) == [(105.0, 1.0)]
    assert strategy.fills[0].ts == at(60)


def test_of_a_candle_that_had_begun_only_the_close_comes_after_the_order():
    strategy = Script({1: buy(1.0)})

    run(strategy, [minute(0, 100), minute(1, 105, close=110)], cash=1e6, latency_ms=1)

    assert filled(strategy) == [(110.0, 1.0)]


def test_a_limit_is_filled_when_the_range_goes_through_it():
    strategy = Script({1: buy(1.0, limit=95.0)})

    run(strategy, [minute(0, 100), minute(1, 100, low=95), minute(2, 99, low=94)], cash=1e6)

    assert filled(strategy) == [(95.0, 1.0)]
    assert strategy.fills[0].ts == at(180)


@pytest.mark.parametrize(("opened", "price"), [(101, 104.0), (106, 106.0)])
def test_a_stop_is_filled_at_its_price_or_at_an_open_beyond(opened, price):
    strategy = Script({1: buy(1.0, stop=104.0)})

    run(strategy, [minute(0, 100), minute(1, opened, high=107)], cash=1e6)

    assert filled(strategy) == [(price, 1.0)]


def test_no_more_is_filled_than_was_traded():
    strategy = Script({1: buy(150.0)})

    run(strategy, [minute(n, 100) for n in range(3)], cash=1e6)

    assert filled(strategy) == [(100.0, 100.0), (100.0, 50.0)]


def test_candles_fill_nothing_where_ticks_come():
    strategy = Script({2: buy(1.0)})

    run(strategy, [trade(0, 50), minute(0, 100), minute(1, 100), trade(200, 60)], cash=1e6)

    assert filled(strategy) == [(60.0, 1.0)]


def test_a_candle_is_told_once_and_its_revision_is_not_another():
    strategy = Script()

    run(strategy, [minute(0, 100), minute(0, 101, revision=1)])

    assert [seen.open for seen in strategy.seen] == [100]
