"""Frames of venues to trades, quotes and books: recorded ones, today's, and wrong ones."""

from __future__ import annotations

import gzip
import zipfile
from collections import Counter
from pathlib import Path
from zlib import crc32

import pytest

from builders import T0
from producers.feed import Lost, Restored
from producers.feeds.bybit import BybitParser
from producers.feeds.coinbase import CoinbaseParser
from producers.feeds.kraken import KrakenParser
from producers.feeds.okx import OkxParser
from producers.feeds.recorded import RecordedFeed
from schemas.events import Book, Quote, Trade
from schemas.instruments import split_instrument

DATA = Path(__file__).parents[2] / "shared/data"
CAPTURES = DATA / "exchange_ws"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="recorded market data is not here")


async def observations_of(path, venue):
    feed = RecordedFeed([path], venue)
    return [o async for batch in feed.observations() for o in batch], feed.skipped


def kinds(observations):
    return Counter(type(o) for o in observations)


@needs_data
@pytest.mark.parametrize(
    ("file", "venue", "counts"),
    [
        # Books are the snapshots and every update, each with the right checksum if there is one.
        ("KRAKEN.ws.50.0.gz", "KRAKEN", {Book: 10 + 4_269}),
        ("KRAKEN.ws.48.0.gz", "KRAKEN", {Trade: 10}),
        ("KRAKEN.ws.49.0.gz", "KRAKEN", {Quote: 18}),
        ("OKX.ws.1.0.gz", "OKX", {Book: 3 + 287, Trade: 74, Quote: 28}),
        ("COINBASE.ws.28.0.gz", "COINBASE", {Book: 10 + 9_719, Trade: 10 + 97, Quote: 107}),
        ("BYBIT.ws.26.0.gz", "BYBIT", {Book: 2 + 1_016, Trade: 150}),
    ],
)
async def test_a_capture_gives_every_trade_and_a_whole_book_at_every_update(file, venue, counts):
    observations, skipped = await observations_of(CAPTURES / file, venue)

    assert kinds(observations) == counts
    assert not skipped
    for book in observations:
        if isinstance(book, Book) and book.bids and book.asks:
            assert book.bids[0][0] < book.asks[0][0]


@needs_data
def test_five_hundred_levels_of_bybit_are_whole_at_every_update():
    (path,) = (DATA / "bybit_ob500").glob("*.zip")
    with zipfile.ZipFile(path) as archive:
        frames = archive.read(archive.namelist()[0]).splitlines()
    parser = BybitParser("BYBIT", 500)

    observations = [o for frame in frames for o in parser.parse(T0, frame)]

    assert kinds(observations) == {Book: 50}
    assert len(observations[0].bids) == len(observations[0].asks) == 500


@needs_data
@pytest.mark.parametrize(
    ("file", "parser", "update"),
    [("KRAKEN.ws.50.0.gz", KrakenParser, b'"c":"'), ("OKX.ws.1.0.gz", OkxParser, b'"update"')],
)
def test_a_book_that_misses_an_update_is_told_of_no_more(file, parser, update):
    lines = gzip.decompress((CAPTURES / file).read_bytes()).splitlines()
    frames = [frame for head, _, frame in (x.partition(b": ") for x in lines) if head[:1] == b"1"]
    changes = [n for n, frame in enumerate(frames) if update in frame]
    del frames[changes[20]]
    parser = parser("X", 20)

    observations = [o for frame in frames for o in parser.parse(T0, frame)]

    lost = next(n for n, o in enumerate(observations) if isinstance(o, Lost))
    (instrument,) = observations[lost].instruments
    assert parser.broken == {split_instrument(instrument)[0]}
    assert (kinds(observations)[Lost], kinds(observations)[Restored]) == (1, 0)
    after = [o.instrument for o in observations[lost:] if isinstance(o, Book)]
    assert after
    assert instrument not in after


KRAKEN_SNAPSHOT = (
    b'{"channel":"book","type":"snapshot","data":[{"symbol":"MATIC/USD","bids":['
    b'{"price":0.5666,"qty":4831.75496356},{"price":0.5665,"qty":6658.22734739}],"asks":['
    b'{"price":0.5668,"qty":4410.79769741},{"price":0.5669,"qty":4655.40412487}],'
    b'"checksum":%d}]}'
)


def kraken_checksum():
    digits = "5668441079769741566946554041248756664831754963565665665822734739"
    return crc32(digits.encode())


