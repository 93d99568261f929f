"""Recorded captures: Binance frames to ticks and books, and what is broken in files."""

from __future__ import annotations

import gzip
from bisect import bisect_right
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import T0
from producers.feed import Lost, Restored
from producers.feeds.binance import parse_quote, parse_trade
from producers.feeds.recorded import RecordedFeed
from producers.order_books.book_builder import BookBuilder, Outcome, Update
from producers_builders import events, recorded
from schemas.errors import DataError, UnknownNameError
from schemas.events import Book, Clock, End, Quote, Trade

DATA = Path(__file__).parents[2] / "shared/data/binance_raw"
FUTURES = [DATA / "usdm_btcusdt_20240808.gz"]
SPOT = [DATA / "spot_btcusdt_20240808.gz", DATA / "spot_btcusdt_20240809.gz"]
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="recorded market data is not here")

MS = T0 // 1_000_000


def frame_trade(number=1, price="100.10"):
    return (
        f'{{"stream":"btcusdt@trade","data":{{"e":"trade","E":{MS},"T":{MS},"s":"BTCUSDT",'
        f'"t":{number},"p":"{price}","q":"0.5","m":true}}}}'
    )


def frame_depth(first, last, bids="[]", asks="[]"):
    return (
        f'{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":{MS},"s":"BTCUSDT",'
        f'"U":{first},"u":{last},"b":{bids},"a":{asks}}}}}'
    )


def frame_snapshot(number, bids='[["99.0","1"]]', asks='[["101.0","1"]]'):
    return f'{{"lastUpdateId":{number},"bids":{bids},"asks":{asks}}}'


def capture(path, *frames, first_ns=T0, end="\n"):
    lines = [frame if "|" in frame else f"{first_ns + n} {frame}" for n, frame in enumerate(frames)]
    path.write_text("\n".join(line.replace("|", "") for line in lines) + end)
    return path


async def observations_of(*paths, venue="BINANCE", feed=None):
    feed = feed or RecordedFeed(paths, venue)
    return [o async for batch in feed.observations() for o in batch]


def of(kind, some):
    return [o for o in some if isinstance(o, kind)]


def test_a_trade_is_sold_by_the_aggressor_when_the_buyer_is_the_maker():
    data = f'{{"s":"BTCUSDT","t":7,"p":"61800.30","q":"0.006","T":{MS},"m":true}}'.encode()

    trade = parse_trade(data, "BINANCE-USDM", ts_recv=5)

    assert trade.instrument == "BTCUSDT.BINANCE-USDM"
    assert (trade.price, trade.size, trade.side) == (61800.3, 0.006, "sell")
    assert (trade.ts_event, trade.ts_recv, trade.trade_id) == (T0, 5, "7")


def test_times_in_microseconds_are_understood():
    data = f'{{"s":"A","t":7,"p":"1","q":"1","T":{MS}000,"m":false}}'.encode()

    assert parse_trade(data, "BINANCE", ts_recv=5).ts_event == T0


def test_a_spot_quote_has_no_time_of_its_own():
    data = b'{"u":9,"s":"BTCUSDT","b":"99.1","B":"2","a":"0.0","A":"0.0"}'

    quote = parse_quote(data, "BINANCE", ts_recv=5)

    assert (quote.ts_event, quote.bid_price, quote.ask_price, quote.ask_size) == (
        0,
        99.1,
        None,
        None,
    )


async def test_updates_before_the_snapshot_wait_for_it(tmp_path):
    file = capture(
        tmp_path / "a",
        frame_depth(1, 5, bids='[["98.0","9"]]'),
        frame_depth(6, 12, bids='[["99.5","2"]]'),
        frame_depth(13, 14, asks='[["101.0","0"],["100.5","3"]]'),
        frame_snapshot(10),
        frame_depth(15, 15, bids='[["99.5","0"]]'),
    )

    books = of(Book, await observations_of(file))

    assert [(b.update_id, b.bids, b.asks) for b in books] == [
        (12, [(99.5, 2.0), (99.0, 1.0)], [(101.0, 1.0)]),
        (14, [(99.5, 2.0), (99.0, 1.0)], [(100.5, 3.0)]),
        (15, [(99.0, 1.0)], [(100.5, 3.0)]),
    ]


