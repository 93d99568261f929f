"""The reader of the store, on a real QuestDB."""

from __future__ import annotations

import asyncio
import inspect
from itertools import count

import pytest

from builders import RULES, at, clock, end, gap, start, trade
from consumers.store import reader
from consumers.store.bars import BarSink
from consumers.store.books import BookSink
from consumers.store.candles import CandleSink
from consumers.store.feed_events import FeedEventSink
from consumers.store.quotes import QuoteSink
from consumers.store.reading import AsyncStore, Store
from consumers.store.reading.pages import Cursor
from consumers.store.sessions import SessionSink
from consumers.store.trades import TradeSink
from consumers_builders import bar, book, candle
from faulty_proxy import FaultyProxy
from schemas.errors import SettingsError, UnavailableError, UnknownNameError
from schemas.events import Clock, End, Gap, Quote, SessionRecord, Start, Status, Trade
from schemas.sections import QuestDb
from streams.candles.aggregate import aggregate

WAIT_S = 30


@pytest.fixture
def store(settings):
    with Store(settings.questdb, aggregate=aggregate) as store:
        yield store


def entry(session, **fields):
    defaults = {"session": session, "epoch": 1, "state": "completed", "origin": "simulated"}
    defaults |= {"owner": "here", "started_ns": at(0), "heartbeat_ns": at(60)}
    defaults |= {"heartbeat_timeout_ms": 1_000, "topics": ("trades",), "instruments": ("A.SIM",)}
    return SessionRecord(**(defaults | {"rules": RULES} | fields))


def quote(seconds=0.0, **fields):
    defaults = {"session": "s", "epoch": 1, "seq": 0, "instrument": "AAA.SIM"}
    times = {"ts_event": at(seconds), "ts_recv": at(seconds)}
    sides = {"bid_price": 99.5, "bid_size": 1.0, "ask_price": None, "ask_size": None}
    return Quote(**(defaults | times | sides | fields))


def paged(ask, **asked):
    """Read page by page to the end; return what each page had."""
    pages, cursor = [], None
    while True:
        page = ask(cursor=cursor, **asked)
        pages.append([(tick.ts_event, tick.session, tick.seq) for tick in page.items])
        if (cursor := page.cursor) is None:
            return pages


@pytest.mark.stack
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 50])
def test_pages_have_every_tick_once_and_in_order_also_within_a_nanosecond(
    client, db, store, session, instrument, limit
):
    own = {"instrument": instrument}
    several = [f"{session}-{name}" for name in "ab"]
    ticks = [
        *(trade(1, session=name, seq=seq, **own) for name in several for seq in range(5)),
        *(trade(2 + seq, session=several[0], seq=9 - seq, **own) for seq in range(3)),
        trade(1.000000001, session=several[1], seq=7, **own),
    ]
    TradeSink(client).write(ticks)
    reader.wait_applied(db, WAIT_S)

    pages = paged(store.trades, instrument=instrument, limit=limit)

    wanted = sorted((tick.ts_event, tick.session, tick.seq) for tick in ticks)
    assert [tick for page in pages for tick in page] == wanted
    assert all(len(page) == limit for page in pages[:-1])
    by_offset = store.trades(instrument=instrument, limit=limit, offset=3).items
    assert [tick.seq for tick in by_offset] == [seq for _, _, seq in wanted[3 : 3 + limit]]


@pytest.mark.stack
def test_rows_that_come_meanwhile_disturb_no_page(client, db, store, session):
    own = {"session": session}
    TradeSink(client).write([trade(n, seq=n, **own) for n in range(4)])
    reader.wait_applied(db, WAIT_S)

    first = store.trades(session=session, limit=2)
    TradeSink(client).write([trade(0.5, seq=50, **own), trade(9, seq=51, **own)])
    reader.wait_applied(db, WAIT_S)
    second = store.trades(session=session, limit=9, cursor=first.cursor)

    assert [tick.seq for tick in first.items + second.items] == [0, 1, 2, 3, 51]