def test_todays_kraken_is_read():
    parser = KrakenParser("KRAKEN", 10)
    frames = [
        b'{"channel":"status","type":"update","data":[{"system":"online"}]}',
        (
            b'{"method":"subscribe","result":{"channel":"book","depth":10,"symbol":"MATIC/USD"},'
            b'"success":true,"time_in":"2023-10-06T17:35:55.440295Z"}'
        ),
        b'{"channel":"heartbeat"}',
        KRAKEN_SNAPSHOT % kraken_checksum(),
        (
            b'{"channel":"trade","type":"update","data":[{"symbol":"MATIC/USD","side":"sell",'
            b'"price":0.5117,"qty":40.0,"ord_type":"market","trade_id":4665906,'
            b'"timestamp":"2023-09-25T07:49:37.708706Z"}]}'
        ),
        (
            b'{"channel":"ticker","type":"update","data":[{"symbol":"ALGO/USD","bid":0.10025,'
            b'"bid_qty":740.0,"ask":0.10036,"ask_qty":1361.44813783,"last":0.10035}]}'
        ),
    ]

    book, trade, quote = (o for frame in frames for o in parser.parse(T0, frame))

    assert book.bids == [(0.5666, 4831.75496356), (0.5665, 6658.22734739)]
    assert (trade.side, trade.trade_id, trade.size) == ("sell", "4665906", 40.0)
    assert trade.ts_event == 1_695_628_177_708_706_000
    assert (quote.instrument, quote.bid_price) == ("ALGO/USD.KRAKEN", 0.10025)


def test_todays_okx_is_read():
    parser = OkxParser("OKX", 10)
    frames = [
        b'{"event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT"},"connId":"a4d3ae55"}',
        (
            b'{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"snapshot","data":[{"asks":'
            b'[["8476.98","415","0","13"]],"bids":[["8476.97","256","0","12"]],"ts":"1597026383085",'
            b'"checksum":%d,"prevSeqId":-1,"seqId":123456}]}'
        ),
        (
            b'{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[{"asks":[],'
            b'"bids":[["8476.97","0","0","0"],["8476","1","0","1"]],"ts":"1597026383185",'
            b'"prevSeqId":123456,"seqId":123457}]}'
        ),
        (
            b'{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT","tradeId":'
            b'"130639474","px":"42219.9","sz":"0.12060306","side":"buy","ts":"1630048897897"}]}'
        ),
        b"pong",
    ]
    checksum = crc32(b"8476.97:256:8476.98:415")
    frames[1] %= checksum - (checksum >> 31 << 32)

    *books, trade = (o for frame in frames for o in parser.parse(T0, frame))

    assert [book.bids for book in books] == [[(8476.97, 256.0)], [(8476.0, 1.0)]]
    assert books[1].update_id == 123_457
    assert (trade.side, trade.size, trade.trade_id) == ("buy", 0.12060306, "130639474")


def test_todays_bybit_is_read():
    parser = BybitParser("BYBIT", 10)
    depth = (
        b'{"topic":"orderbook.50.BTCUSDT","type":"%s","ts":1672304484978,"data":'
        b'{"s":"BTCUSDT","b":[["16493.50","0.006"]],"a":[["16611.00","0.029"]],"u":%d,"seq":7},'
        b'"cts":1672304484976}'
    )
    frames = [
        b'{"success":true,"ret_msg":"","conn_id":"2324d924","req_id":"","op":"subscribe"}',
        b'{"success":true,"ret_msg":"pong","conn_id":"2324d924","req_id":"","op":"ping"}',
        depth % (b"snapshot", 18_521_288),
        depth % (b"delta", 18_521_289),
        (
            b'{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1672304486868,"data":[{"T":'
            b'1672304486865,"s":"BTCUSDT","S":"Buy","v":"0.001","p":"16578.50","L":"PlusTick","i":'
            b'"20f43950-d8dd-5b31-9112-a178eb6023af","BT":false,"seq":1783284617}]}'
        ),
    ]

    *books, trade = (o for frame in frames for o in parser.parse(T0, frame))

    assert [book.update_id for book in books] == [18_521_288, 18_521_289]
    assert (trade.side, trade.price, trade.ts_event) == ("buy", 16578.5, 1_672_304_486_865_000_000)


@pytest.mark.parametrize(("number", "told"), [(3, [Lost]), (1, [Book]), (2, [Book])])
def test_deltas_of_bybit_follow_each_other_and_one_begins_anew(number, told):
    parser = BybitParser("BYBIT", 10)
    frame = '{"topic":"orderbook.50.X","type":"%s","ts":1,"data":{"s":"X","b":[],"a":[],"u":%d}}'
    parser.parse(T0, (frame % ("snapshot", 1)).encode())

    assert [type(o) for o in parser.parse(T0, (frame % ("delta", number)).encode())] == told


def test_a_trade_of_coinbase_that_did_not_come_is_a_loss_of_its_product():
    parser = CoinbaseParser("COINBASE", 10)
    match = (
        '{"type":"match","trade_id":%d,"side":"sell","size":"5.23512","price":"400.23",'
        '"product_id":"%s","sequence":50,"time":"2014-11-07T08:19:27.028459Z"}'
    )

    def read(number, product="BTC-USD"):
        return parser.parse(T0, (match % (number, product)).encode())

    assert [type(o) for o in (*read(10), *read(11), *read(11), *read(7, "ETH-USD"))] == [Trade] * 4
    lost, restored, trade = read(15)

    assert (lost.reason, lost.instruments) == (
        "trades 12 to 14 did not come",
        ("BTC-USD.COINBASE",),
    )
    assert isinstance(restored, Restored)
    assert (trade.trade_id, trade.side) == ("15", "buy")
    assert len(read(16)) == 1
