"""Source time: the newest exchange time seen plus the receive time passed since."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from producers.source_clock import SourceClock, Verdict

AHEAD = 10
YEAR_2261 = 9_200_000_000


def running(ts_event: int = 1_000, ts_recv: int = 2_000) -> SourceClock:
    clock = SourceClock(AHEAD)
    clock.observe(ts_event, ts_recv)
    clock.observe(ts_event, ts_recv)
    return clock


def test_the_first_tick_counts_when_the_next_one_agrees():
    clock = SourceClock(AHEAD)

    verdicts = [clock.observe(1_000, 2_000), clock.observe(1_003, 2_004)]

    assert verdicts == [Verdict.HELD, Verdict.CONFIRMED]
    assert clock.at(2_004) == 1_003


def test_a_first_tick_from_the_future_is_outvoted():
    clock = SourceClock(AHEAD)

    for ts_event in (YEAR_2261, 1_000, 1_001):
        clock.observe(ts_event, 2_000)

    assert clock.at(2_000) == 1_001


def test_receive_time_passes_when_nothing_happens():
    assert running().at(2_500) == 1_500


def test_a_skewed_receive_clock_does_no_harm():
    clock = running(ts_event=5_000_000, ts_recv=10)

    assert clock.at(15) == 5_000_005


def test_one_tick_from_the_future_does_not_move_time():
    clock = running()

    assert clock.observe(YEAR_2261, 2_001) is Verdict.HELD
    assert clock.observe(1_002, 2_002) is Verdict.ACCEPTED
    assert clock.at(2_002) == 1_002


def test_two_ticks_from_the_future_that_disagree_do_not_move_time():
    clock = running()

    assert clock.observe(YEAR_2261, 2_001) is Verdict.HELD
    assert clock.observe(YEAR_2261 - 1_000, 2_002) is Verdict.HELD
    assert clock.at(2_002) == 1_002


def test_a_jump_of_the_market_clock_is_followed_when_it_is_confirmed():
    clock = running()

    assert clock.observe(4_000, 2_001) is Verdict.HELD
    assert clock.observe(4_001, 2_002) is Verdict.CONFIRMED
    assert clock.at(2_003) == 4_002


def test_time_spent_blocked_is_not_added():
    clock = running()

    clock.stop(400)

    assert clock.at(2_500) == 1_100


@given(st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 50)), max_size=60))
def test_time_never_falls(ticks):
    clock, ts_recv, reached = running(), 2_000, 0

    for ts_event, passed in ticks:
        ts_recv += passed
        clock.observe(ts_event, ts_recv)
        assert clock.at(ts_recv) >= reached
        reached = clock.at(ts_recv)
