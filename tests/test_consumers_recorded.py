"""Sessions read back: exported rows and rows of the PG wire are the same events."""

from __future__ import annotations

import pytest

from builders import clock, end, start, trade
from consumers.store import reader
from consumers.store.sinks.books import BookSink
from consumers.store.sinks.feed_events import FeedEventSink
from consumers.store.sinks.quotes import QuoteSink
from consumers.store.sinks.trades import TradeSink
from consumers_builders import book, quote
from schemas.events import Book, Control, Quote, Trade

pytestmark = pytest.mark.stack
WAIT_S = 30


def events_of(session, instrument):
    own = {"session": session, "epoch": 0}
    ticks = {**own, "instrument": instrument}
    told = [start(0, **own)]
    for n in range(60):
        second = n / 7 - (50 if n % 11 == 10 else 0)
        told += [
            trade(second, 100 + n / 4, trade_id=None if n % 2 else f"t{n}", **ticks),
            trade(second, 1e-9, 123456.123456789, side="sell", filled=True, **ticks),
            quote(second, bid_price=None, bid_size=None, update_id=None, **ticks),
            quote(second, ask_price=None, ask_size=None, update_id=n, **ticks),
            book(second, bids=[(99.5 - k, k + 0.25) for k in range(n % 23)], asks=[], **ticks),
            book(second, snapshot=False, bids=[(1.5, 0.0)], asks=[(2.5, 3.0)], **ticks),
            clock(second, **own),
        ]
    told.append(end(99, **own))
    for seq, event in enumerate(told):
        event.seq = 3 * seq
    return told


@pytest.mark.parametrize("exported_min", [0, 10**9], ids=["exported", "rows"])
@pytest.mark.parametrize("weight_max", [1, 200, 10**6])
def test_events_come_back_as_they_were_in_windows_of_any_size(
    client, db, store, session, instrument, monkeypatch, exported_min, weight_max
):
    monkeypatch.setattr("consumers.store.reading.recorded.WINDOW_SEQS", 64)
    monkeypatch.setattr("consumers.store.reading.recorded.WEIGHT_MAX", weight_max)
    monkeypatch.setattr("consumers.store.reading.recorded.EXPORTED_MIN", exported_min)
    told = events_of(session, instrument)
    sinks = ((Trade, TradeSink), (Quote, QuoteSink), (Book, BookSink), (Control, FeedEventSink))
    for kind, sink in sinks:
        sink(client).write([event for event in told if isinstance(event, kind)])
    reader.wait_applied(db, WAIT_S)

    assert list(store.events(session)) == told
    assert list(store.events(session, first_seq=601)) == [e for e in told if e.seq >= 601]


def test_books_that_were_not_kept_whole_come_back_with_their_flat_levels(
    client, db, store, session, instrument, monkeypatch
):
    monkeypatch.setattr("consumers.store.reading.recorded.EXPORTED_MIN", 0)
    some = [book(n, session=session, epoch=0, instrument=instrument, seq=n) for n in range(9)]
    BookSink(client, whole=False).write(some)
    reader.wait_applied(db, WAIT_S)

    assert list(store.events(session)) == some


def test_reading_can_end_at_any_event(client, db, store, session, monkeypatch):
    monkeypatch.setattr("consumers.store.reading.recorded.WINDOW_SEQS", 4)
    monkeypatch.setattr("consumers.store.reading.recorded.WEIGHT_MAX", 1)
    TradeSink(client).write([trade(n, seq=n, session=session, epoch=0) for n in range(40)])
    reader.wait_applied(db, WAIT_S)

    events = store.events(session)

    assert [next(events).seq for _ in range(9)] == list(range(9))
    events.close()
