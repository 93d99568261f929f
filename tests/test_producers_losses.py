"""Losses: time stands still, then the gap is known."""

from __future__ import annotations

from builders import at
from producers.feed import Elapsed, Lost, Note, Restored
from producers_builders import (
    events,
    of,
    recorded,
    seen_trade,
)
from schemas.events import Clock, End, Gap, Status


def test_no_clock_is_written_from_a_loss_until_it_is_restored_and_then_the_gap_is():
    some = [
        seen_trade(0),
        seen_trade(0.5),
        Lost(ts_recv=at(0.6), reason="lost", instruments=("AAA.SIM",)),
        *(Elapsed(ts_recv=at(n / 10)) for n in range(7, 50)),
        seen_trade(3.0, recv=5),
        Restored(ts_recv=at(5), instruments=("AAA.SIM",)),
        seen_trade(5.5),
    ]

    trades = events(recorded(some))

    [gap] = of(Gap, trades)
    assert (gap.ts_from, gap.ts_to) == (at(0.5), at(5))
    assert gap.instruments == ("AAA.SIM",)
    place = trades.index(gap)
    assert [e.source_time for e in of(Clock, trades[:place])] == [at(0.5)]
    assert [e.source_time for e in of(Clock, trades[place:])] == [at(5)]


def test_a_loss_that_lasts_lets_time_go_on_and_ends_with_a_second_gap():
    some = [
        seen_trade(0),
        seen_trade(0),
        Lost(ts_recv=at(1), reason="lost"),
        Elapsed(ts_recv=at(12)),
        Elapsed(ts_recv=at(13)),
        Restored(ts_recv=at(20)),
    ]

    trades = events(recorded(some, disconnect_ms_max=10_000))

    spans = [(g.ts_from, g.ts_to) for g in of(Gap, trades)]
    assert spans == [(at(0), at(12)), (at(12), at(20))]
    assert of(Clock, trades)


def test_overlapping_losses_of_different_instruments_make_a_gap_each():
    some = [
        seen_trade(0),
        seen_trade(0),
        Lost(ts_recv=at(1), reason="a", instruments=("AAA.SIM",)),
        Lost(ts_recv=at(2), reason="b", instruments=("BBB.SIM",)),
        Restored(ts_recv=at(3), instruments=("AAA.SIM",)),
        Elapsed(ts_recv=at(4)),
        Restored(ts_recv=at(5), instruments=("BBB.SIM",)),
    ]

    trades = events(recorded(some))

    gaps = of(Gap, trades)
    assert [(g.reason, g.instruments) for g in gaps] == [("a", ("AAA.SIM",)), ("b", ("BBB.SIM",))]
    assert not of(Clock, trades[trades.index(gaps[0]) : trades.index(gaps[1])])


def test_a_loss_at_the_end_is_a_gap_before_the_end():
    some = [seen_trade(0), seen_trade(0), Lost(ts_recv=at(1), reason="lost")]

    *_, gap, end = events(recorded(some))

    assert isinstance(gap, Gap)
    assert isinstance(end, End)
    assert gap.ts_from < gap.ts_to


def test_a_note_is_a_status_and_changes_no_data():
    some = [seen_trade(0), seen_trade(0), Note(ts_recv=at(1), reason="resync")]

    [status] = of(Status, events(recorded(some)))

    assert status.reason == "resync"
