"""Trades that were missed, asked for over HTTP: each venue's pages, and what may come of it."""

from __future__ import annotations

import asyncio
from itertools import repeat

import orjson
import pytest

from builders import T0
from producers.feed import Lost, Restored
from producers.feeds import bybit_history, coinbase_history, kraken_history, okx_history
from producers.feeds.sources import SOURCES
from producers.live.connection import UnansweredError
from producers.live.refill import Refill
from producers.venue_server.server import VenueServer
from producers.venue_server.trade_history import TradeHistory
from producers_builders import seen_trade
from schemas.events import NS_PER_MS, NS_PER_S, Trade
from schemas.sections import Capture
from test_producers_live import heard, ids, listening, match, until

COUNT = 2_500
FRAMES = {
    "BINANCE": '{"stream":"x@trade","data":{"s":"X","t":%(id)d,"p":"1","q":"2","T":%(ms)d,'
    '"m":true}}',
    "COINBASE": '{"type":"match","trade_id":%(id)d,"side":"buy","size":"2","price":"1",'
    '"product_id":"X","time":"%(iso)s"}',
    "KRAKEN": '{"channel":"trade","type":"update","data":[{"symbol":"X","side":"sell","price":1.0,'
    '"qty":2.0,"trade_id":%(id)d,"timestamp":"%(iso)s"}]}',
    "OKX": '{"arg":{"channel":"trades-all","instId":"X"},"data":[{"instId":"X","tradeId":"%(id)d",'
    '"px":"1","sz":"2","side":"sell","ts":"%(ms)d"}]}',
    "BYBIT": '{"topic":"publicTrade.X","data":[{"T":%(ms)d,"s":"X","S":"Sell","v":"2","p":"1",'
    '"i":"%(id)d"}]}',
}


def frame_of(venue, number):
    ms = T0 // NS_PER_MS + 10 * number
    minute, rest = divmod(10 * number, 60_000)
    iso = f"2023-11-14T22:{13 + minute:02}:{rest // 1000:02}.{rest % 1000:03}Z"
    return (FRAMES[venue] % {"id": number, "ms": ms, "iso": iso}).encode()


def refill_of(venue, answer, **settings):
    async def fetch(path):
        return await asyncio.to_thread(answer, path)

    settings = Capture(**{"history_s_max": 5.0} | settings)
    return Refill(SOURCES[venue].history, fetch, lambda: repeat(0.001), settings)


def served(venue, count=COUNT):
    """Return what a venue that told so many trades answers, and its live trades."""
    history, parser = TradeHistory(venue), SOURCES[venue].parser(venue, 1)
    trades = []
    for number in range(1, count + 1):
        frame = frame_of(venue, number)
        history.keep(frame)
        trades += parser.parse(T0, frame)

    def answer(path):
        name, _, query = path.partition("?")
        return history.reply(name, dict(part.split("=") for part in query.split("&")))

    return answer, [trade for trade in trades if isinstance(trade, Trade)]


@pytest.mark.parametrize(
    ("venue", "behind", "whole"),
    [
        *((venue, 10, True) for venue in FRAMES),
        *((venue, 2_200, True) for venue in ("BINANCE", "COINBASE", "KRAKEN", "OKX")),
        ("BYBIT", 2_200, False),  # tells one page
    ],
)
async def test_what_was_traded_behind_a_known_trade_comes_back_as_it_was(venue, behind, whole):
    answer, live = served(venue)
    known = live[-behind - 1]

    found = await refill_of(venue, answer).behind([known])

    trades, is_whole = found[known.instrument]
    assert is_whole is whole
    expected = live[-behind:] if whole else live[-bybit_history.PAGE_TRADES :]
    for trade in trades:
        assert trade.filled
        trade.filled, trade.ts_recv = expected[0].filled, T0
    assert trades == expected


async def test_a_history_that_fails_is_asked_again_within_the_time():
    answer, live = served("COINBASE", 20)
    replies = [UnansweredError("status 500"), b"<html>502</html>", b"[]", b'{"message":"no"}']

    def troubled(path):
        reply = replies.pop(0) if replies else answer(path)
        if isinstance(reply, Exception):
            raise reply
        return reply

    replies.remove(b"[]")
    found = await refill_of("COINBASE", troubled).behind([live[4]])

    trades, whole = found[live[0].instrument]
    assert whole
    assert [trade.trade_id for trade in trades] == [trade.trade_id for trade in live[5:]]


