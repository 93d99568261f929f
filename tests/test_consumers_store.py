"""What is written to a real QuestDB comes back as it was, once."""

from __future__ import annotations

from math import ulp

import msgspec
import pytest

from builders import at, clock, gap, start, trade
from consumers.store import reader
from consumers.store.client import IngestClient
from consumers.store.sinks.books import BookSink
from consumers.store.sinks.candles import CandleSink
from consumers.store.sinks.feed_events import FeedEventSink
from consumers.store.sinks.trades import TradeSink
from consumers.store.sql import database
from consumers_builders import book, candle, frame_of
from schemas.errors import RejectedError, UnavailableError, UnknownNameError
from schemas.events import Candle, End, Status
from schemas.tables import TIMES, book_columns

pytestmark = pytest.mark.stack
WAIT_S = 30


def rows_of(db, query, session):
    reader.wait_applied(db, WAIT_S)
    return db.rows(query, session=session)


def test_a_trade_comes_back_to_the_nanosecond(client, db, session, instrument):
    sent = trade(
        0.123456789,
        price=60123.45,
        size=1e-9,
        side="sell",
        trade_id='a,b ="c"\\\n\'ж',
        session=session,
        instrument=instrument,
        seq=2**62,
    )
    TradeSink(client).write([sent, trade(1, session=session, instrument=instrument)])

    (row, other) = rows_of(
        db,
        "SELECT instrument, seq, ts_event::long AS ts_event, ts_recv::long AS ts_recv, price,"
        " size, side, trade_id FROM tick_prices WHERE session = %(session)s ORDER BY seq DESC",
        session,
    )

    assert row == {name: getattr(sent, name) for name in row}
    assert other["trade_id"] is None


def test_the_newest_book_comes_back_with_nulls_where_levels_are_missing(
    client, db, session, instrument
):
    newest = book(
        1.000000001,
        bids=[(9.5, 1.0), (9.0, 2.0), (8.5, 3.0), (8.0, 4.0)],
        asks=[(10.0, 5.0)],
        update_id=77,
        session=session,
        instrument=instrument,
        seq=2,
    )
    older = book(1, session=session, instrument=instrument, seq=1)
    BookSink(client).write([newest, older])
    reader.wait_applied(db, WAIT_S)

    row = reader.book(db, instrument)

    assert [row[name] for name in book_columns()] == [
        *(9.5, 1.0, 9.0, 2.0, 8.5, 3.0),
        *(10.0, 5.0, None, None, None, None),
    ]
    assert (row["ts_event"], row["update_id"]) == (newest.ts_event, 77)


def test_a_candle_comes_back_as_its_event_says(client, db, session, instrument):
    sent = candle(
        quote_volume="1234567890123456789012345678901234.123456789012345678",
        volume="12345678901234567890.000000001",
        buy_volume="10",
        vwap=100.1 + ulp(100.1),
        flags=("gap", "partial"),
        session=session,
        instrument=instrument,
    )
    CandleSink(client).write([sent])
    reader.wait_applied(db, WAIT_S)

    (found,) = reader.candles(db, instrument, "1s")

    assert msgspec.convert(found | {"epoch": 1, "seq": 0}, Candle) == sent


def test_writing_twice_adds_no_row(client, db, session, instrument):
    own = {"session": session, "instrument": instrument}
    trades = [trade(0, seq=seq, **own) for seq in range(50)]
    for _ in range(2):
        TradeSink(client).write(trades + trades[:10])
        BookSink(client).write([book(0, seq=seq, **own) for seq in range(50)])
        CandleSink(client).write([candle(i, **own) for i in range(50)])
    reader.wait_applied(db, WAIT_S)

    assert reader.counts(db, session) == {"trades": 50, "books": 50, "candles": 50}


def test_a_refused_frame_leaves_no_row(client, db, session):
    with pytest.raises(RejectedError, match="overflow"):
        TradeSink(client).write(
            [trade(session=session), trade(session=session, ts_event=2**63 - 1, seq=1)]
        )

    reader.wait_applied(db, WAIT_S)
    assert reader.counts(db, session)["trades"] == 0


def test_a_server_that_is_away_is_said_to_be_unavailable(settings):
    nowhere = settings.questdb.model_copy(update={"http_port": 1, "pg_port": 1})

    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:1"):
        TradeSink(IngestClient(nowhere)).write([trade()])
    with pytest.raises(UnavailableError, match=r"questdb\.pg_port"), database(nowhere):
        pass


