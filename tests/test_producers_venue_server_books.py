"""Books of a served venue, for who comes late: what was sent, in its own protocol."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from builders import T0
from producers.feed import Lost
from producers.feeds.mexc import SIZE_OF
from producers.feeds.sources import SOURCES
from producers.venue_server.asked_books import AskedBooks
from producers.venue_server.protocols import answers
from producers.venue_server.sent_books import SentBooks
from schemas.codec import DECODE_ERRORS
from schemas.errors import DataError
from schemas.events import Book
from served_captures import DATA, SYMBOLS, frames_of, kraken_checksum

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="recorded market data is not here")
SENT = ("BYBIT", "COINBASE", "KRAKEN", "OKX")
ASKED = ("BINANCE", "BINANCE-USDM", "MEXC", "MEXC-SPOT")
CUTS = 4
DEPTH = 20
RECORDED_DEPTH = 1_000
"""Of Kraken's books: who asks for fewer levels is told of others."""


def new_parser(venue):
    return SOURCES[venue].parser(venue, RECORDED_DEPTH if venue == "KRAKEN" else DEPTH)


def seen(parser, frame):
    """Return the books that a frame shows, their best levels, and what was noticed missing."""
    try:
        found = parser.parse(T0, frame)
    except (DataError, *DECODE_ERRORS):
        return []
    return [
        (o.instrument, o.update_id, o.bids[:DEPTH], o.asks[:DEPTH]) if isinstance(o, Book) else o
        for o in found
        if isinstance(o, Book | Lost)
    ]


def subscribed(venue, books):
    """Return a parser that was told what a client is who subscribes now, and what it saw."""
    parser, shown = new_parser(venue), []
    for request in SOURCES[venue].subscribe(SYMBOLS[venue], RECORDED_DEPTH):
        message = request.message.decode()
        for frame in [*answers(venue, message), *books.opening(message)]:
            shown += seen(parser, frame)
    return parser, shown


@needs_data
@pytest.mark.parametrize("venue", SENT)
def test_who_subscribes_late_has_the_books_of_who_heard_everything(venue):
    frames, random = frames_of(venue), Random(1)
    cuts = {random.randrange(len(frames)) for _ in range(CUTS)}
    books, first, late, newest = SentBooks(venue), new_parser(venue), [], {}
    compared = 0

    for number, frame in enumerate(frames):
        if number in cuts:
            parser, shown = subscribed(venue, books)
            assert {book[0]: book for book in shown} == newest
            late.append(parser)
        told = seen(first, frame)
        newest |= {book[0]: book for book in told}
        for parser in late:
            assert seen(parser, frame) == told
            compared += len(told)
        books.keep(frame)

    assert compared > len(frames) / 2
    assert not any(isinstance(book, Lost) for book in newest.values())


def test_a_level_that_fell_out_of_the_depth_that_is_told_does_not_come_back():
    books, prices = SentBooks("KRAKEN"), [f"{price}.0" for price in range(100, 90, -1)]
    subscribing = '{"method":"subscribe","params":{"channel":"book","symbol":["A/B"]}}'

    books.keep(kraken_book("snapshot", prices, prices))
    books.keep(kraken_book("update", ["101.0"], ["101.0", *prices[:-1]]))
    # Of 91 nothing is told any more, not that it is gone; what comes into its place is told.
    books.keep(kraken_book("update", ["-101.0", "90.0"], [*prices[:-1], "90.0"]))

    (known,) = books.opening(subscribing)
    assert known == kraken_book("snapshot", [*prices[:-1], "90.0"], [*prices[:-1], "90.0"])


def kraken_book(kind, bids, now):
    """Tell bids, those with a minus being removed; ``now`` are those that are left."""
    levels = ",".join(
        f'{{"price":{price.removeprefix("-")},"qty":{"0.0" if price[0] == "-" else "1.50"}}}'
        for price in bids
    )
    checksum = kraken_checksum([(price, "1.50") for price in now], [])
    return (
        f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"A/B","bids":[{levels}],'
        f'"asks":[],"checksum":{checksum}}}]}}'
    ).encode()


