"""Events laid out as rows: the numbers that the candle engine takes, and no others."""

from __future__ import annotations

import warnings
from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from builders import trade
from consumers.store.client import IngestClient
from consumers.store.sinks.books import BookSink, decode_best, decode_whole
from consumers.store.sinks.candles import CandleSink
from consumers.store.sinks.columns import exact
from consumers.store.sinks.trades import TradeSink
from consumers_builders import book, candle, frame_of
from schemas.codec import encode
from schemas.errors import DataError
from schemas.scaled import scale
from schemas.sections import QuestDb
from schemas.tables import book_columns

CLIENT = IngestClient(QuestDb())


def accepted_by_scale(number: float) -> bool:
    try:
        scale(number)
    except DataError:
        return False
    return True


@given(st.floats(allow_nan=False) | st.decimals(-(10**9), 10**9, places=9).map(float))
@example(1e308)
@example(0.1234567891)
@example(999_999.999999999)
@example(1e15)
def test_a_column_takes_exactly_the_numbers_that_scale_takes(number):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if accepted_by_scale(number):
            assert exact([1.5, number])[1] == number
        else:
            with pytest.raises(DataError):
                exact([1.5, number])


def test_a_trade_frame_keeps_nanoseconds_and_missing_ids():
    frame = frame_of(TradeSink, trade(0.000000001, trade_id="7"), trade(1, side="buy"))

    assert frame["ts_event"].astype("int64").tolist() == [
        trade(0.000000001).ts_event,
        trade(1).ts_event,
    ]
    assert frame["side"].tolist() == ["unknown", "buy"]
    assert frame["trade_id"].isna().tolist() == [False, True]


@pytest.mark.parametrize(
    "wrong", [{"price": 0.1234567890123}, {"size": 1e19}, {"instrument": "btc"}]
)
def test_a_bad_trade_is_refused_alone_and_in_company(wrong):
    bad = trade(**wrong)

    with pytest.raises(DataError):
        frame_of(TradeSink, bad)
    with pytest.raises(DataError):
        frame_of(TradeSink, trade(), bad)


def test_a_book_frame_has_three_levels_a_side_and_nulls_where_there_are_none():
    deep = book(bids=[(9.0 - i, 1.0 + i) for i in range(20)], asks=[(10.0, 5.0), (11.0, 6.0)])
    empty = book(bids=[], asks=[])

    frame = frame_of(BookSink, deep, empty)

    row = frame.loc[0, book_columns()].tolist()
    assert row[:6] == [9.0, 1.0, 8.0, 2.0, 7.0, 3.0]
    assert row[6:10] == [10.0, 5.0, 11.0, 6.0]
    assert np.isnan(row[10:]).all()
    assert frame.loc[1, book_columns()].isna().all()


def test_every_level_comes_back_from_the_arrays_of_a_book():
    deep = book(bids=[(9.0 - i * 0.1, 1.0 + i) for i in range(20)], asks=[(10.0, 5.0)])
    books = [deep, book(bids=[], asks=[]), book(asks=[(11.0, 0.5), (12.0, 0.0)])]

    frame = frame_of(BookSink, *(decode_whole(encode(one)) for one in books))

    for one, bids, asks in zip(books, frame["bids"], frame["asks"], strict=True):
        assert [*zip(*bids.tolist(), strict=True)] == one.bids
        assert [*zip(*asks.tolist(), strict=True)] == one.asks
        assert bids.flags["C_CONTIGUOUS"]
    assert not frame["is_delta"].any()


def test_a_delta_has_its_changes_and_no_best_levels():
    frame = frame_of(BookSink, book(), book(bids=[(9.0, 0.0)], asks=[], snapshot=False))

    assert frame["is_delta"].tolist() == [False, True]
    assert frame["bid_price_1"].tolist()[0] == 99.0
    assert frame.loc[1, book_columns()].isna().all()
    assert frame["bids"][1].tolist() == [[9.0], [0.0]]


def test_only_the_best_levels_are_kept_if_asked_for():
    deep = book(bids=[(9.0 - i * 0.1, 1.0) for i in range(20)], asks=[(10.0, 5.0)])

    best = decode_best(encode(deep))

    assert (best.bids, best.asks) == (3, 1)
    assert decode_best(encode(trade())) == decode_whole(encode(trade())) == trade()
    frame, whole = frame_of(partial(BookSink, whole=False), best), frame_of(BookSink, deep)
    assert frame.equals(whole.drop(columns=["bids", "asks", "is_delta"]))
    with pytest.raises(DataError, match="books_whole"):
        frame_of(partial(BookSink, whole=False), book(snapshot=False))


@pytest.mark.parametrize(
    "wrong",
    [
        {"bids": [(0.1234567890123, 1.0)]},
        {"asks": [(1.0, 1e19)]},
        {"instrument": "btc"},
        {"bids": [(1.0, 1.0)] * 9 + [(0.1234567890123, 1.0)]},
        {"update_id": 2**63},
    ],
)
def test_a_bad_book_is_refused_alone_and_in_company(wrong):
    bad = book(**wrong)

    with pytest.raises(DataError):
        frame_of(BookSink, book(), bad)
    with pytest.raises(DataError):
        frame_of(BookSink, bad)


@pytest.mark.parametrize("wrong", ["NaN", "Infinity", "1,5", "", "one"])
def test_a_candle_whose_sum_is_no_decimal_is_refused(wrong):
    with pytest.raises(DataError):
        frame_of(CandleSink, candle(), candle(volume=wrong))
    with pytest.raises(DataError):
        frame_of(CandleSink, candle(volume=wrong))


def test_a_candle_frame_keeps_every_digit_of_the_sums():
    many = "12345678901234567890123456789012345678.123456789012345678"

    frame = frame_of(CandleSink, candle(quote_volume=many, vwap=None, flags=("gap", "partial")))

    assert str(frame.loc[0, "quote_volume"]) == many
    assert pd.isna(frame.loc[0, "vwap"])
    assert frame.loc[0, "flags"] == "gap,partial"
