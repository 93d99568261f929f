"""Order, instruments, intervals, topics, health and errors: what two processes must agree on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import clock, end, start, trade
from consumers.store.verify import LENGTHS_S
from schemas.errors import DataError, SettingsError, TickerplantError, UnknownNameError
from schemas.events import NS_PER_S
from schemas.health import Health
from schemas.instruments import check_instrument, instrument_of, split_instrument
from schemas.intervals import FIXED_NS, INTERVALS, check_interval, check_intervals
from schemas.order import Fate, Order
from schemas.topics import DEAD_LETTERS, INPUTS, SESSIONS, STATE_TRADES, TOPICS, TRADES, topic_of


def test_events_are_taken_once_and_in_order():
    order = Order()

    fates = [order.judge(object(), 0, seq) for seq in (0, 1, 1, 0, 5)]

    assert fates == [Fate.TAKEN, Fate.TAKEN, Fate.DUPLICATE, Fate.DUPLICATE, Fate.TAKEN]


def test_a_publisher_that_was_taken_over_harms_nothing():
    order = Order(epoch=3, seq=10)

    assert order.judge(object(), 4, 1) is Fate.TAKEN
    assert order.judge(object(), 3, 11) is Fate.STALE
    assert (order.epoch, order.seq) == (4, 1)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5))))
def test_what_is_taken_always_rises(places):
    order = Order()

    taken = [place for place in places if order.judge(object(), *place) is Fate.TAKEN]

    assert taken == sorted(set(taken))


def test_after_the_end_only_the_start_of_a_later_epoch_is_taken():
    order = Order(epoch=1, seq=10, ended=True)

    assert order.judge(trade(), 1, 11) is Fate.ENDED
    assert order.judge(trade(), 2, 0) is Fate.ENDED
    assert order.judge(start(), 1, 12) is Fate.ENDED
    assert order.judge(end(0), 1, 10) is Fate.DUPLICATE
    assert order.judge(start(), 2, 0) is Fate.TAKEN
    assert order.judge(clock(0), 2, 1) is Fate.TAKEN


@pytest.mark.parametrize(
    "name", ["BTCUSDT.BINANCE", "BTCUSDT.BINANCE-USDM", "BTC_USDT.MEXC", "^NDX.YAHOO", "A.B.C"]
)
def test_an_instrument_is_a_symbol_and_a_venue(name):
    assert check_instrument(name) == name
    assert instrument_of(*split_instrument(name)) == name


@pytest.mark.parametrize(
    "name", ["", "BTCUSDT", ".X", "X.", "btc.x", "A B.C", "A.B\n", "A.B'", "É.X", "A" * 47 + ".B"]
)
def test_what_is_no_instrument_is_refused_with_an_example(name):
    with pytest.raises(DataError, match="write SYMBOL"):
        check_instrument(name)


def test_the_independent_check_knows_the_same_lengths():
    assert {name: LENGTHS_S[name] * NS_PER_S for name in FIXED_NS} == FIXED_NS
    assert {*LENGTHS_S, "1M"} == set(INTERVALS)


def test_intervals_are_put_in_order_and_doubles_refused():
    assert check_intervals(["5m", "1s"]) == ("1s", "5m")
    for wrong in ([], ["1s", "1s"]):
        with pytest.raises(SettingsError):
            check_intervals(wrong)


def test_an_unknown_interval_is_told_those_that_are_known():
    with pytest.raises(UnknownNameError) as raised:
        check_interval("7m")

    assert all(interval in raised.value.detail for interval in INTERVALS)


def test_inputs_and_what_comes_of_them_are_partitioned_alike():
    assert all(topic.partitioned for topic in (*INPUTS, TOPICS["candles"], STATE_TRADES))
    assert not SESSIONS.partitioned


def test_retention_counts_from_arrival_and_state_is_kept():
    config = TRADES.config(retention_days=2)

    assert config["message.timestamp.type"] == "LogAppendTime"
    assert config["retention.ms"] == str(2 * 24 * 3600 * 1000)
    assert STATE_TRADES.config(2)["cleanup.policy"] == "compact"
    assert "retention.ms" not in STATE_TRADES.config(2)
    assert int(DEAD_LETTERS.config(2)["max.message.bytes"]) > 1024 * 1024


def test_a_topic_is_found_by_its_short_and_its_full_name():
    assert topic_of("trades", "live") is topic_of("live.trades", "live") is TRADES
    with pytest.raises(UnknownNameError, match="did you mean trades"):
        topic_of("trade", "live")


def test_a_process_is_ready_when_nothing_speaks_against_it():
    health = Health("kafka", "questdb")
    assert health.faults == {"kafka": "starting", "questdb": "starting"}

    health.good("kafka")
    health.good("questdb")
    assert health.ready

    health.bad("questdb", "does not answer")
    health.good("kafka")
    assert not health.ready
    assert health.faults == {"questdb": "does not answer"}


def test_a_message_says_what_failed_the_detail_and_what_mends_it():
    assert str(TickerplantError("it failed", "here", "do this")) == "it failed: here (do this)"
    assert str(TickerplantError("it failed")) == "it failed"


def test_what_is_known_is_listed_up_to_a_bound_and_garbage_is_cut():
    error = UnknownNameError.of("topic", "x" * 10_000, [f"name-{n}" for n in range(1_000)])

    assert len(str(error)) < 1_000
