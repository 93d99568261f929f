"""Bars made elsewhere go the way of ticks: stamped, counted, checked."""

from __future__ import annotations

import pytest

from builders import at
from producers_builders import events, of, recorded, seen_bar, seen_trade
from schemas.events import Bar, End, Trade

NAN = float("nan")


def test_a_bar_goes_onto_its_topic_with_a_seq_of_the_session():
    some = [seen_trade(59), seen_trade(59.5), seen_bar(60), seen_trade(60.5), seen_bar(120)]

    output = recorded(some)

    bars = of(Bar, events(output, "test.bars"))
    assert [bar.ts_open for bar in bars] == [at(0), at(60)]
    ticks = [*bars, *of(Trade, events(output))]
    assert len({(tick.session, tick.seq) for tick in ticks}) == 5
    assert [e.counts for e in of(End, events(output, "test.bars"))] == [2]


def test_a_bar_may_leave_out_what_its_source_does_not_give():
    absent = dict.fromkeys(("volume", "quote_volume", "vwap", "trades_count"))

    [bar] = of(Bar, events(recorded([seen_bar(60, **absent)]), "test.bars"))

    assert [getattr(bar, name) for name in absent] == [None] * 4


def test_bars_alone_are_a_session_whose_time_goes_from_one_to_the_next():
    days = [seen_bar(86_400 * n, interval="1d", ts_open=at(86_400 * (n - 1))) for n in range(1, 9)]

    some = events(recorded(days), "test.bars")

    assert len(of(Bar, some)) == 8
    assert some[0].source_time == at(86_400)
    assert some[-1].source_time == at(8 * 86_400)


@pytest.mark.parametrize(
    "bad",
    [
        seen_bar(1, high=100.5),
        seen_bar(1, low=100.5),
        seen_bar(1, low=103.0, high=98.0),
        seen_bar(1, open=-100.0, low=-100.0),
        seen_bar(1, close=NAN),
        seen_bar(1, close=100.1234567891),
        seen_bar(1, volume="-1"),
        seen_bar(1, volume="NaN"),
        seen_bar(1, volume="1e400"),
        seen_bar(1, volume="0.1234567891"),
        seen_bar(1, volume="\u0661"),
        seen_bar(1, volume=1.5),
        seen_bar(1, quote_volume="1" * 100),
        seen_bar(1, vwap=NAN),
        seen_bar(1, vwap=0.0),
        seen_bar(1, trades_count=-1),
        seen_bar(1, ts_open=at(1)),
        seen_bar(1, ts_open=0),
        seen_bar(1, interval="7m"),
        seen_bar(1, interval=["1m"]),
        seen_bar(1, price_type="last"),
        seen_bar(1, adjustment="some"),
        seen_bar(1, source=""),
        seen_bar(1, source=None),
        seen_bar(1, instrument="aaa.sim"),
    ],
    ids=repr,
)
def test_a_bad_bar_is_a_dead_letter_and_its_neighbours_are_unharmed(bad):
    output = recorded([seen_trade(0), seen_trade(0.5), bad, seen_bar(1), seen_trade(1.5)])

    assert len(of(Bar, events(output, "test.bars"))) == 1
    assert len(of(Trade, events(output))) == 3
    [letter] = output.letters
    assert letter.topic == "test.bars"
    assert letter.reason
    assert letter.value
