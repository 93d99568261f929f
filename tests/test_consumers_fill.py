"""Bars between candles, by each policy."""

from __future__ import annotations

from itertools import count, islice

import msgspec
import pytest

from builders import T0, at
from consumers.store.fill import check_policy, fill
from consumers_builders import candle
from schemas.calendars import UTC_DAYS, calendar_of
from schemas.errors import UnknownNameError
from schemas.events import NS_PER_S

MINUTE_NS = 60 * NS_PER_S


def minute(number, price=100.0, **fields):
    prices = dict.fromkeys(("open", "high", "low", "close"), price)
    times = {"ts_open": at(60 * number), "ts_close": at(60 * number) + MINUTE_NS}
    made = candle(**({"interval": "1m"} | prices | times | fields))
    return msgspec.structs.asdict(made) | {"flags": []}


CANDLES = [minute(0, 100.0), minute(3, 130.0, open=133.0), minute(4, 140.0)]


def filled(policy, candles=CANDLES, **options):
    rows = list(fill(candles, policy, UTC_DAYS, **options))
    assert [row for row in rows if "filled" not in row["flags"]] == candles
    return [row for row in rows if "filled" in row["flags"]]


def test_previous_is_flat_at_the_last_close_as_exchanges_write_it():
    first, second = filled("previous")

    assert (first["ts_open"], first["ts_close"]) == (at(60), at(120))
    assert second["ts_open"] == at(120)
    assert {first[name] for name in ("open", "high", "low", "close")} == {100.0}
    sums = ("volume", "quote_volume", "buy_volume", "buy_quote_volume")
    assert {first[name] for name in sums} == {"0"}
    assert (first["trades_count"], first["vwap"], first["flags"]) == (0, None, ["filled"])
    assert first.keys() == CANDLES[0].keys()


def test_null_knows_nothing():
    for row in filled("null"):
        assert {row[name] for name in ("open", "close", "volume", "vwap", "trades_count")} == {None}


def test_linear_is_on_the_line_between_the_neighbours():
    first, second = filled("linear")

    assert (first["open"], second["open"]) == (111.0, 122.0)
    assert (first["close"], second["close"]) == (110.0, 120.0)
    assert first["volume"] == "0"


def test_none_fills_nothing():
    assert filled("none", until=at(6_000)) == []


def test_a_bar_in_a_gap_is_told_from_a_quiet_one():
    rows = filled("previous", flags_of=lambda ts_open, _: ("gap",) if ts_open == at(60) else ())

    assert [row["flags"] for row in rows] == [["gap", "filled"], ["filled"]]


def test_bars_follow_the_last_candle_up_to_the_end_of_the_question():
    follow = {
        policy: filled(policy, until=at(450))[2:] for policy in ("previous", "null", "linear")
    }

    assert [row["ts_open"] for row in follow["previous"]] == [at(300), at(360)]
    assert [row["close"] for row in follow["previous"]] == [140.0, 140.0]
    assert [row["close"] for row in follow["null"]] == [None, None]
    assert follow["linear"] == []


def test_bars_of_a_venue_are_within_its_hours():
    xnys = calendar_of("XNYS", T0)
    friday_close = 1_760_126_400 * NS_PER_S  # 2025-10-10 20:00 UTC
    monday_open = 1_760_362_200 * NS_PER_S
    before = minute(0) | {
        "ts_open": friday_close - 2 * MINUTE_NS,
        "ts_close": friday_close - MINUTE_NS,
    }
    after = minute(0) | {
        "ts_open": monday_open + MINUTE_NS,
        "ts_close": monday_open + 2 * MINUTE_NS,
    }

    rows = list(fill([before, after], "previous", xnys))

    assert [row["ts_open"] for row in rows[1:-1]] == [friday_close - MINUTE_NS, monday_open]


def test_months_are_filled_as_months():
    january, april = 1_735_689_600 * NS_PER_S, 1_743_465_600 * NS_PER_S
    first = minute(0) | {"interval": "1M", "ts_open": january}
    first["ts_close"] = UTC_DAYS.bounds("1M", january)[1]

    rows = list(fill([first, first | {"ts_open": april}], "previous", UTC_DAYS))

    assert [row["ts_open"] for row in rows] == [
        *(january, first["ts_close"], 1_740_787_200 * NS_PER_S, april)
    ]


def test_a_stream_is_filled_as_it_comes():
    """Neither all candles nor all bars between two of them are held."""
    endless = (minute(1_000_000 * number) for number in count())

    rows = list(islice(fill(endless, "previous", UTC_DAYS), 5))

    assert [row["ts_open"] for row in rows] == [at(60 * number) for number in range(5)]


def test_no_candle_is_nothing_to_begin_with():
    assert list(fill([], "previous", UTC_DAYS, until=at(600))) == []


def test_an_unknown_policy_is_answered_with_the_known_ones():
    assert check_policy("linear") == "linear"
    with pytest.raises(UnknownNameError, match="previous"):
        check_policy("prev")