def test_the_last_revision_is_read_and_sessions_are_stitched(client, db, session, instrument):
    def one(seconds, suffix, **fields):
        own = {"session": session + suffix, "instrument": instrument}
        return candle(seconds, **own, **fields)

    CandleSink(client).write(
        [
            one(0, "a", close=1.0),
            one(0, "a", close=2.0, revision=1),
            one(0, "b", flags=("partial",), trades_count=9),
            one(1, "a", flags=("gap",), trades_count=9),
            one(1, "b", flags=("partial",)),
            one(2, "a", trades_count=2),
            one(2, "b", trades_count=3),
            one(3, "a"),
            one(3, "b"),
        ]
    )
    reader.wait_applied(db, WAIT_S)

    stitched = reader.candles(db, instrument, "1s")
    of_one = reader.candles(db, instrument, "1s", session=f"{session}b")
    part = reader.candles(
        db, instrument, "1s", since=stitched[1]["ts_open"], until=stitched[3]["ts_open"]
    )

    assert [row["session"].removeprefix(session) for row in stitched] == ["a", "b", "b", "a"]
    assert stitched[0]["close"] == 2.0
    assert {row["session"] for row in of_one} == {f"{session}b"}
    assert part == stitched[1:3]


def test_an_unknown_instrument_is_told_those_that_are_known(client, db, session, instrument):
    TradeSink(client).write([trade(session=session, instrument=instrument)])
    reader.wait_applied(db, WAIT_S)

    assert reader.candles(db, instrument, "1m") == []
    assert reader.book(db, instrument) is None
    with pytest.raises(UnknownNameError, match="known: "):
        reader.candles(db, f"{instrument}X", "1m")
    with pytest.raises(UnknownNameError, match="1s"):
        reader.candles(db, instrument, "7m")


def test_input_is_bound_and_never_part_of_a_statement(db):
    with pytest.raises(UnknownNameError):
        reader.book(db, "x' OR 1 = 1 --")


def test_a_missing_table_is_waited_for_and_never_made_up(client, db, monkeypatch):
    monkeypatch.setitem(TIMES, "dropped_table", "ts_event")

    with pytest.raises(UnavailableError) as error:
        client.write("dropped_table", frame_of(TradeSink, trade(1)))

    assert "tickerplant migrate" in str(error.value)
    assert not db.rows("SELECT table_name FROM tables() WHERE table_name = 'dropped_table'")


def test_control_events_are_kept_once_however_many_copies_there_are(client, db, session):
    own = {"session": session, "epoch": 3}
    events = [
        start(0, seq=0, origin="recorded", **own),
        clock(1, seq=1, **own),
        gap(1, 2, seq=2, instruments=("A.SIM", "B.SIM"), reason="lost", **own),
        Status(**own, seq=3, source_time=at(2), reason="resync"),
        End(**own, seq=2**52 + 3, source_time=0, state="failed", reason="died"),
    ]
    copies = [
        copy for event in events for copy in (event, msgspec.structs.replace(event, counts=7))
    ]

    written = [FeedEventSink(client).write(some) for some in (copies, copies[:4], copies[4:])]

    rows = rows_of(
        db,
        "SELECT seq, type, source_time::long AS source_time, ts_from::long AS ts_from,"
        " ts_to::long AS ts_to, instruments, reason, origin, rules, state FROM feed_events"
        " WHERE session = %(session)s ORDER BY seq",
        session,
    )
    assert written == [5, 2, 3]
    assert [row["type"] for row in rows] == ["start", "clock", "gap", "status", "end"]
    assert [row["source_time"] for row in rows] == [at(0), at(1), at(2), at(2), 0]
    started, ticked, lost, _, ended = rows
    assert msgspec.json.decode(started["rules"], type=type(events[0].rules)) == events[0].rules
    assert (started["origin"], ticked["rules"], ticked["ts_from"]) == ("recorded", None, None)
    assert (lost["ts_from"], lost["ts_to"], lost["instruments"]) == (at(1), at(2), "A.SIM,B.SIM")
    assert (ended["state"], ended["reason"], ended["instruments"]) == ("failed", "died", None)


def test_candles_are_of_one_kind_of_price(client, db, session, instrument):
    own = {"session": session, "instrument": instrument}
    CandleSink(client).write([candle(0, **own), candle(0, price_type="bid", close=9.0, **own)])
    reader.wait_applied(db, WAIT_S)

    assert [row["close"] for row in reader.candles(db, instrument, "1s")] == [100.0]
    assert [row["close"] for row in reader.candles(db, instrument, "1s", price_type="bid")] == [9.0]
