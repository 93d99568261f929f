"""What a comparison of candles finds, and why; whole replays are in ``test_deploy_replay.py``."""

from __future__ import annotations

import msgspec
import pytest

from builders import at
from consumers.store.streamed import VALUES
from deploy.replays.parity import SHOWN_MAX, Findings, Judge, plain_values

CANDLE = {
    "ts_close": at(60),
    **dict.fromkeys(("open", "high", "low", "close", "vwap"), 100.5),
    **dict.fromkeys(("volume", "quote_volume", "buy_volume", "buy_quote_volume"), "1.500000000"),
    "trades_count": 3,
    "is_closed": True,
    "revision": 0,
    "flags": "",
    "seq": 17,
}
STREAMED = CANDLE | {"volume": "1.5", "quote_volume": "1.50", "flags": ()}
PLACE = ("AAA.SIM", "trade", "1m", at(0))


def judged(live, replayed, known=("1m",), missed=()):
    judge = Judge(set(known), set(missed))
    judge.compare(
        [(*key, *(candle[name] for name in VALUES)) for key, candle in live.items()],
        {key: plain_values(candle[name] for name in VALUES) for key, candle in replayed.items()},
    )
    return judge


def test_the_same_candle_is_equal_however_its_sums_are_written():
    judge = judged({PLACE: CANDLE}, {PLACE: STREAMED})

    assert (judge.candles, judge.different) == (1, 0)


@pytest.mark.parametrize("name", VALUES)
def test_a_difference_in_any_field_is_one(name):
    other = {
        "flags": ("gap",),
        "is_closed": False,
        **dict.fromkeys(("volume", "quote_volume", "buy_volume", "buy_quote_volume"), "1.51"),
    }
    judge = judged({PLACE: CANDLE}, {PLACE: STREAMED | {name: other.get(name, 99)}})

    assert judge.different == 1
    (found,) = judge.differences
    assert (found.field, found.instrument, found.ts_open) == (name, "AAA.SIM", at(0))
    assert found.live != found.replayed


@pytest.mark.parametrize(
    ("changed", "known", "missed", "reason"),
    [
        ({"trades_count": 2}, ("1m",), (("AAA.SIM", "1m", at(0)),), "late"),
        ({"flags": ("gap",), "revision": 1}, ("1m",), (), "gap"),
        ({"revision": 1}, ("1m",), (), "revision"),
        ({"close": 5.0}, ("1m",), (), "values"),
        ({"close": 5.0}, ("1s",), (), "settings"),
    ],
)
def test_the_reason_of_a_difference_is_named(changed, known, missed, reason):
    judge = judged({PLACE: CANDLE}, {PLACE: STREAMED | changed}, known, missed)

    assert {found.reason for found in judge.differences} == {reason}


def test_a_candle_that_is_on_one_side_only_is_a_difference():
    other = ("BBB.SIM", *PLACE[1:])

    judge = judged({PLACE: CANDLE}, {other: STREAMED})

    assert (judge.candles, judge.different) == (2, 2)
    assert [(f.instrument, f.live is None) for f in judge.differences] == [
        ("AAA.SIM", False),
        ("BBB.SIM", True),
    ]
    assert msgspec.json.encode(judge.differences)


def test_only_the_first_differences_are_kept_and_all_are_counted():
    many = {(f"S{n}.SIM", *PLACE[1:]): CANDLE for n in range(SHOWN_MAX + 30)}

    judge = judged(many, {})

    assert (judge.different, len(judge.differences)) == (SHOWN_MAX + 30, SHOWN_MAX)


def test_no_candle_on_either_side_is_no_difference():
    judge = judged({}, {})

    assert Findings(session="s", candles=judge.candles, different=judge.different).equal
    assert not Findings(session="s", candles=3, different=1).equal