@pytest.mark.stack
def test_ticks_come_back_as_they_were_to_the_nanosecond(client, db, store, session, instrument):
    own = {"session": session, "instrument": instrument, "epoch": 0}
    told = trade(0.123456789, seq=1, side="sell", trade_id="x'y", **own)
    asked = quote(0.000000001, seq=2, **own)
    TradeSink(client).write([told])
    QuoteSink(client).write([asked])
    reader.wait_applied(db, WAIT_S)

    assert store.trades(session=session).items == [told]
    assert store.quotes(session=session).items == [asked]
    span = {"since": told.ts_event, "until": told.ts_event + 1}
    assert store.trades(session=session, **span).items == [told]
    assert store.trades(session=session, since=told.ts_event + 1).items == []


@pytest.mark.stack
def test_books_have_all_levels_their_spread_and_their_mid(client, db, store, session, instrument):
    own = {"session": session, "instrument": instrument}
    deep = [(round(100.1 - n / 10, 1), 1.0 + n) for n in range(9)]
    BookSink(client).write(
        [
            book(1, seq=1, bids=deep, asks=[(100.2, 2.0)], **own),
            book(2, seq=2, bids=[], asks=[(100.2, 2.0)], **own),
            book(3, seq=3, bids=[(100.0, 0.0)], asks=[], snapshot=False, **own),
        ]
    )
    reader.wait_applied(db, WAIT_S)

    whole, one_sided, delta = store.books(session=session).items

    assert whole.bids == [tuple(level) for level in deep]
    assert (whole.spread, whole.mid) == (0.1, 100.15)
    assert (one_sided.bids, one_sided.spread, one_sided.mid) == ([], None, None)
    assert (delta.snapshot, delta.bids, delta.spread) == (False, [(100.0, 0.0)], None)
    assert store.book(instrument) == one_sided, "a change is no book"


@pytest.mark.stack
def test_sessions_are_found_by_what_is_known_of_them(client, db, store, session):
    names = [f"{session}-{name}" for name in "abc"]
    SessionSink(client).write(
        [
            entry(names[0], instruments=("BTC_X.ONE", "ETH.TWO"), counts={"trades": 7}),
            entry(names[1], state="failed", reason=f"{session} Disk", started_ns=at(100),
                  heartbeat_ns=at(110), instruments=("BTCAX.ONE",)),
            entry(names[2], state="active", origin=session, started_ns=at(200),
                  heartbeat_ns=at(260)),
        ]
    )  # fmt: skip
    reader.wait_applied(db, WAIT_S)

    def found(**filters):
        text = filters.pop("text", session)
        return [one.session[-1] for one in store.sessions(text=text, **filters)]

    assert found() == ["c", "b", "a"]
    assert found(text=f"{session} dIsK") == ["b"]
    assert found(state="failed") == ["b"]
    assert found(origin=session) == ["c"]
    assert found(instrument="BTC_X.ONE") == ["a"], "an underscore is no wildcard"
    assert found(venue="TWO") == ["a"]
    assert found(since=at(105), until=at(200)) == ["b"]
    assert found(limit=1, offset=1) == ["b"]
    assert found(text="x' OR 1 = 1 --") == []
    known = store.session(names[0])
    assert (known.trades, known.books, known.instruments) == (7, 0, ("BTC_X.ONE", "ETH.TWO"))
    assert known.rules == RULES
    with pytest.raises(UnknownNameError, match=f"did you mean {names[0]}"):
        store.session(f"{names[0]}x")


@pytest.mark.stack
def test_a_deleted_session_is_in_no_answer_until_it_is_fed_again(
    client, db, store, session, instrument
):
    own = {"session": session, "instrument": instrument}
    TradeSink(client).write([trade(1, seq=1, **own)])
    BookSink(client).write([book(1, seq=2, **own)])
    QuoteSink(client).write([quote(1, seq=3, **own)])
    CandleSink(client).write([candle(1, **own)])
    BarSink(client).write([bar(0, seq=4, **own)])
    FeedEventSink(client).write([start(0, session=session)])
    SessionSink(client).write([entry(session)])
    reader.wait_applied(db, WAIT_S)
    seen = _everything(store, session, instrument)

    SessionSink(client).write([entry(session, state="deleted")])
    reader.wait_applied(db, WAIT_S)
    hidden = _everything(store, session, instrument)
    SessionSink(client).write([entry(session, epoch=2, state="active", started_ns=at(300))])
    reader.wait_applied(db, WAIT_S)

    assert all(seen)
    assert not any(hidden)
    assert all(_everything(store, session, instrument))


