"""Whole sessions out of a real QuestDB, faults of its wire, and the asynchronous twin."""

from __future__ import annotations

import asyncio
import inspect
from itertools import count

import pytest

from builders import at, clock, gap, start, trade
from consumers.store import reader
from consumers.store.reading import AsyncStore, Store
from consumers.store.sinks.bars import BarSink
from consumers.store.sinks.books import BookSink
from consumers.store.sinks.feed_events import FeedEventSink
from consumers.store.sinks.quotes import QuoteSink
from consumers.store.sinks.trades import TradeSink
from consumers_builders import bar, book, quote
from faulty_proxy import FaultyProxy
from schemas.errors import SettingsError, UnavailableError, UnknownNameError
from schemas.events import Clock, End, Gap, Quote, Start, Status, Trade
from schemas.sections import QuestDb

WAIT_S = 30


@pytest.mark.stack
def test_a_session_is_told_again_in_the_order_in_which_it_was_published(
    client, db, store, session, instrument, monkeypatch
):
    """A late tick, a tick far ahead, and a session that somebody else has ended."""
    monkeypatch.setattr("consumers.store.reading.recorded.WINDOW_SEQS", 4)
    number = count()
    own = {"session": session, "epoch": 0}
    ticks = {**own, "instrument": instrument}
    told = [
        start(0, seq=next(number), origin="simulated", **own),
        trade(5, seq=next(number), **ticks),
        quote(6, seq=next(number), **ticks),
        clock(7, seq=next(number), **own),
        trade(-9_000, seq=next(number), **ticks),
        book(8, seq=next(number), bids=[(99.0, 1.0), (98.0, 0.5)], **ticks),
        trade(90_000, seq=next(number), **ticks),
        gap(8, 9, seq=next(number), instruments=(instrument,), **own),
        Status(seq=next(number), source_time=at(9), reason="reconnected", **own),
        bar(60, seq=next(number), source=session, **ticks),
        trade(10, seq=next(number), **ticks),
        End(seq=2**52, source_time=0, state="failed", reason="expired", **own),
    ]
    for kind, sink in (
        (Trade, TradeSink),
        (Quote, QuoteSink),
        (type(told[5]), BookSink),
        (type(told[9]), BarSink),
        ((Start, Clock, Gap, Status, End), FeedEventSink),
    ):
        sink(client).write([event for event in told if isinstance(event, kind)])
    reader.wait_applied(db, WAIT_S)

    assert list(store.events(session)) == told
    assert list(store.events(session, first_seq=6)) == told[6:]
    with pytest.raises(UnknownNameError, match="nothing is stored"):
        list(store.events(f"{session}x"))


@pytest.mark.stack
def test_what_is_read_in_bulk_is_in_time_order_and_keeps_nanoseconds(
    client, db, store, session, instrument, monkeypatch
):
    monkeypatch.setattr("consumers.store.reading.bulk.CHUNK_ROWS", 50)
    # Nearly all within a second, some of them at once, and a few years apart.
    seconds = [*(n * 1e-9 for n in range(300)), *([0.5] * 60), 1e8, 2e8]
    TradeSink(client).write(
        [
            trade(second, seq=seq, session=session, instrument=instrument)
            for seq, second in enumerate(seconds)
        ]
    )
    BookSink(client).write([book(1, session=session, instrument=instrument)])
    reader.wait_applied(db, WAIT_S)

    bulk = store.read("trades", session=session)
    frame = bulk.to_pandas()

    assert frame["ts_event"].astype("int64").tolist() == [at(second) for second in seconds]
    assert sorted(frame["seq"]) == list(range(len(seconds)))
    spans = list(bulk.spans())
    assert sum(span.rows for span in spans) == len(seconds)
    assert all(span.rows <= 50 or span.until - span.since == 1 for span in spans)
    part = store.read("trades", instrument=instrument, since=at(0) + 7, until=at(0) + 9)
    assert part.to_arrow()["seq"].to_pylist() == [7, 8]
    (one,) = store.read("books", session=session).to_arrow().to_pylist()
    assert one["bids"] == [[99.0], [1.0]]
    nothing = store.read("trades", session=session, until=5)
    assert nothing.to_pandas().columns.tolist() == frame.columns.tolist()
    assert len(nothing.to_pandas()) == 0


