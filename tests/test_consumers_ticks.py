"""Quotes, late ticks and whole books on a real QuestDB, and the views of what is newest."""

from __future__ import annotations

import numpy as np
import pytest

from builders import at, trade
from consumers.store import reader
from consumers.store.sinks.books import BookSink
from consumers.store.sinks.candles import CandleSink
from consumers.store.sinks.late import LateSink
from consumers.store.sinks.quotes import QuoteSink
from consumers.store.sinks.sessions import SessionSink
from consumers.store.sinks.trades import TradeSink
from consumers_builders import book, candle, frame_of
from deploy_builders import entry
from schemas.errors import DataError
from schemas.events import Book, Late, LateQuote, Quote

pytestmark = pytest.mark.stack
WAIT_S = 30


def quote(seconds=0, **fields):
    defaults = {"session": "sim-1", "epoch": 1, "seq": 0, "instrument": "AAA.SIM"}
    times = {"ts_event": at(seconds), "ts_recv": at(seconds)}
    sides = {"bid_price": 99.0, "bid_size": 1.0, "ask_price": 101.0, "ask_size": 2.0}
    return Quote(**(defaults | times | sides | fields))


def fields_of(event):
    return {name: getattr(event, name) for name in event.__struct_fields__}


def rows_of(db, table, columns, session):
    reader.wait_applied(db, WAIT_S)
    query = f"SELECT {columns} FROM {table} WHERE session = %(session)s ORDER BY seq"
    return db.rows(query, session=session)


def test_a_quote_comes_back_as_it_was_and_once(client, db, session, instrument):
    own = {"session": session, "instrument": instrument}
    empty = quote(1, bid_price=None, bid_size=None, seq=2, **own)
    sent = [quote(0.000000001, update_id=7, seq=1, **own), empty]
    for _ in range(2):
        QuoteSink(client).write(sent)

    columns = "instrument, session, seq, ts_event::long AS ts_event, ts_recv::long AS ts_recv"
    columns += ", bid_price, bid_size, ask_price, ask_size, update_id"
    rows = rows_of(db, "tick_quotes", columns, session)

    assert [Quote(epoch=1, **row) for row in rows] == sent


def test_late_ticks_of_both_kinds_come_back_with_what_they_missed(client, db, session, instrument):
    own = {"session": session, "instrument": instrument}
    missed = {"1s": at(0), "1m": at(0)}
    late = Late(**fields_of(trade(0.5, side="sell", trade_id="7", seq=1, **own)), missed=missed)
    late_quote = LateQuote(**fields_of(quote(0.6, seq=2, **own)), missed=missed)
    for _ in range(2):
        LateSink(client).write([late_quote, late])

    first, second = rows_of(db, "late_ticks", "*", session)

    assert (first["type"], first["price"], first["side"]) == ("trade", 100.0, "sell")
    assert (first["trade_id"], first["bid_price"]) == ("7", None)
    assert (second["type"], second["price"], second["bid_price"]) == ("quote", None, 99.0)
    assert second["side"] is None
    assert first["missed"] == f'{{"1s":{at(0)},"1m":{at(0)}}}'


@pytest.mark.parametrize(
    "wrong", [{"instrument": "btc"}, {"bid_price": 0.1234567890123}, {"update_id": 2**63}]
)
def test_a_bad_quote_is_refused_alone_in_company_and_late(client, wrong):
    bad = quote(**wrong)

    for refused in (
        lambda: frame_of(QuoteSink, quote(), bad),
        lambda: frame_of(QuoteSink, bad),
        lambda: frame_of(LateSink, LateQuote(**fields_of(bad), missed={})),
    ):
        with pytest.raises(DataError):
            refused()


def test_a_book_can_be_made_again_from_its_row(client, db, session, instrument):
    own = {"session": session, "instrument": instrument}
    rng = np.random.default_rng(1)
    sizes = np.round(rng.random(40), 9).tolist()
    deep = book(
        bids=[(100 - i / 100, size) for i, size in enumerate(sizes)],
        asks=[(101 + i / 100, size) for i, size in enumerate(sizes[:25])],
        update_id=2**62,
        seq=1,
        **own,
    )
    sent = [
        deep,
        book(1, bids=[], seq=2, **own),
        book(2, bids=[(9.0, 0.0)], asks=[], snapshot=False, seq=3, **own),
    ]
    for _ in range(2):
        BookSink(client).write(sent)

    columns = "ts_event::long AS ts_event, ts_recv::long AS ts_recv, seq, update_id, bids, asks"
    rows = rows_of(db, "tick_orderbook", columns + ", is_delta", session)

    made = [
        Book(
            **own,
            epoch=1,
            snapshot=not row.pop("is_delta"),
            bids=[*zip(*row.pop("bids"), strict=True)],
            asks=[*zip(*row.pop("asks"), strict=True)],
            **row,
        )
        for row in rows
    ]
    assert made == sent


def test_the_worth_of_a_trade_is_exact(client, db, session, instrument):
    TradeSink(client).write([trade(price=0.1, size=0.000000003, session=session)])

    (row,) = rows_of(db, "trades", "quote_volume::varchar AS quote_volume, seq", session)

    assert float(row["quote_volume"]) == 3e-10
    assert row["quote_volume"] == "0.000000000300000000"


def test_the_latest_candle_is_the_last_word_of_the_best_session(client, db, session, instrument):
    own = {"instrument": instrument}
    CandleSink(client).write(
        [
            candle(9, session=f"{session}-old", trades_count=9, **own),
            candle(10, session=f"{session}-gap", flags=("gap",), trades_count=9, **own),
            candle(10, session=f"{session}-a", close=1.0, **own),
            candle(10, session=f"{session}-a", close=2.0, revision=1, **own),
            candle(10, session=f"{session}-a", close=3.0, repair=1, **own),
            candle(11, session=f"{session}-deleted", **own),
        ]
    )
    SessionSink(client).write([entry(session=f"{session}-deleted", state="deleted")])
    reader.wait_applied(db, WAIT_S)

    (row,) = db.rows(
        "SELECT session, close, ts_open::long AS ts_open FROM latest_candles"
        " WHERE instrument = %(instrument)s",
        instrument=instrument,
    )

    assert row == {"session": f"{session}-a", "close": 3.0, "ts_open": at(10)}


def test_the_latest_sentiment_is_one_row_a_source(db, session, instrument):
    db.execute(
        "INSERT INTO sentiment_history (instrument, session, source, item, ts_event, score)"
        " VALUES (%(i)s, %(s)s, 'news', 'a', 1::timestamp_ns, 0.5),"
        " (%(i)s, %(s)s, 'news', 'b', 2::timestamp_ns, -0.5),"
        " (%(i)s, %(s)s, 'posts', 'c', 1::timestamp_ns, 0.1)",
        i=instrument,
        s=session,
    )
    reader.wait_applied(db, WAIT_S)

    rows = db.rows(
        "SELECT source, score FROM latest_sentiment WHERE instrument = %(i)s ORDER BY source",
        i=instrument,
    )

    assert [(row["source"], row["score"]) for row in rows] == [("news", -0.5), ("posts", 0.1)]
