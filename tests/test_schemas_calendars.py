"""Candles begin and end where traders mean them to."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bucket_oracle
from schemas.calendars import Calendar, calendar_of, check_calendar
from schemas.errors import UnknownNameError
from schemas.events import NS_PER_S
from schemas.intervals import INTERVALS, longest_ns, nests

CALENDARS = ("24/7", "America/New_York@17:00", "XNYS", "XTKS", "CMES")


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS_PER_S


def text(ts: int) -> str:
    return datetime.fromtimestamp(ts // NS_PER_S, UTC).strftime("%m-%d %H:%M")


BEGAN = ns("2026-03-01")
MOMENTS = st.integers(ns("2026-02-20"), ns("2027-01-20"))


def calendar(name: str) -> Calendar:
    return calendar_of(name, BEGAN)


@settings(deadline=None)
@given(st.sampled_from(CALENDARS), st.sampled_from(INTERVALS), MOMENTS)
def test_every_moment_has_the_candle_that_dates_give_it(name: str, interval: str, ts: int) -> None:
    at, second = calendar(name).place(ts)
    expected = bucket_oracle.place(ts, name)

    assert (at if second is not None else None) == expected
    if expected is not None:
        ts_open, ts_close = calendar(name).bounds(interval, at)
        assert (ts_open, ts_close) == bucket_oracle.bounds(interval, at, name)
        assert ts_open <= at < ts_close
        assert ts_close - ts_open <= longest_ns(interval)


@settings(deadline=None)
@given(st.sampled_from(CALENDARS), st.sampled_from(INTERVALS), st.sampled_from(INTERVALS), MOMENTS)
def test_what_nests_is_wholly_inside(name: str, fine: str, coarse: str, ts: int) -> None:
    at, second = calendar(name).place(ts)
    if second is None or not nests(fine, coarse):
        return
    inner, outer = (calendar(name).bounds(interval, at) for interval in (fine, coarse))

    assert outer[0] <= inner[0]
    assert inner[1] <= outer[1]


@pytest.mark.parametrize(
    ("name", "interval", "moment", "expected"),
    [
        ("24/7", "1w", "2026-03-05T10:00", ("03-02 00:00", "03-09 00:00")),
        ("24/7", "1M", "2026-02-28T23:59", ("02-01 00:00", "03-01 00:00")),
        ("24/7", "12h", "2026-03-05T13:00", ("03-05 12:00", "03-06 00:00")),
        # Daylight saving began on 8 March 2026: New York opens an hour earlier in UTC.
        ("XNYS", "1d", "2026-03-06T15:00", ("03-06 14:30", "03-06 21:00")),
        ("XNYS", "1d", "2026-03-09T15:00", ("03-09 13:30", "03-09 20:00")),
        ("XNYS", "2h", "2026-03-06T20:59", ("03-06 20:30", "03-06 21:00")),
        ("XNYS", "1h", "2026-11-27T17:45", ("11-27 17:30", "11-27 18:00")),
        ("XTKS", "1h", "2026-03-06T02:10", ("03-06 02:00", "03-06 02:30")),
        ("XTKS", "1h", "2026-03-06T03:40", ("03-06 03:30", "03-06 04:30")),
        ("NY17", "1d", "2026-03-08T05:00", ("03-07 22:00", "03-08 21:00")),
        ("NY17", "1w", "2026-03-08T22:00", ("03-08 21:00", "03-15 21:00")),
        ("CME1700CT", "1d", "2026-03-05T23:30", ("03-05 23:00", "03-06 23:00")),
        ("Europe/Berlin@00:00", "1d", "2026-03-29T12:00", ("03-28 23:00", "03-29 22:00")),
    ],
)
def test_known_candles_of_known_venues(
    name: str, interval: str, moment: str, expected: tuple[str, str]
) -> None:
    ts_open, ts_close = calendar(name).bounds(interval, ns(moment))

    assert (text(ts_open), text(ts_close)) == expected


def test_a_closing_print_counts_before_the_close_and_later_ones_not_at_all() -> None:
    close = ns("2026-11-27T18:00")
    hours = calendar("XNYS")

    assert hours.place(close - 1) == (close - 1, close // NS_PER_S - 1)
    assert hours.place(close + 59 * NS_PER_S) == (close - 1, close // NS_PER_S - 1)
    assert hours.place(close + 60 * NS_PER_S)[1] is None
    assert hours.place(ns("1999-01-01"))[1] is None
    assert hours.place(ns("2200-01-01"))[1] is None


@pytest.mark.parametrize("name", ["XXXX", "Mars/Base@17:00", "America/New_York@25:00", ""])
def test_an_unknown_calendar_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(UnknownNameError, match="NY17"):
        check_calendar(name)
