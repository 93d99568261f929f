"""What is known of a time, of one recording and of several together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import at
from consumers.store.coverage import MINUTE_NS, Coverage, Recording


def recorded(since, until, *gaps, session="a"):
    """Make a recording; times in seconds."""
    spans = tuple((at(ts_from), at(ts_to)) for ts_from, ts_to in gaps)
    return Recording(session, at(since), at(until), spans)


def minute(number, *flags):
    ts_open = at(60 * number)
    return {"ts_open": ts_open, "ts_close": ts_open + MINUTE_NS, "flags": list(flags)}


def told(coverage, candles, since, until):
    """Return kinds with the number of their minutes, since minutes in the test's own time."""
    stretches = coverage.minutes(candles, at(60 * since), at(60 * until))
    assert [s.ts_from for s in stretches[1:]] == [s.ts_to for s in stretches[:-1]]
    return [(stretch.kind, stretch.minutes) for stretch in stretches]


def test_minutes_are_present_damaged_quiet_or_in_a_gap():
    coverage = Coverage([recorded(0, 600, (250, 290), (400, 401))])
    candles = [minute(0), minute(1), minute(2, "gap"), minute(9, "partial")]

    assert told(coverage, candles, 0, 12) == [
        *(("present", 2), ("damaged", 1), ("quiet", 1), ("gap", 1), ("quiet", 1)),
        *(("gap", 1), ("quiet", 2), ("damaged", 1), ("gap", 2)),
    ]


def test_a_minute_that_a_recording_begins_or_ends_in_is_not_known_to_be_quiet():
    assert told(Coverage([recorded(30, 150)]), [], 0, 4) == [
        *(("gap", 1), ("quiet", 1), ("gap", 2)),
    ]


def test_what_one_recording_missed_another_may_have():
    both = Coverage([recorded(0, 300, (60, 120)), recorded(50, 130, session="b")])

    assert both.holes == []
    assert told(both, [], 0, 5) == [("quiet", 5)]
    assert both.flags(at(60), at(120)) == ()


def test_a_seam_is_a_gap_and_the_ends_are_partial():
    coverage = Coverage([recorded(10, 100), recorded(110, 200, session="b")])

    assert coverage.flags(at(0), at(60)) == ("partial",)
    assert coverage.flags(at(60), at(120)) == ("gap",)
    assert coverage.flags(at(100), at(110)) == ("gap",)
    assert coverage.flags(at(0), at(300)) == ("gap", "partial")
    assert coverage.flags(at(110), at(200)) == ()
    assert coverage.holes_within(at(105), at(400)) == [(at(105), at(110))]


def test_a_gap_at_the_end_does_not_make_a_recording_shorter():
    coverage = Coverage([recorded(0, 120, (100, 130))])

    assert coverage.flags(at(60), at(120)) == ("gap",)
    assert coverage.flags(at(120), at(180)) == ("gap", "partial")
    assert Coverage([recorded(0, 60, (0, 60))]).flags(at(0), at(60)) == ("gap",)


def test_nothing_recorded_says_nothing_of_candles_and_leaves_minutes_a_gap():
    nothing = Coverage([])

    assert nothing.flags(at(0), at(60)) == ()
    assert told(nothing, [minute(1)], 0, 3) == [("gap", 1), ("present", 1), ("gap", 1)]
    assert Coverage([recorded(5, 5)]).known == []


def test_minutes_cut_by_the_question_are_left_out():
    coverage = Coverage([recorded(0, 600)])
    stretches = coverage.minutes([minute(0), minute(5)], at(30), at(330))

    assert [(s.kind, s.ts_from, s.ts_to) for s in stretches] == [("quiet", at(60), at(300))]


@pytest.mark.parametrize(("since", "until"), [(60, 60), (120, 60), (61, 119)])
def test_a_question_without_a_whole_minute_has_no_answer(since, until):
    assert Coverage([recorded(0, 600)]).minutes([minute(1)], at(since), at(until)) == []


def test_centuries_without_a_recording_are_one_stretch():
    (stretch,) = Coverage([]).minutes([], 0, 2**63 - 1)

    assert stretch.kind == "gap"


SPANS = st.lists(
    st.tuples(st.integers(0, 600), st.integers(0, 120)).map(lambda s: (s[0], s[0] + s[1])),
    max_size=4,
)


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(1, 300), SPANS), max_size=4))
def test_every_second_is_known_as_a_plain_look_at_all_recordings_says(recordings):
    coverage = Coverage([recorded(s, s + n, *gaps) for s, n, gaps in recordings])

    for second in range(0, 800, 7):
        known = any(
            s <= second < s + n and not any(a <= second < b for a, b in gaps)
            for s, n, gaps in recordings
        )
        assert known == any(a <= at(second) < b for a, b in coverage.known)
        assert not (known and any(a <= at(second) < b for a, b in coverage.holes))