def _everything(store, session, instrument):
    def known(ask, *names, **options):
        try:
            return bool(ask(*names, **options))
        except UnknownNameError:
            return False

    def events(name):
        return list(store.events(name))

    ticks = (store.trades, store.books, store.quotes)
    return [
        *(bool(ask(session=session).items) for ask in ticks),
        *(bool(ask(instrument=instrument).items) for ask in ticks),
        *(len(store.read(kind, session=session).to_arrow()) > 0 for kind in ("trades", "candles")),
        *(
            len(store.read(kind, instrument=instrument).to_arrow()) > 0
            for kind in ("books", "bars")
        ),
        any(store.counts(session).values()),
        bool(store.statistics(session=session)),
        bool(store.statistics(instrument=instrument)),
        instrument in store.instruments(),
        *(known(ask, session) for ask in (store.session, events)),
        *(known(ask, instrument, "1s") for ask in (store.candles,)),
        known(store.book, instrument),
        known(store.bars, instrument, "1m"),
        any(one.session == session for one in store.sessions()),
    ]


@pytest.mark.stack
def test_statistics_tell_what_is_stored_and_what_is_missing(client, db, store, session, instrument):
    own, other = {"session": session, "instrument": instrument}, f"{instrument}-B"
    TradeSink(client).write(
        [
            trade(10, price=101, size=2, seq=1, **own),
            trade(20, price=99, size=3, seq=2, **own),
            trade(30, seq=3, session=session, instrument=other),
        ]
    )
    BookSink(client).write([book(5, seq=4, **own)])
    CandleSink(client).write([candle(1, **own), candle(1, revision=1, **own), candle(2, **own)])
    FeedEventSink(client).write(
        [
            start(0, seq=0, session=session),
            gap(10, 20, seq=5, session=session),
            gap(15, 35, seq=6, session=session, instruments=(instrument,)),
            end(100, seq=7, session=session),
        ]
    )
    reader.wait_applied(db, WAIT_S)

    ours, theirs = store.statistics(session=session)

    assert (ours.trades, ours.books, ours.quotes, ours.candles) == (2, 1, 0, {"1s": 2})
    assert (ours.first, ours.last) == (at(5), at(20))
    assert (ours.price_low, ours.price_high, ours.volume) == (99, 101, 5)
    assert (ours.gaps, ours.gap_ns, ours.coverage) == (2, 25 * 10**9, 0.75)
    assert (theirs.instrument, theirs.gaps, theirs.coverage) == (other, 1, 0.9)
    assert store.statistics(instrument=other) == [theirs]
    with pytest.raises(SettingsError, match="name a session"):
        store.statistics()


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
def test_coarser_candles_are_made_of_those_that_are_stored(
    client, db, settings, session, instrument
):
    own = {"session": session, "instrument": instrument, "interval": "1m"}
    CandleSink(client).write([candle(60 * n, ts_close=at(60 * n + 60), **own) for n in range(7)])
    FeedEventSink(client).write([start(0, session=session), end(420, session=session, seq=1)])
    reader.wait_applied(db, WAIT_S)

    with Store(settings.questdb, aggregate=aggregate) as store:
        made = store.candles(instrument, "5m")
        filled = store.candles(instrument, "1m", since=at(0), until=at(540), fill="previous")
    assert [row["trades_count"] for row in made] == [5, 2]
    assert [row["trades_count"] for row in filled] == [1] * 7 + [0, 0]
    with (
        Store(settings.questdb) as store,
        pytest.raises(SettingsError, match="hand Store an aggregate"),
    ):
        store.candles(instrument, "5m")


@pytest.mark.stack
@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"limit": 0}, "limit is out of bounds"),
        ({"limit": 100_001}, "limit is out of bounds"),
        ({"offset": -1}, "offset is out of bounds"),
        ({"offset": 1_000_001}, "go on by cursor"),
        ({"cursor": "garbage"}, "not a cursor"),
        ({"cursor": "1.2."}, "not a cursor"),
        ({"cursor": "²1.2.s"}, "not a cursor"),
        ({"cursor": "1.2.s", "offset": 1}, "a cursor or an offset"),
    ],
)
def test_a_page_that_cannot_be_is_refused(store, asked, message):
    with pytest.raises(SettingsError, match=message):
        store.trades(**asked)


def test_a_cursor_is_read_as_it_was_written():
    cursor = Cursor(at(1), 7, "a.b.c-1")

    assert Cursor.parse(str(cursor)) == cursor


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
