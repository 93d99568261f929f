"""The check by SQL: right candles are verified, every wrong one is found."""

from __future__ import annotations

from decimal import Decimal
from math import ulp

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from builders import trade
from consumers.store import reader
from consumers.store.sinks.candles import CandleSink
from consumers.store.sinks.trades import TradeSink
from consumers.store.verify import verify
from consumers_builders import candle

pytestmark = pytest.mark.stack
WAIT_S = 30
PRICES_AND_SUMS = (
    *("open", "high", "low", "close", "vwap", "trades_count"),
    *("volume", "quote_volume", "buy_volume", "buy_quote_volume"),
)


numbers = st.decimals(0, 10**9, places=9).filter(
    lambda n: len(n.normalize().as_tuple().digits) <= 15
)


@hypothesis_settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(numbers | st.integers(10**9, 10**15 - 1).map(Decimal), min_size=50, max_size=50))
def test_the_cast_of_the_check_is_exact_for_what_events_carry(db, values):
    doubles = [float(value) for value in values]
    columns = ", ".join(
        f"cast(%(x{i})s::double AS DECIMAL(38, 9))::varchar AS d{i}" for i in range(len(values))
    )

    (row,) = db.rows(f"SELECT {columns}", **{f"x{i}": x for i, x in enumerate(doubles)})

    assert [Decimal(text) for text in row.values()] == values


def verified_session(client, session, instrument):
    """Two candles, the first with ties in time, whose open and close are told by seq."""
    own = {"session": session, "instrument": instrument}
    trades = [
        trade(0, price=3.1, size=0.1, seq=3, side="buy", **own),
        trade(0, price=1.3, size=0.2, seq=1, **own),
        trade(0, price=2.7, size=0.7, seq=2, side="sell", **own),
        trade(1, price=0.1, size=0.000000003, seq=4, **own),
    ]
    first = {
        "open": 1.3,
        "high": 3.1,
        "low": 1.3,
        "close": 3.1,
        "volume": "1",
        "quote_volume": "2.46",
        "vwap": 2.46,
        "trades_count": 3,
        "buy_volume": "0.1",
        "buy_quote_volume": "0.31",
    }
    second = dict.fromkeys(("open", "high", "low", "close", "vwap"), 0.1) | {
        "volume": "0.000000003",
        "quote_volume": "0.0000000003",
    }
    candles = [candle(0, **own, **(first | {"close": 9.0})), candle(0, revision=1, **own, **first)]
    TradeSink(client).write(trades)
    CandleSink(client).write([*candles, candle(1, **own, **second)])


def test_right_candles_are_verified(client, db, session, instrument):
    verified_session(client, session, instrument)
    reader.wait_applied(db, WAIT_S)

    report = verify(db, session, ["1s"])

    assert report.differences == []
    assert (report.verified, report.candles) == (True, 2)


@pytest.mark.parametrize(
    "wrong",
    [
        {"open": 1.4},
        {"quote_volume": "0.000000000300000001"},
        {"volume": "0.000000004"},
        {"vwap": 0.1 + ulp(0.1)},
        {"trades_count": 2},
        {"buy_volume": "0.000000003"},
        {"is_closed": False},
    ],
)
def test_one_wrong_field_is_found(client, db, session, instrument, wrong):
    verified_session(client, session, instrument)
    second = dict.fromkeys(("open", "high", "low", "close", "vwap"), 0.1)
    sums = {"volume": "0.000000003", "quote_volume": "0.0000000003"}
    own = {"session": session, "instrument": instrument}
    CandleSink(client).write([candle(1, revision=1, **(own | second | sums | wrong))])
    reader.wait_applied(db, WAIT_S)

    report = verify(db, session, ["1s"])

    assert not report.verified
    assert {difference.field for difference in report.differences} >= set(wrong)


def test_a_repair_is_the_last_word_whatever_was_streamed(client, db, session, instrument):
    verified_session(client, session, instrument)
    reader.wait_applied(db, WAIT_S)
    own = {"session": session, "instrument": instrument}
    (right,) = reader.candles(db, instrument, "1s", session=session)[:1]
    wrong = {"revision": 7, "trades_count": 2}
    CandleSink(client).write([candle(0, **own, **wrong), candle(0, **own, revision=8)])
    reader.wait_applied(db, WAIT_S)
    assert not verify(db, session, ["1s"]).verified

    named = {name: right[name] for name in PRICES_AND_SUMS}
    CandleSink(client).write([candle(0, **own, **named, repair=1)])
    reader.wait_applied(db, WAIT_S)

    found = reader.candles(db, instrument, "1s", session=session)[0]
    assert verify(db, session, ["1s"]).verified
    assert (found["repair"], found["revision"], found["trades_count"]) == (1, 0, 3)


def test_missing_and_extra_candles_are_found(client, db, session, instrument):
    own = {"session": session, "instrument": instrument}
    TradeSink(client).write([trade(0, **own)])
    CandleSink(client).write([candle(7, **own)])
    reader.wait_applied(db, WAIT_S)

    report = verify(db, session, ["1s", "1m"])

    assert [difference.field for difference in report.differences] == ["candle"] * 3
    assert not verify(db, f"{session}-empty", ["1s"]).verified