async def test_a_broken_chain_is_a_gap_and_books_go_on_at_the_next_snapshot(tmp_path):
    file = capture(
        tmp_path / "a",
        frame_depth(1, 2),
        frame_snapshot(2),
        frame_depth(3, 3),
        frame_depth(5, 5),
        frame_depth(6, 6),
        frame_snapshot(5),
        frame_depth(7, 7),
    )

    some = await observations_of(file)

    kinds = [type(o) for o in some]
    assert kinds == [Book, Lost, Restored, Book, Book]
    assert [b.update_id for b in of(Book, some)] == [3, 6, 7]
    assert some[1].instruments == ("BTCUSDT.BINANCE",)


async def test_a_book_that_crosses_is_a_broken_chain(tmp_path):
    crossing = frame_depth(3, 3, bids='[["102.0","1"]]')
    file = capture(tmp_path / "a", frame_depth(1, 2), frame_snapshot(2), crossing)

    assert [type(o) for o in await observations_of(file)] == [Lost]


async def test_broken_lines_are_skipped_with_file_and_number(tmp_path, caplog):
    file = capture(
        tmp_path / "a",
        frame_trade(1),
        "|no time at all",
        frame_trade(2),
        '{"stream":"btcusdt@kline_1m","data":{}}',
        '{"stream":"btcusdt@trade","data":{"p":"abc"}}',
        frame_snapshot(3),
        frame_trade(3),
        f"|{T0 + 9} " + frame_trade(4)[:30],
        end="",
    )
    feed = RecordedFeed([file], "BINANCE")

    some = await observations_of(feed=feed)

    assert [t.trade_id for t in some] == ["1", "2", "3"]
    assert feed.skipped == {"foreign line": 4, "torn last line": 1}
    for number in (2, 4, 5, 6, 8):
        assert f"file={file} line={number} " in caplog.text


async def test_a_last_line_without_an_end_that_is_whole_is_used(tmp_path):
    file = capture(tmp_path / "a", frame_trade(1), frame_trade(2), end="")

    assert len(await observations_of(file)) == 2


async def test_one_receive_time_from_the_future_does_not_end_all_time(tmp_path):
    future = f"|9190000000000000000 {frame_trade(2)}"
    file = capture(tmp_path / "a", frame_trade(1), future, frame_trade(3))
    feed = RecordedFeed([file], "BINANCE")

    some = await observations_of(feed=feed)

    assert [t.trade_id for t in some] == ["1", "3"]
    assert feed.skipped == {"receive time jumps": 1}


async def test_a_pause_of_days_between_two_files_is_believed(tmp_path):
    first = capture(tmp_path / "a", frame_trade(1))
    second = capture(tmp_path / "b", frame_trade(2), frame_trade(3), first_ns=T0 + 3 * 10**14)

    assert [t.trade_id for t in await observations_of(first, second)] == ["1", "2", "3"]


async def test_receive_times_that_fall_are_held(tmp_path):
    file = capture(tmp_path / "a", frame_trade(1), f"|{T0 - 5} {frame_trade(2)}", frame_trade(3))

    assert [t.ts_recv for t in await observations_of(file)] == [T0, T0, T0 + 2]