def asked(venue, books, symbol):
    """Return frames with what a venue answers to who asks for all that its parser needs."""
    source = SOURCES[venue]
    names = [SIZE_OF + symbol, symbol] if venue == "MEXC" else [symbol]
    for name in names:
        path, _, query = source.snapshot_path(name).partition("?")
        reply = books.reply(path, dict(part.split("=") for part in query.split("&")))
        if reply is not None:
            yield source.snapshot_frame(name, reply)


@needs_data
@pytest.mark.parametrize("venue", ASKED)
def test_who_asks_late_has_the_books_of_who_heard_everything(venue):
    frames, random = frames_of(venue), Random(2)
    (symbol,) = SYMBOLS[venue]
    cuts = {random.randrange(200, len(frames) - 200) for _ in range(CUTS)}
    books, first, late, asking = AskedBooks(venue), new_parser(venue), [], []
    compared = 0

    for number, frame in enumerate(frames):
        if number in cuts:
            asking.append((number + random.randrange(100), new_parser(venue)))
        told = seen(first, frame)
        books.keep(frame)
        for parser in late:
            assert seen(parser, frame) == told
            compared += len(told)
        for due in list(asking):
            at, parser = due
            seen(parser, frame)
            if number >= at and told:
                replies = list(asked(venue, books, symbol))
                assert replies
                waited = [book for reply in replies for book in seen(parser, reply)]
                assert waited[-1:] in ([], told[-1:])
                assert not parser.broken
                asking.remove(due)
                late.append(parser)

    assert len(late) == len(cuts)
    assert compared > 200


