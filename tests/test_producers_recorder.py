"""The recorder: order, time and control events, from observations alone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import at
from producers.feed import Elapsed, Lost, Rejected, Restored
from producers_builders import (
    PARTITIONS,
    events,
    new_recorder,
    of,
    recorded,
    seen_bar,
    seen_book,
    seen_quote,
    seen_trade,
)
from schemas.events import Clock, End, Quote, Start, Trade

NAN = float("nan")
YEAR_2261 = 9_190_000_000_000_000_000


def test_start_comes_first_in_every_partition_with_the_time_of_the_first_tick():
    output = recorded([seen_trade(1), seen_trade(2)])

    for topic in ("trades", "books", "quotes", "bars"):
        for partition in range(PARTITIONS):
            first, *_, last = events(output, f"test.{topic}", partition)
            assert isinstance(first, Start)
            assert (first.source_time, first.seq) == (at(1), 0)
            assert isinstance(last, End)


def test_copies_of_a_control_event_share_one_seq_and_every_tick_has_its_own():
    output = recorded([seen_trade(n / 10, instrument=f"S{n % 5}.SIM") for n in range(50)])

    seqs: dict[int, set[str]] = {}
    for topic, partition in {(topic, partition) for topic, partition, *_ in output.records}:
        lane = events(output, topic, partition)
        assert [e.seq for e in lane] == sorted({e.seq for e in lane})
        for event in lane:
            seqs.setdefault(event.seq, set()).add(type(event).__name__)

    assert sorted(seqs) == list(range(len(seqs)))
    assert all(len(kinds) == 1 for kinds in seqs.values())


def test_clocks_come_at_fixed_multiples_before_what_was_received_after_them():
    trades = events(recorded([seen_trade(n / 10) for n in range(12)]))

    assert [e.source_time for e in of(Clock, trades)] == [at(s) for s in (0.25, 0.5, 0.75, 1.0)]
    passed = at(0)
    for event in trades[1:-1]:
        if isinstance(event, Clock):
            passed = event.source_time
        else:
            assert event.ts_event >= passed


def test_a_long_quiet_time_makes_one_clock_and_not_a_storm():
    trades = events(recorded([seen_trade(0), seen_trade(0), Elapsed(ts_recv=at(3_600))]))

    assert [e.source_time for e in of(Clock, trades)] == [at(3_600)]


def test_time_goes_on_in_a_quiet_market():
    quiet = [Elapsed(ts_recv=at(n / 10)) for n in range(1, 11)]

    trades = events(recorded([seen_trade(0), seen_trade(0), *quiet]))

    assert [e.source_time for e in of(Clock, trades)] == [at(s) for s in (0.25, 0.5, 0.75, 1.0)]


def test_one_tick_from_the_year_2261_is_a_dead_letter_and_moves_nothing():
    some = [seen_trade(n / 10) for n in range(10)]
    some.insert(5, seen_trade(0.45, ts_event=YEAR_2261))

    output = recorded(some)

    assert len(of(Trade, events(output))) == 10
    assert max(e.source_time for e in of(Clock, events(output))) < at(1)
    [letter] = output.letters
    assert "ahead" in letter.reason
    assert letter.topic == "test.trades"


@pytest.mark.parametrize("place", [0, 1, 9, 10])
def test_a_tick_from_the_future_harms_none_wherever_it_comes(place):
    some = [seen_trade(n / 10) for n in range(10)]
    some.insert(place, seen_trade(place / 10, ts_event=YEAR_2261))

    output = recorded(some)

    assert len(of(Trade, events(output))) == 10
    assert len(output.letters) == 1


def test_a_session_of_one_tick_is_recorded():
    start, tick, end = events(recorded([seen_trade(7)]))

    assert (start.source_time, tick.ts_event, end.source_time) == (at(7), at(7), at(7))


def test_a_session_without_ticks_has_a_start_and_an_end():
    assert [type(e) for e in events(recorded([]))] == [Start, End]


def test_what_comes_before_the_time_is_known_is_held_back_and_then_published_in_order():
    quotes = [seen_quote(0, recv=n, ts_event=0) for n in range(3)]

    output = recorded([*quotes, seen_trade(10, recv=3), seen_trade(10, recv=3)])

    first, *held, _ = events(output, "test.quotes")
    assert first.source_time == at(10)
    assert [e.ts_recv for e in held if not isinstance(e, Clock)] == [at(0), at(1), at(2)]


def test_a_venue_without_times_gets_the_source_time_at_receipt():
    some = [seen_trade(10, recv=0), seen_trade(10, recv=0), seen_quote(0, recv=2, ts_event=0)]

    [quote] = [e for e in events(recorded(some), "test.quotes") if e.__class__.__name__ == "Quote"]

    assert quote.ts_event == at(12)


def test_counts_are_the_ticks_written_to_the_partition_before():
    some = [seen_trade(n / 20, instrument=f"S{n % 3}.SIM") for n in range(40)]
    some += [seen_book(2 + n / 20) for n in range(20)]
    output = recorded(some)

    for topic in ("test.trades", "test.books", "test.quotes"):
        for partition in range(PARTITIONS):
            ticks = 0
            for event in events(output, topic, partition):
                if isinstance(event, Start | Clock | End):
                    assert event.counts == ticks
                else:
                    ticks += 1


def test_a_trade_that_comes_twice_is_published_once_and_counted():
    recorder = new_recorder()
    ids = ["1", "2", "1", None, None, "2"]
    some = [seen_trade(n, trade_id=name) for n, name in enumerate(ids)]
    other = seen_trade(6, trade_id="1", instrument="CCC.SIM")

    recorder.record([*some, other])

    assert recorder.lanes.counts["trades"] == 5
    assert recorder.dropped["trades", "duplicate"] == 2


def test_the_window_of_trade_ids_is_bounded():
    recorder = new_recorder(trade_ids_max=10)

    recorder.record([seen_trade(n, trade_id=str(n % 100)) for n in range(200)])

    assert not recorder.dropped


@pytest.mark.parametrize(
    "bad",
    [
        seen_trade(1, price=NAN),
        seen_trade(1, price=float("inf")),
        seen_trade(1, price=-1.0),
        seen_trade(1, price=0.0),
        seen_trade(1, size=-1.0),
        seen_trade(1, size=0.1234567891),
        seen_trade(1, price=1234567890.1234567),
        seen_trade(1, price="100"),
        seen_trade(1, price=None),
        seen_trade(1, side="up"),
        seen_trade(1, instrument="aaa.sim"),
        seen_trade(1, instrument=""),
        seen_trade(1, instrument=None),
        seen_trade(1, trade_id="\ud800"),
        seen_trade(1, trade_id="x" * 300_000),
        seen_trade(1, ts_event=1_760_000_401),
        seen_trade(1, ts_event=2**63),
        seen_trade(1, ts_event=-1),
        seen_book(1, bids=[(101.0, 1.0)]),
        seen_book(1, bids=[(98.0, 1.0), (99.0, 1.0)]),
        seen_book(1, asks=[(102.0, 1.0), (101.0, 1.0)]),
        seen_book(1, asks=[(101.0, 0.0)]),
        seen_book(1, asks=[(101.0, NAN)]),
        seen_book(1, asks=[(101.0,)]),
        seen_quote(1, bid_price=-99.0),
        seen_quote(1, ask_size=-1.0),
        Rejected(ts_recv=at(1), value=b"garbage", reason="not a frame"),
    ],
    ids=repr,
)
def test_a_bad_tick_is_a_dead_letter_and_its_neighbours_are_unharmed(bad):
    output = recorded([seen_trade(0), seen_trade(0.5), bad, seen_trade(1), seen_trade(1.5)])

    assert len(of(Trade, events(output))) == 4
    [letter] = output.letters
    assert letter.reason
    assert letter.value
    assert [e.counts for e in of(End, events(output))] == [4]


def test_a_crossed_quote_is_a_fact_of_the_market():
    some = events(recorded([seen_quote(1, bid_price=102.0), seen_quote(2)]), "test.quotes")

    assert [(q.bid_price, q.ask_price) for q in of(Quote, some)] == [(102.0, 101.0), (99.0, 101.0)]


SOME = st.one_of(
    st.builds(seen_trade, st.floats(0, 5), trade_id=st.sampled_from([None, "1", "2", "3"])),
    st.builds(seen_trade, st.floats(0, 5), instrument=st.sampled_from(["BBB.SIM", "bad"])),
    st.builds(seen_book, st.floats(0, 5)),
    st.builds(seen_bar, st.floats(0, 5)),
    st.builds(lambda: seen_trade(0, ts_event=YEAR_2261)),
    st.builds(lambda: seen_quote(0, ts_event=0)),
    st.builds(lambda: Lost(ts_recv=0, reason="lost")),
    st.builds(lambda: Lost(ts_recv=0, reason="lost", instruments=("AAA.SIM",))),
    st.builds(lambda: Restored(ts_recv=0)),
    st.builds(lambda: Elapsed(ts_recv=0)),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(SOME, st.floats(0, 2)), max_size=40), st.integers(1, 10))
def test_any_batching_gives_the_same_bytes_and_clocks_never_fall(some, batch):
    now, observations = 0.0, []
    for observation, passed in some:
        now += passed
        observation.ts_recv = at(now)
        observations.append(observation)

    whole, cut = recorded(observations), recorded(observations, batch=batch)

    assert cut.records == whole.records
    assert cut.letters == whole.letters
    clocks = [e.source_time for e in of(Clock, events(whole))]
    assert clocks == sorted(set(clocks))
    ends = of(End, events(whole))
    assert ends == events(whole)[-1:]