async def test_a_gzip_cut_short_is_used_as_far_as_it_goes(tmp_path):
    frames = [frame_trade(n, price=f"{n * 7919 % 10_007 + 1}.5") for n in range(3_000)]
    whole = gzip.compress(capture(tmp_path / "a", *frames).read_bytes())
    (tmp_path / "cut.gz").write_bytes(whole[: len(whole) // 2])
    feed = RecordedFeed([tmp_path / "cut.gz"], "BINANCE")

    some = await observations_of(feed=feed)

    assert 500 < len(some) < 3_000
    assert feed.skipped["gzip is cut short"] == 1


async def test_a_gzip_of_several_members_is_read_to_its_end(tmp_path):
    lines = [f"{T0 + n} {frame_trade(n)}\n".encode() for n in range(4)]
    (tmp_path / "a.gz").write_bytes(b"".join(gzip.compress(line) for line in lines))

    assert len(await observations_of(tmp_path / "a.gz")) == 4


def test_the_session_is_named_by_content_and_options_and_not_by_the_packing(tmp_path):
    plain = capture(tmp_path / "a", frame_trade(1))
    packed, other = tmp_path / "a.gz", capture(tmp_path / "b", frame_trade(2))
    packed.write_bytes(gzip.compress(plain.read_bytes()))

    name = RecordedFeed([plain], "BINANCE").session

    assert RecordedFeed([packed], "BINANCE", speed=10).session == name
    assert RecordedFeed([other], "BINANCE").session != name
    assert RecordedFeed([plain], "BINANCE-USDM").session != name
    assert RecordedFeed([plain], "BINANCE", depth=5).session != name


def test_an_unknown_venue_lists_those_that_are_known(tmp_path):
    with pytest.raises(UnknownNameError, match="BINANCE, BINANCE-USDM"):
        RecordedFeed([tmp_path / "a"], "BINANCE-US")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="nowhere"):
        RecordedFeed([tmp_path / "nowhere"], "BINANCE")


LEVELS = st.lists(st.tuples(st.integers(1, 60).map(float), st.integers(0, 3).map(float)))


@given(st.lists(LEVELS, max_size=12))
def test_a_rebuilt_side_equals_a_plain_dictionary(changes):
    book, plain = BookBuilder(), {}
    book.reset(0, [], [])

    for number, levels in enumerate(changes, 1):
        asks = [(price + 100, size) for price, size in levels]
        assert book.apply(Update(number - 1, number, T0, levels, asks)) is Outcome.APPLIED
        plain.update(levels)
        left = sorted(((p, s) for p, s in plain.items() if s), reverse=True)
        bids, top_asks = book.top(5)
        assert bids == left[:5]
        assert top_asks == [(p + 100, s) for p, s in reversed(left)][:5]


@needs_data
@pytest.mark.parametrize(
    ("paths", "venue", "counts", "equal", "compared"),
    [
        (FUTURES, "BINANCE-USDM", {Quote: 66_089, Trade: 21_313, Book: 6_547}, 6_547, 6_547),
        (SPOT, "BINANCE", {Quote: 73_174, Trade: 19_904, Book: 6_493}, 6_491, 6_493),
    ],
)
async def test_rebuilt_books_equal_the_best_quotes_of_the_exchange(
    paths, venue, counts, equal, compared
):
    feed = RecordedFeed(paths, venue)
    some = await observations_of(feed=feed)
    quotes = sorted(of(Quote, some), key=lambda quote: quote.update_id)
    ids = [quote.update_id for quote in quotes]

    pairs = [(b, quotes[bisect_right(ids, b.update_id) - 1]) for b in of(Book, some)]
    hits = [
        (book.bids[0], book.asks[0])
        == ((quote.bid_price, quote.bid_size), (quote.ask_price, quote.ask_size))
        for book, quote in pairs
    ]
    trade_ids = [int(trade.trade_id) for trade in of(Trade, some)]

    assert Counter(type(o) for o in some) == counts
    assert not feed.skipped
    assert (sum(hits), len(hits)) == (equal, compared)
    assert trade_ids == list(range(trade_ids[0], trade_ids[0] + len(trade_ids)))


@needs_data
async def test_a_real_recording_is_published_whole_and_in_order():
    output = recorded(await observations_of(*FUTURES, venue="BINANCE-USDM"))

    [lane] = [lane for n in range(2) if len(of(Trade, lane := events(output, partition=n))) > 0]
    assert not output.letters
    assert len(of(Trade, lane)) == of(End, lane)[0].counts == 21_313
    assert of(Clock, lane)[-1].counts <= 21_313
    assert [e.seq for e in lane] == sorted(e.seq for e in lane)