def depth(first, last, previous=None, bids=()):
    data = {"e": "depthUpdate", "E": T0 // 10**6, "s": "BTCUSDT", "U": first, "u": last}
    data |= {"b": bids, "a": []} | ({} if previous is None else {"pu": previous})
    return msgspec.json.encode({"stream": "btcusdt@depth@100ms", "data": data})


def binance_books(venue="BINANCE"):
    books = AskedBooks(venue)
    books.keep(
        b'{"stream":"btcusdt@snapshot","data":{"lastUpdateId":10,"bids":[["99.50","2.000"],'
        b'["99","1"]],"asks":[["100.5","1"]]}}'
    )
    return books


@needs_data
@pytest.mark.parametrize("venue", ["BINANCE", "BINANCE-USDM"])
def test_a_snapshot_continues_the_stream_by_the_documented_rule(venue):
    books, last, known, followed = AskedBooks(venue), {}, None, 0
    path = SOURCES[venue].snapshot_path("BTCUSDT").partition("?")[0]

    for frame in frames_of(venue):
        books.keep(frame)
        if b"@depth" not in frame[:40]:
            continue
        update = msgspec.json.decode(frame)["data"]
        if known is not None and venue == "BINANCE":
            assert update["U"] <= known + 1 <= update["u"]
        elif known is not None:
            assert any(event["U"] <= known <= event["u"] for event in (last, update))
            assert update["pu"] <= known
        reply = books.reply(path, {"symbol": "btcusdt", "limit": "5"})
        if reply is not None:
            book = msgspec.json.decode(reply)
            assert len(book["bids"]) == len(book["asks"]) == 5
            last, known, followed = update, book["lastUpdateId"], followed + 1

    assert followed > 250


def test_levels_are_told_with_the_digits_that_were_sent():
    books = binance_books()
    books.keep(depth(11, 12, bids=[["99", "0.000"], ["98.10", "3.000"]]))

    reply = books.reply("/api/v3/depth", {"symbol": "BTCUSDT"})

    assert reply == (
        b'{"lastUpdateId":12,"bids":[["99.50","2.000"],["98.10","3.000"]],"asks":[["100.5","1"]]}'
    )
    assert books.reply("/api/v3/depth", {"symbol": "BTCUSDT", "limit": "1"}) == (
        b'{"lastUpdateId":12,"bids":[["99.50","2.000"]],"asks":[["100.5","1"]]}'
    )
    assert books.reply("/api/v3/depth", {"symbol": "ETHUSDT"}) is None
    assert books.reply("/api/v3/time", {}) is None


def test_a_book_with_a_hole_is_known_no_more_until_the_next_snapshot():
    books = binance_books()
    okx = SentBooks("OKX")
    subscribing = '{"op":"subscribe","args":[{"channel":"books","instId":"A-B"}]}'

    books.keep(depth(13, 14))
    assert books.reply("/api/v3/depth", {"symbol": "BTCUSDT"}) is None
    books.keep(depth(15, 16, bids=[["98", "1"]]))
    books.keep(b'{"lastUpdateId":15,"bids":[["99","1"]],"asks":[["101","1"]]}')
    assert books.reply("/api/v3/depth", {"symbol": "BTCUSDT"}) == (
        b'{"lastUpdateId":16,"bids":[["99","1"],["98","1"]],"asks":[["101","1"]]}'
    )

    okx.keep(okx_book("snapshot", 7, -1, [["9", "1", "0", "1"]]))
    okx.keep(okx_book("update", 8, 7, [["8", "2", "0", "1"]]))
    (known,) = okx.opening(subscribing)
    assert known == okx_book("snapshot", 8, -1, [["9", "1", "0", "1"], ["8", "2", "0", "1"]])
    okx.keep(okx_book("update", 10, 9, []))
    assert okx.opening(subscribing) == []
    okx.keep(okx_book("update", 11, 10, []))
    assert okx.opening(subscribing) == []
    okx.keep(okx_book("snapshot", 11, -1, []))
    assert okx.opening(subscribing)


def okx_book(action, sequence, previous, bids):
    book = {"bids": bids, "asks": [], "ts": "1", "seqId": sequence, "prevSeqId": previous}
    arg = {"channel": "books", "instId": "A-B"}
    return msgspec.json.encode({"arg": arg, "action": action, "data": [book]})


@needs_data
@pytest.mark.parametrize(
    ("venue", "message"),
    [
        ("BYBIT", {"op": "subscribe", "args": ["publicTrade.XRPUSDT"]}),
        ("BYBIT", {"op": "subscribe", "args": ["orderbook.500.BTCUSDT"]}),
        ("BYBIT", {"op": "unsubscribe", "args": ["orderbook.500.XRPUSDT"]}),
        ("COINBASE", {"type": "subscribe", "product_ids": ["SKL-USD"], "channels": ["matches"]}),
        ("KRAKEN", {"method": "ping"}),
        ("KRAKEN", {"method": "subscribe", "params": {"channel": "trade", "symbol": ["XMR/USD"]}}),
        ("OKX", {"op": "subscribe", "args": [{"channel": "trades", "instId": "BTC-USDT"}]}),
        ("OKX", ["books"]),
        ("BINANCE", {"method": "SUBSCRIBE", "params": ["btcusdt@depth"], "id": 1}),
    ],
)
def test_who_does_not_ask_for_a_book_is_told_none(venue, message):
    books = SentBooks(venue)
    for frame in frames_of(venue)[:200]:
        books.keep(frame)

    assert books.opening(msgspec.json.encode(message).decode()) == []
    assert books.opening("ping") == []


@needs_data
@pytest.mark.parametrize("venue", SENT + ASKED)
def test_frames_that_are_spoiled_harm_no_book(venue):
    books = (AskedBooks if venue in ASKED else SentBooks)(venue)
    frames, random = frames_of(venue)[:300], Random(3)
    wrong = b'{"lastUpdateId":1,"version":1,"bids":[["0","1"]],"asks":[["1","x"]]}'
    books.keep(b'{"stream":"btcusdt@snapshot","data":%s}' % wrong)
    for symbol in (b"BTCUSDT", b"BTC_USDT"):
        books.keep(b'{"channel":"snapshot","symbol":"%s","data":%s}' % (symbol, wrong))
        reply = b'{"success":true,"data":%s}' % wrong.replace(b"x", b"-1")
        books.keep(b'{"channel":"snapshot","symbol":"%s","data":%s}' % (symbol, reply))

    for frame in frames:
        books.keep(frame)
        books.keep(frame[: random.randrange(len(frame))])
        books.keep(bytes(random.choices(range(256), k=50)))
        books.keep(b'{"channel":"book","type":"update","topic":"orderbook.1.X","stream":"x@depth"}')

    if venue in ASKED:
        assert list(asked(venue, books, SYMBOLS[venue][0]))
    else:
        assert subscribed(venue, books)[1]
