"""Questions about candles, answered out of a real QuestDB."""

from __future__ import annotations

import pytest

from builders import at, clock, end, gap, start, trade
from consumers.store import reader
from consumers.store.query import Query, answer, minutes
from consumers.store.sinks.books import BookSink
from consumers.store.sinks.candles import CandleSink
from consumers.store.sinks.feed_events import FeedEventSink
from consumers.store.sinks.trades import TradeSink
from consumers_builders import book, candle
from schemas.errors import SettingsError
from schemas.events import End
from streams.candles.aggregate import aggregate

pytestmark = pytest.mark.stack
WAIT_S = 30


def test_a_recording_is_known_as_far_as_its_candles_are_closed(client, db, session, instrument):
    own, other = {"session": f"{session}a"}, {"session": f"{session}b"}
    CandleSink(client).write([candle(5, instrument=instrument, **own)])
    BookSink(client).write([book(5, instrument=instrument, **other)])
    FeedEventSink(client).write(
        [
            start(1, seq=0, **own),
            gap(2, 3, seq=1, instruments=("ELSE.SIM",), **own),
            gap(3, 4, seq=2, instruments=("ELSE.SIM", instrument), **own),
            clock(60, seq=3, **own),
            start(1, seq=0, **other),
            gap(7, 8, seq=1, **other),
            clock(60, seq=2, **other),
            End(epoch=9, seq=2**52, source_time=0, state="failed", **other),
            start(0, seq=0, session=f"{session}c"),
        ]
    )
    reader.wait_applied(db, WAIT_S)

    assert reader.recordings(db, instrument) == [
        (own["session"], at(1), at(58), ((at(3), at(4)),)),
        (other["session"], at(1), at(60), ((at(7), at(8)),)),
    ]
    assert [r.session for r in reader.recordings(db, instrument, other["session"])] == [
        other["session"]
    ]


def test_a_minute_whose_candle_is_still_to_come_is_not_quiet(client, db, session, instrument):
    own = {"session": session, "instrument": instrument}
    CandleSink(client).write([candle(5, **own)])
    TradeSink(client).write([trade(5.5, **own)])
    FeedEventSink(client).write([start(0, session=session), clock(600, session=session, seq=9)])
    reader.wait_applied(db, WAIT_S)

    (idle,) = reader.recordings(db, instrument)
    TradeSink(client).write([trade(300, seq=1, **own)])
    reader.wait_applied(db, WAIT_S)
    (behind,) = reader.recordings(db, instrument)

    assert (idle.until, behind.until) == (at(598), at(6))


def test_sessions_are_put_together_from_their_best_parts(client, db, session, instrument):
    """What is asked by minutes of seconds: a gap that the other session fills, and a seam."""

    def second(seconds, suffix, **fields):
        return candle(seconds, session=session + suffix, instrument=instrument, **fields)

    a, b = {"session": f"{session}a"}, {"session": f"{session}b"}
    CandleSink(client).write(
        [
            *(second(n, "a", flags=("gap",) if n == 30 else ()) for n in range(0, 90, 10)),
            *(second(n, "b", trades_count=3) for n in (20, 30, 40)),
            *(second(n, "b") for n in (130, 179)),
        ]
    )
    FeedEventSink(client).write(
        [
            *(start(0, seq=0, **a), gap(25, 35, seq=1, **a), end(100, seq=2, **a)),
            *(start(10, seq=0, **b), gap(60, 110, seq=1, **b), end(180, seq=2, **b)),
        ]
    )
    reader.wait_applied(db, WAIT_S)
    query = Query(instrument=instrument, interval="1m", from_interval="1s")

    rows, coverage = answer(db, query, aggregate)

    assert [(row["trades_count"], row["flags"]) for row in rows] == [
        *((12, []), (3, ["gap"]), (2, [])),
    ]
    assert coverage.holes == [(at(100), at(110))]
    assert [(s.kind, s.minutes) for s in minutes(db, query, aggregate)] == [
        *(("present", 1), ("damaged", 1), ("present", 1)),
    ]


def test_a_query_bounds_whole_bars_and_fills_to_its_end(client, db, session, instrument):
    own = {"session": session, "instrument": instrument}
    minute = {"interval": "1m", **own}
    CandleSink(client).write(
        [candle(60 * n, ts_close=at(60 * n + 60), **minute) for n in (0, 4, 5, 9, 10)]
    )
    reader.wait_applied(db, WAIT_S)

    def asked(**options):
        query = Query(instrument=instrument, session=session, **options)
        return [
            (row["ts_open"], row["trades_count"], row["flags"])
            for row in answer(db, query, aggregate).rows
        ]

    parts = {"interval": "5m", "from_interval": "1m"}
    assert asked(**parts, since=at(60), until=at(301)) == [(at(300), 2, [])]
    assert asked(**parts, until=at(300)) == [(at(0), 2, [])]
    assert asked(interval="1m", since=at(300), until=at(480), fill="previous") == [
        *((at(300), 1, []), (at(360), 0, ["filled"]), (at(420), 0, ["filled"])),
    ]


def test_a_query_that_cannot_be_answered_whole_is_refused(
    client, db, session, instrument, monkeypatch
):
    minute = {"interval": "1m", "session": session, "instrument": instrument}
    CandleSink(client).write([candle(60 * n, ts_close=at(60 * n + 60), **minute) for n in (0, 9)])
    reader.wait_applied(db, WAIT_S)
    monkeypatch.setattr(reader, "ROWS_MAX", 5)

    with pytest.raises(SettingsError, match="too many"):
        answer(db, Query(instrument=instrument, interval="1m", fill="null"), aggregate)
    with pytest.raises(SettingsError, match="recording"):
        answer(db, Query(instrument=instrument, interval="1m", session="a", source="b"), aggregate)
    monkeypatch.setattr(reader, "ROWS_MAX", 1)
    with pytest.raises(SettingsError, match="since"):
        reader.candles(db, instrument, "1m")


def test_minutes_are_told_of_seconds_if_there_are_no_others(client, db, session, instrument):
    own = {"session": session, "instrument": instrument}
    hourly = {"instrument": f"{instrument}-H", "session": session, "interval": "1h"}
    CandleSink(client).write([candle(5, **own), candle(125, **own), candle(0, **hourly)])
    FeedEventSink(client).write([start(0, session=session), end(180, session=session, seq=1)])
    reader.wait_applied(db, WAIT_S)
    query = Query(instrument=instrument, interval="1m")

    told = minutes(db, query, aggregate)

    assert [(s.kind, s.ts_from, s.ts_to) for s in told] == [
        ("present", at(0), at(60)),
        ("quiet", at(60), at(120)),
        ("present", at(120), at(180)),
    ]
    with pytest.raises(SettingsError, match=r"stream\.intervals"):
        minutes(db, Query(instrument=hourly["instrument"], interval="1m"), aggregate)
