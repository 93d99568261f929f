"""What fills an order, at which price, and when: books, trades, candles, latency, cash."""

from __future__ import annotations

import pytest

from backtest_builders import NAME, Script, buy, filled, minute, run, sell
from builders import at, clock, gap, start, trade
from consumers_builders import book, quote
from schemas.events import NS_PER_S

ASKS = [(101.0, 1.0), (102.0, 2.0), (103.0, 5.0)]
BIDS = [(99.0, 1.0), (98.0, 2.0), (97.0, 5.0)]


def books(count, **fields):
    return [book(n, **({"bids": BIDS, "asks": ASKS} | fields)) for n in range(count)]


def test_an_order_at_the_market_walks_the_next_book():
    strategy = Script({1: buy(4.0)})

    run(strategy, books(2), cash=1e6)

    assert filled(strategy) == [(101.0, 1.0), (102.0, 2.0), (103.0, 1.0)]
    assert {fill.ts for fill in strategy.fills} == {at(1)}


def test_changes_alone_are_no_book_until_all_its_levels_come():
    strategy = Script({1: buy(1.0)})
    change = {"bids": [], "asks": [(101.0, 0.0), (101.5, 7.0)], "snapshot": False}

    run(strategy, [book(0, **change), *books(1), book(2, **change)], cash=1e6)

    assert [one.asks for one in strategy.seen] == [ASKS, [(101.5, 7.0), *ASKS[1:]]]
    assert all(one.snapshot and one.bids == BIDS for one in strategy.seen)
    assert filled(strategy) == [(101.5, 1.0)]


def test_what_the_book_does_not_have_waits_for_the_next():
    strategy = Script({1: buy(9.0)})

    run(strategy, books(3), cash=1e6)

    assert [fill.ts for fill in strategy.fills] == [at(1)] * 3 + [at(2)]
    assert strategy.orders[0].status == "filled"


def test_what_we_took_of_a_level_is_gone_until_the_next_book():
    both = lambda context: [buy(1.0)(context), buy(1.0)(context)]  # noqa: E731
    strategy = Script({1: both})

    run(strategy, books(2), cash=1e6)

    assert filled(strategy) == [(101.0, 1.0), (102.0, 1.0)]


@pytest.mark.parametrize(
    ("time_in_force", "quantity", "left"),
    [("IOC", 9.0, "cancelled"), ("FOK", 9.0, "cancelled"), ("FOK", 8.0, "filled")],
)
def test_at_once_or_not_at_all(time_in_force, quantity, left):
    strategy = Script({1: buy(quantity, time_in_force=time_in_force)})

    run(strategy, books(3), cash=1e6)

    order = strategy.orders[0]
    assert order.status == left
    assert order.filled == (0 if (time_in_force, left) == ("FOK", "cancelled") else 8.0)


def test_a_limit_takes_what_is_no_worse_and_rests_with_the_rest():
    later = [book(2, asks=[(101.5, 9.0)]), trade(3, 101.0), book(4, asks=[(100.0, 0.5)])]
    strategy = Script({1: buy(2.0, limit=101.0)})

    run(strategy, [*books(2), *later], cash=1e6)

    # A trade at its price fills nothing: nobody knows who was before us.
    assert filled(strategy) == [(101.0, 1.0), (101.0, 0.5)]
    assert [fill.maker for fill in strategy.fills] == [False, True]


def test_a_trade_through_a_limit_that_rests_fills_as_much_as_was_traded():
    later = [trade(2, 99.9, 0.3), trade(3, 99.9, 5.0)]
    strategy = Script({1: buy(1.0, limit=100.0)})

    run(strategy, [*books(2), *later], cash=1e6)

    assert filled(strategy) == [(100.0, 0.3), (100.0, 0.7)]


def test_without_a_book_orders_are_filled_by_the_trades_that_follow():
    strategy = Script({1: buy(1.5)})

    run(strategy, [trade(0, 100), trade(1, 101, 1.0), trade(2, 102, 1.0)], cash=1e6)

    assert filled(strategy) == [(101.0, 1.0), (102.0, 0.5)]


def test_only_a_share_of_a_trade_may_be_ours():
    strategy = Script({1: buy(1.0)})

    run(strategy, [trade(n, 100, 2.0) for n in range(3)], cash=1e6, participation_max=0.25)

    assert filled(strategy) == [(100.0, 0.5), (100.0, 0.5)]


def test_a_stop_becomes_an_order_at_the_market_when_a_trade_sets_it_off():
    prices = [100, 101, 104, 105, 106]
    strategy = Script({1: buy(1.0, stop=104)})

    run(strategy, [trade(n, price) for n, price in enumerate(prices)], cash=1e6)

    assert filled(strategy) == [(105.0, 1.0)]


def test_quotes_are_a_book_of_one_level():
    quotes = [quote(n, ask_price=101.0, ask_size=1.0) for n in range(3)]
    strategy = Script({1: buy(1.5)})

    run(strategy, [trade(0), *quotes], cash=1e6)

    assert filled(strategy) == [(101.0, 1.0), (101.0, 0.5)]


def test_changes_of_a_book_are_put_into_what_was_known():
    change = {"snapshot": False, "bids": [], "asks": [(101.0, 0.0), (101.5, 0.5)]}
    strategy = Script({1: buy(1.0)})

    run(strategy, [*books(1), book(1, **change)], cash=1e6)

    assert filled(strategy) == [(101.5, 0.5), (102.0, 0.5)]