@pytest.mark.stack
async def test_more_readers_in_bulk_than_the_server_takes_wait_their_turn(
    client, db, settings, session, monkeypatch
):
    monkeypatch.setattr("consumers.store.reading.bulk.CHUNK_ROWS", 10)
    TradeSink(client).write([trade(n, seq=n, session=session) for n in range(60)])
    reader.wait_applied(db, WAIT_S)

    async with AsyncStore(settings.questdb, connections_max=6) as store:
        tables = await asyncio.gather(
            *(store.call(lambda s: s.read("trades", session=session).to_arrow()) for _ in range(6))
        )

    assert [table.num_rows for table in tables] == [60] * 6


@pytest.mark.stack
def test_polars_gets_the_same_frame(client, db, store, session):
    polars = pytest.importorskip("polars", reason="an optional library")
    TradeSink(client).write([trade(0.000000001, session=session)])
    reader.wait_applied(db, WAIT_S)

    frame = store.read("trades", session=session).to_polars()

    assert frame["ts_event"].dtype == polars.Datetime("ns", "UTC")
    assert frame["ts_event"].to_physical().to_list() == [at(0) + 1]


@pytest.mark.stack
@pytest.mark.parametrize("name", ["a' OR '1' = '1", "a;b", "", "%(since)s", "ä", "a\n"])
def test_a_name_that_is_not_one_is_not_exported(client, db, store, session, name):
    TradeSink(client).write([trade(0, session=session)])
    reader.wait_applied(db, WAIT_S)

    found = store.read("trades", session=name)

    assert len(store.trades(session=name).items) == 0
    with pytest.raises(SettingsError, match="cannot be exported"):
        found._download(next(iter(store.read("trades", session=session).spans())))


@pytest.mark.stack
async def test_a_store_goes_on_after_its_connections_were_cut(settings):
    async with FaultyProxy(settings.questdb.pg_port) as proxy:
        behind = settings.questdb.model_copy(update={"pg_port": proxy.port})
        async with AsyncStore(behind, connections_max=2) as store:
            before = await asyncio.gather(*(store.instruments() for _ in range(4)))
            proxy.become("pass")
            assert await store.instruments() == before[0]
            proxy.become("refuse")
            with pytest.raises(UnavailableError):
                await store.instruments()
            proxy.become("pass")
            assert await store.instruments() == before[0]


@pytest.mark.stack
async def test_an_export_that_breaks_off_is_an_error_and_no_part_of_an_answer(
    client, db, settings, session
):
    TradeSink(client).write([trade(0, session=session)])
    reader.wait_applied(db, WAIT_S)
    async with FaultyProxy(settings.questdb.http_port) as proxy:
        behind = settings.questdb.model_copy(update={"http_port": proxy.port})
        async with AsyncStore(behind) as store:
            proxy.become("lose_answers")
            with pytest.raises(UnavailableError):
                _ = [batch async for batch in store.read("trades", session=session)]


async def test_a_store_without_a_server_says_so_at_once(unused_tcp_port):
    with pytest.raises(UnavailableError, match="tickerplant up"):
        async with AsyncStore(QuestDb(pg_port=unused_tcp_port)):
            pass


@pytest.mark.stack
async def test_the_asynchronous_twin_gives_the_same_answers(client, db, settings, store, session):
    TradeSink(client).write([trade(n, seq=n, session=session) for n in range(20)])
    FeedEventSink(client).write([start(0, seq=20, session=session)])
    reader.wait_applied(db, WAIT_S)

    async with AsyncStore(settings.questdb, connections_max=2) as twin:
        pages = await asyncio.gather(*(twin.trades(session=session, limit=n) for n in range(1, 9)))
        batches = [batch async for batch in twin.read("trades", session=session)]
        events = [event async for event in twin.events(session)]
        with pytest.raises(UnknownNameError):
            await twin.session("never")
        stopped = twin.events(session)
        await anext(stopped)
        await stopped.aclose()

    assert [len(page.items) for page in pages] == list(range(1, 9))
    assert pages[7] == store.trades(session=session, limit=8)
    assert sum(batch.num_rows for batch in batches) == 20
    assert events == list(store.events(session))


def test_every_question_has_its_twin():
    questions = {
        name for name, _ in inspect.getmembers(Store, inspect.isfunction) if name[0] != "_"
    } - {"close"}

    for name in questions:
        assert getattr(AsyncStore, name).__doc__ == getattr(Store, name).__doc__
