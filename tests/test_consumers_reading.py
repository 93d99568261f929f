"""The reader of the store, on a real QuestDB."""

from __future__ import annotations

import pytest

from builders import RULES, at, end, gap, start, trade
from consumers.store import reader
from consumers.store.reading import Store
from consumers.store.reading.pages import Cursor
from consumers.store.sinks.bars import BarSink
from consumers.store.sinks.books import BookSink
from consumers.store.sinks.candles import CandleSink
from consumers.store.sinks.feed_events import FeedEventSink
from consumers.store.sinks.quotes import QuoteSink
from consumers.store.sinks.sessions import SessionSink
from consumers.store.sinks.trades import TradeSink
from consumers_builders import bar, book, candle, catalogued, quote
from schemas.errors import SettingsError, UnknownNameError
from streams.candles.aggregate import aggregate

WAIT_S = 30


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
            catalogued(names[0], instruments=("BTC_X.ONE", "ETH.TWO"), counts={"trades": 7}),
            catalogued(names[1], state="failed", reason=f"{session} Disk", started_ns=at(100),
                  heartbeat_ns=at(110), instruments=("BTCAX.ONE",)),
            catalogued(names[2], state="active", origin=session, started_ns=at(200),
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
    SessionSink(client).write([catalogued(session)])
    reader.wait_applied(db, WAIT_S)
    seen = _everything(store, session, instrument)

    SessionSink(client).write([catalogued(session, state="deleted")])
    reader.wait_applied(db, WAIT_S)
    hidden = _everything(store, session, instrument)
    SessionSink(client).write([catalogued(session, epoch=2, state="active", started_ns=at(300))])
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