def test_latency_lets_the_market_go_on_before_an_order_is_in_it():
    strategy = Script({1: buy(1.0)})
    events = [book(seconds, asks=[(100 + seconds, 9)]) for seconds in (0, 0.2, 0.49, 0.5, 1)]

    run(strategy, events, cash=1e6, latency_ms=500)

    assert filled(strategy) == [(100.5, 1.0)]


def test_a_late_tick_from_before_an_order_cannot_fill_it():
    strategy = Script({1: buy(1.0)})

    run(strategy, [trade(10, 100), trade(9, 1.0), trade(10, 101)], cash=1e6)

    assert filled(strategy) == [(101.0, 1.0)]


def test_fees_and_slippage_are_paid():
    strategy = Script({1: buy(1.0), 2: sell(1.0)})

    engine, outcome = run(
        strategy,
        [trade(n, 100.0) for n in range(3)],
        cash=1_000,
        fee_bps=10,
        slippage_bps=100,
    )

    assert filled(strategy) == [(101.0, 1.0), (99.0, -1.0)]
    assert outcome.fees == pytest.approx(0.2)
    assert engine.exchange.portfolio.cash == pytest.approx(1_000 - 2 - 0.2)
    assert outcome.trips[0].pnl == pytest.approx(-2.2)


def test_who_rests_pays_the_makers_fee_and_does_not_slip():
    strategy = Script({1: buy(1.0, limit=100.0)})

    _, outcome = run(
        strategy,
        [*books(2), trade(2, 99.0, 5.0)],
        cash=1e6,
        fee_bps=10,
        maker_fee_bps=-1,
        slippage_bps=50,
    )

    assert filled(strategy) == [(100.0, 1.0)]
    assert outcome.fees == pytest.approx(-0.01)


def test_an_order_for_the_day_ends_with_it():
    strategy = Script({1: buy(1.0, limit=50.0, time_in_force="DAY")})

    run(strategy, [minute(0, 100), minute(24 * 60, 100, low=40)], cash=1e6)

    assert strategy.orders[0].status == "expired"


def test_what_there_is_no_equity_for_is_rejected_with_the_numbers():
    strategy = Script({1: buy(1_000_000)})

    _, outcome = run(strategy, [trade(0, 100), trade(1, 100)], cash=10_000)

    order = strategy.orders[0]
    assert (order.status, outcome.rejected, outcome.state) == ("rejected", 1, "completed")
    assert "equity 10,000.00" in order.reason
    assert outcome.rejections == [order.reason]


def test_what_became_too_dear_meanwhile_is_filled_as_far_as_there_is_equity():
    strategy = Script({1: buy(100)})

    engine, _ = run(strategy, [trade(0, 100), trade(1, 125, 1e6)], cash=10_000)

    assert filled(strategy) == [(125.0, 80.0)]
    assert engine.exchange.portfolio.cash == 0
    assert strategy.orders[0].status == "cancelled"


def test_leverage_and_short_positions_stay_within_the_equity():
    strategy = Script({1: sell(250), 2: sell(150)})

    run(strategy, [trade(n, 100, 1e6) for n in range(3)], cash=10_000, leverage_max=2)

    assert filled(strategy) == [(100.0, -150.0)]
    assert strategy.orders[0].status == "rejected"


def test_a_position_can_always_be_closed_and_turned():
    strategy = Script({1: buy(100), 2: sell(200)})

    engine, outcome = run(strategy, [trade(n, 100, 1e6) for n in range(3)], cash=10_000)

    assert engine.exchange.portfolio.position(NAME).quantity == -100
    assert [(trip.side, trip.pnl) for trip in outcome.trips] == [("buy", 0.0), ("sell", None)]


@pytest.mark.parametrize("quantity", [float("nan"), float("inf"), 0.0, -1.0, 1e-12])
def test_a_number_that_is_none_fails_the_run_where_it_was_ordered(quantity):
    _, outcome = run(Script({1: buy(quantity)}), [trade(0, 100), trade(1, 100)])

    assert outcome.state == "failed"
    assert "quantity" in outcome.reason
    assert "backtest_builders.py" in outcome.reason


def test_gaps_are_counted_and_the_policy_decides():
    events = [trade(0, 100), start(0), gap(1, 2), clock(3), trade(4, 101)]
    outcomes = {}
    for policy in ("continue", "skip", "stop"):
        strategy = Script({1: buy(1.0)})
        _, outcome = run(strategy, events, cash=1e6, gaps=policy)
        outcomes[policy] = len(strategy.fills), len(strategy.seen), outcome.state, outcome.gaps

    assert outcomes == {
        "continue": (1, 2, "completed", 1),
        "skip": (0, 2, "completed", 1),
        "stop": (0, 1, "stopped", 1),
    }


def test_a_tick_far_ahead_and_alone_moves_no_time():
    strategy = Script({2: buy(1.0), 3: buy(1.0)})
    far = trade(86_400, 100)

    engine, _ = run(strategy, [trade(0, 100), far, trade(1, 101), trade(2, 102)], cash=1e6)

    assert engine.exchange.time == at(2)
    # What answered the lonely tick waits for its time; what was ordered after it does not.
    assert filled(strategy) == [(102.0, 1.0)]


def test_time_goes_on_when_the_next_tick_agrees():
    engine, _ = run(Script(), [trade(0, 100), trade(100, 100), trade(100.5, 101)])

    assert engine.exchange.time == at(100) + NS_PER_S // 2