async def test_a_history_that_says_no_is_not_asked_again():
    asked = []

    def no(path):
        asked.append(path)
        raise UnansweredError("status 403", final=True)

    found = await refill_of("COINBASE", no).behind([seen_trade(trade_id="1")])

    assert not any(refilled.whole for refilled in found.values())
    assert len(asked) == 1


async def test_a_history_that_never_answers_is_given_up():
    def no(_):
        raise UnansweredError("status 500")

    assert not await refill_of("COINBASE", no, history_s_max=0.05).behind(
        [seen_trade(trade_id="1")]
    )


async def test_a_history_that_does_not_end_is_cut_off():
    answer, live = served("OKX")

    found = await refill_of("OKX", answer, history_pages_max=3).behind([live[0]])

    trades, whole = found[live[0].instrument]
    assert not whole
    assert len(trades) == 3 * okx_history.PAGE_TRADES


@pytest.mark.parametrize(
    ("read", "reply", "words"),
    [
        (kraken_history.read_trades, {"error": ["EAPI:Rate limit exceeded"]}, "Rate limit"),
        (kraken_history.read_trades, {"error": [], "result": {}}, "not of one pair"),
        (okx_history.read_trades, {"code": "50011", "msg": "Too Many Requests"}, "50011"),
        (bybit_history.read_trades, {"retCode": 10006, "retMsg": "Too many visits"}, "10006"),
        (coinbase_history.read_trades, {"message": "NotFound"}, "array"),
    ],
)
def test_an_answer_that_is_a_refusal_says_so(read, reply, words):
    with pytest.raises(Exception, match=words):
        read("X.Y", orjson.dumps(reply))


def test_times_of_kraken_are_exact():
    row = ["97.1", "0.5", 1688669597.8277369, "s", "l", "", 7]
    reply = orjson.dumps({"error": [], "result": {"X": [row], "last": "1"}})

    (trade,) = kraken_history.read_trades("X.KRAKEN", reply)

    assert trade.ts_event == 1688669597 * NS_PER_S + 827_736_900
    assert (trade.side, trade.trade_id) == ("sell", "7")


async def test_what_was_missed_is_filled_before_anything_else_is_told():
    server = VenueServer("COINBASE", [])

    async with listening(server, "COINBASE") as feed:
        told = asyncio.create_task(heard(feed, lambda them: 9 in ids(them)))
        await until(lambda: server.clients)
        for number in range(1, 4):
            await server.tell(match(number))
        await until(lambda: len(feed._mending._last()) == 1)
        await server.disconnect()
        for number in range(4, 8):
            await server.tell(match(number))
        await until(lambda: server.clients)
        await server.tell(match(8))
        await server.tell(match(9))
        found = await told

    trades = list({o.trade_id: o for o in found if isinstance(o, Trade)}.values())
    assert [int(trade.trade_id) for trade in trades] == list(range(1, 10))
    assert [int(t.trade_id) for t in trades if t.filled][:4] == [4, 5, 6, 7]
    (restored,) = (o for o in found if isinstance(o, Restored))
    assert restored.filled == feed.instruments


async def test_a_number_that_is_missing_is_asked_for_at_once():
    server = VenueServer("COINBASE", [])

    async with listening(server, "COINBASE") as feed:
        told = asyncio.create_task(heard(feed, lambda them: 4 in ids(them)))
        await until(lambda: server.clients)
        server.faults.order("drop", b'"trade_id":2')
        for number in range(1, 5):
            await server.tell(match(number))
        found = await told

    assert ids(found) == [1, 2, 3, 4]
    kinds = [type(o) for o in found if isinstance(o, Trade | Lost | Restored)]
    assert kinds == [Trade, Lost, Trade, Trade, Restored, Trade]
    assert [bool(o.filled) for o in found if isinstance(o, Trade)] == [False, True, False, False]
