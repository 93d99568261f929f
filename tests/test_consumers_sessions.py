from __future__ import annotations

import pytest
from msgspec import structs

from builders import T0, at, clock, start, trade
from consumers.store.content import content_hash, hash_of
from consumers.store.reading.catalogue import session as known
from consumers.store.sinks.bars import BarSink
from consumers.store.sinks.feed_events import FeedEventSink
from consumers.store.sinks.sessions import SessionSink
from consumers.store.sinks.trades import TradeSink
from consumers.store.upkeep.database_health import advice_on, examine
from consumers.store.upkeep.lease import held
from consumers.store.upkeep.partitions import SCRATCH, wait_applied
from consumers_builders import bar, frame_of
from deploy_builders import entry
from schemas.errors import DataError
from schemas.events import Bar
from schemas.tables import DATA_COLLECTION_SESSIONS, FEED_EVENTS, MARKET_BARS, TICK_PRICES, TIMES

WITHOUT_BARS = "da7e29e369d2a6c6d55b516eb4b386b70cbe6707c29ee70052d8d71c36a025af"
"""Of a trade and a start, from before bars were hashed: hashes that are kept must stay true."""


def test_of_a_batch_the_last_word_on_each_recording_is_kept():
    first = entry(state="active", counts={"trades": 1})
    last = structs.replace(first, state="completed", counts={"trades": 9})

    frame = frame_of(SessionSink, first, entry(epoch=2), last)

    assert list(frame["state"]) == ["completed", "completed"]
    assert list(frame["trades"]) == [9, 0]


def test_an_entry_with_an_instrument_that_is_none_is_refused():
    with pytest.raises(DataError, match="not an instrument"):
        frame_of(SessionSink, entry(instruments=("btc usdt",)))


def test_a_hash_does_not_depend_on_how_rows_are_cut_and_does_on_every_value():
    rows = [(1, "a", 2.5, None), (2, "b", 3.5, "x")]
    whole = hash_of([("trades", [rows])])

    assert hash_of([("trades", [[row] for row in rows])]) == whole
    assert hash_of([("quotes", [rows])]) != whole
    assert hash_of([("trades", [rows[:1]])]) != whole
    assert hash_of([("trades", [[rows[0], (2, "b", 3.5, "y")]])]) != whole


@pytest.mark.stack
def test_what_a_publisher_that_was_taken_over_still_says_never_hides_its_successor(
    settings, client, db, session
):
    mine = entry(session=session, state="active", instruments=("A.X", "B.Y"), heartbeat_ns=at(9))
    successor = structs.replace(mine, epoch=2, state="failed", reason="it died")

    for one in (mine, successor, mine):
        SessionSink(client).write([one])
        wait_applied(db, DATA_COLLECTION_SESSIONS)

    found = known(db, session)
    assert (found.epoch, found.state, found.reason) == (2, "failed", "it died")
    assert (found.venues, found.instruments) == (("X", "Y"), ("A.X", "B.Y"))
    assert (found.started, found.updated, found.source_time) == (T0, at(9), None)
    assert found.rules == mine.rules


@pytest.mark.stack
def test_equal_recordings_hash_equal_whatever_their_epoch(settings, client, db, session):
    def store(name: str, epoch: int, price: float = 100.0) -> str:
        own = {"session": name, "epoch": epoch}
        TradeSink(client).write([trade(n, price, seq=n, **own) for n in range(50)])
        FeedEventSink(client).write([start(seq=50, **own), clock(1, seq=51, **own)])
        for table in (TICK_PRICES, FEED_EVENTS):
            wait_applied(db, table)
        return content_hash(db, name)

    first = store(f"{session}-1", 1)

    assert store(f"{session}-2", 7) == first
    assert store(f"{session}-1", 3) == first, "fed again"
    assert store(f"{session}-3", 1, price=100.5) != first


@pytest.mark.stack
def test_bars_are_a_part_of_what_is_hashed_and_nothing_changes_without_them(client, db, session):
    def store(name: str, *bars: Bar) -> str:
        own = {"session": name, "epoch": 1}
        TradeSink(client).write([trade(seq=0, **own)])
        FeedEventSink(client).write([start(seq=1, **own)])
        if bars:
            BarSink(client).write([structs.replace(bar, **own) for bar in bars])
        for table in (TICK_PRICES, FEED_EVENTS, MARKET_BARS):
            wait_applied(db, table)
        return content_hash(db, name)

    first, second = bar(seq=2), bar(60, seq=3, quote_volume="0.1")

    assert store(f"{session}-none") == WITHOUT_BARS
    both = store(f"{session}-1", first, second)
    assert store(f"{session}-2", second, first) == both
    assert store(f"{session}-3", first) not in {both, WITHOUT_BARS}
    corrected = structs.replace(second, quote_volume="0.100000000000000001")
    assert store(f"{session}-4", first, corrected) != both


@pytest.mark.stack
def test_the_doctor_names_a_removal_that_was_killed_and_what_finishes_it(settings, db):
    scratch = f"{SCRATCH}{TICK_PRICES}"
    db.execute(
        f"CREATE TABLE {scratch} AS (SELECT * FROM tick_prices LIMIT 0)"
        " TIMESTAMP(ts_event) PARTITION BY DAY BYPASS WAL"
    )
    try:
        urgent = [advice for advice in examine(db).advice if advice.urgent]
        with held(settings.questdb, "somebody", 2_000):
            busy = [advice.about for advice in examine(db).advice]
    finally:
        db.execute(f"DROP TABLE {scratch}")

    assert [advice.remedy for advice in urgent] == ["tickerplant sessions rm --resume"]
    assert "partitions are being rewritten" in busy


@pytest.mark.parametrize(
    ("fault", "remedy"),
    [
        ({"suspended": True}, "ALTER TABLE tick_prices RESUME WAL"),
        ({"lag": 5_000}, "consume.batch_rows_max"),
        ({"writes": 500, "amplification": 9.0, "write_rows": 3}, "consume.poll_ms"),
        ({"writes": 500, "amplification": 9.0, "write_rows": 9_000}, "one file after the other"),
        ({"pressure": 2}, "more memory"),
    ],
)
def test_a_fault_of_a_table_comes_with_what_mends_it(fault, remedy):
    good = {
        "name": TICK_PRICES,
        "suspended": False,
        "error": "",
        "lag": 1,
        "pending": 10,
        "writes": 500,
        "amplification": 1.1,
        "amplification_p99": 2.0,
        "write_rows": 900,
        "pressure": 0,
    }

    assert list(advice_on(good, good)) == []
    (advice,) = advice_on(good | fault, good | fault)
    assert remedy in advice.remedy


@pytest.mark.stack
def test_the_doctor_examines_every_table_of_the_store(settings, db):
    assert {table.name for table in examine(db).tables} == set(TIMES)
