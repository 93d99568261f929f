"""A venue through ccxt: a local server speaks its protocol, over HTTP and WebSocket."""

from __future__ import annotations

import asyncio
import importlib.util
from contextlib import asynccontextmanager
from functools import partial

import orjson
import pytest
from aiohttp import WSMsgType, web

import deploy_builders
from builders import T0
from producers.feed import Lost, Rejected, Restored
from producers.feeds.ccxt_feed import CcxtFeed
from producers.feeds.ccxt_market import CcxtMarket
from producers.live.conversation import ConnectionLostError
from schemas.errors import DataError, UnknownNameError
from schemas.events import NS_PER_MS, Book, Trade
from schemas.sections import Capture
from served_routes import listening_on
from test_producers_live import IMPATIENT, heard, ids, until

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ccxt") is None, reason="the optional ccxt is not installed"
)
run = partial(deploy_builders.run, seconds=60)
SOURCE, SYMBOL, INSTRUMENT = "CCXT:hitbtc", "BTC/USDT", "BTCUSDT.HITBTC"
MS = T0 // NS_PER_MS
MARKET = {
    "type": "spot",
    "base_currency": "BTC",
    "quote_currency": "USDT",
    "status": "working",
    "quantity_increment": "0.00001",
    "tick_size": "0.01",
    "take_rate": "0.0025",
    "make_rate": "0.001",
    "fee_currency": "USDT",
    "margin_trading": False,
}


class HitBtc:
    """The part of HitBTC's protocol that a recording needs."""

    def __init__(self) -> None:
        self.clients: set[web.WebSocketResponse] = set()
        self.asked: list[str] = []
        self.sequence = 0

    def serve(self):
        routes = {"/api/3/public/{what}": self._known, "/api/3/ws/public": self._talk}
        return listening_on(routes, self.disconnect)

    async def disconnect(self):
        for client in list(self.clients):
            await client.close()
        self.asked.clear()

    async def say(self, message):
        for client in list(self.clients):
            await client.send_json(message)

    async def trades(self, *numbers):
        rows = [{"t": MS, "i": n, "p": "30877.68", "q": "0.00006", "s": "sell"} for n in numbers]
        await self.say({"ch": "trades", "update": {"BTCUSDT": rows}})

    async def book(self, kind, bids, asks):
        self.sequence += 1
        levels = {"t": MS, "s": self.sequence, "b": bids, "a": asks}
        await self.say({"ch": "orderbook/full", kind: {"BTCUSDT": levels}})

    async def _known(self, request):
        symbols = request.match_info["what"] == "symbol"
        return web.json_response({"BTCUSDT": MARKET} if symbols else {})

    async def _talk(self, request):
        client = web.WebSocketResponse()
        await client.prepare(request)
        async for message in client:
            if message.type is WSMsgType.TEXT:
                said = orjson.loads(message.data)
                await client.send_json({"result": {"ch": said["ch"]}, "id": said["id"]})
                self.clients.add(client)
                self.asked.append(said["ch"])
                if said["ch"] == "orderbook/full":
                    await self.book("snapshot", [["99", "1"]], [["101", "2"]])
        self.clients.discard(client)
        return client


@asynccontextmanager
async def listening(venue, *, raw_folder=None, symbols=(SYMBOL,), **settings):
    async with venue.serve() as port:
        capture = Capture(
            endpoints=(f"{SOURCE}=ws://127.0.0.1:{port}",),
            rest_endpoints=(f"{SOURCE}=http://127.0.0.1:{port}",),
            **IMPATIENT | settings,
        )
        yield CcxtFeed(SOURCE, symbols, capture, depth=20, raw_folder=raw_folder)


async def subscribed(venue):
    await until(lambda: len(venue.asked) == 2)


async def test_every_trade_of_a_burst_is_taken_and_each_change_of_the_book(tmp_path):
    venue, count = HitBtc(), 5_000

    async with listening(venue, raw_folder=tmp_path) as feed:
        told = asyncio.create_task(heard(feed, lambda them: len(ids(them)) == count + 1))
        await subscribed(venue)
        for first in range(0, count, 500):
            await venue.trades(*range(first, first + 500))
        await venue.book("update", [["100", "3"]], [["101", "0"], ["102", "1"]])
        await venue.trades(count)
        found = await told

    assert ids(found) == list(range(count + 1))
    assert not [o for o in found if isinstance(o, Lost | Rejected)]
    assert {o.instrument for o in found if isinstance(o, Trade | Book)} == {INSTRUMENT}
    books = [(o.update_id, o.bids, o.asks) for o in found if isinstance(o, Book)]
    assert books == [(1, [(99, 1)], [(101, 2)]), (2, [(100, 3), (99, 1)], [(102, 1)])]
    trade = next(o for o in found if isinstance(o, Trade))
    assert (trade.ts_event, trade.side, trade.size) == (T0, "sell", 0.00006)
    assert list(tmp_path.glob(f"{feed.session}/*.raw.zst"))


async def test_what_is_told_while_nobody_listens_lies_in_a_loss():
    venue = HitBtc()

    async with listening(venue) as feed:
        seen = set()
        told = asyncio.create_task(heard(feed, lambda them: seen.update(ids(them)) or 3 in seen))
        await subscribed(venue)
        await venue.trades(1)
        await until(lambda: 1 in seen)
        await venue.disconnect()
        await subscribed(venue)
        await venue.trades(3)
        found = await told

    kinds = [type(o) for o in found if isinstance(o, Trade | Lost | Restored)]
    assert kinds == [Trade, Lost, Restored, Trade]
    times = [o.ts_recv for o in found]
    assert times == sorted(times)


async def test_a_book_that_is_crossed_is_not_told_and_all_begins_anew():
    venue = HitBtc()

    async with listening(venue) as feed:
        told = asyncio.create_task(
            heard(feed, lambda them: any(isinstance(o, Restored) for o in them))
        )
        await subscribed(venue)
        await venue.book("update", [["105", "1"]], [])
        found = await told

    (lost,) = (o for o in found if isinstance(o, Lost))
    assert "crossed" in lost.reason
    assert all(o.bids[0] < o.asks[0] for o in found if isinstance(o, Book))


async def test_a_trade_that_makes_no_sense_is_kept_and_its_neighbours_are_unharmed():
    venue = HitBtc()

    async with listening(venue) as feed:
        told = asyncio.create_task(heard(feed, lambda them: 2 in ids(them)))
        await subscribed(venue)
        await venue.trades(1)
        renamed = [{"t": MS, "i": 7, "price": "1", "q": "1", "s": "buy"}]
        await venue.say({"ch": "trades", "update": {"BTCUSDT": renamed}})
        await venue.trades(2)
        found = await told

    assert ids(found) == [1, 2]
    (rejected,) = (o for o in found if isinstance(o, Rejected))
    assert "no price" in rejected.reason


async def test_more_than_may_wait_is_a_loss_and_not_memory():
    venue = HitBtc()

    async with listening(venue, frames_max=100) as feed:
        told = asyncio.create_task(heard(feed, lambda them: 9_999 in ids(them)))
        await subscribed(venue)
        await venue.trades(*range(1_000))
        await until(lambda: len(venue.asked) == 4)
        await venue.trades(9_999)
        found = await told

    before = ids(found)[:-1]
    assert before == list(range(len(before)))
    assert len(before) <= 100
    (lost,) = (o for o in found if isinstance(o, Lost))
    assert "capture.frames_max" in lost.reason


async def test_a_symbol_that_the_venue_has_not_is_answered_with_those_that_it_has():
    async with listening(HitBtc(), symbols=["BTC/USD"]) as feed:
        with pytest.raises(UnknownNameError, match="known: BTC/USDT"):
            await heard(feed, lambda _: False)


async def test_a_venue_that_is_not_there_is_said_at_once():
    capture = Capture(rest_endpoints=(f"{SOURCE}=http://127.0.0.1:9",), **IMPATIENT)
    feed = CcxtFeed(SOURCE, [SYMBOL], capture, depth=20)

    with pytest.raises(ConnectionLostError, match="cannot be reached"):
        await heard(feed, lambda _: False)


def test_an_unknown_exchange_is_answered_with_the_known_ones():
    with pytest.raises(UnknownNameError, match="did you mean hitbtc"):
        CcxtFeed("CCXT:hitbtcc", [SYMBOL], Capture(), depth=20)


def market(**fields):
    usual = {"id": "BTCUSDT", "symbol": "BTC/USDT:USDT", "contract": True, "contractSize": 0.001}
    return CcxtMarket.of("X", usual | fields, alone=True)


def parsed(**fields):
    usual = {"id": "7", "price": 50_000.0, "amount": 3, "timestamp": MS, "side": "buy"}
    return usual | {"info": {"i": 7}} | fields


def test_contracts_are_told_in_base_units_and_ids_that_were_made_up_are_none():
    assert market().trade(T0, parsed()).size == 0.003
    assert market(inverse=True, contractSize=100).trade(T0, parsed()).size == 0.006
    assert market(contract=False).trade(T0, parsed()).size == 3
    assert market().trade(T0, parsed()).trade_id == "7"
    assert market().trade(T0, parsed(id=f"{MS}-buy-3-50000")).trade_id is None
    assert market().trade(T0, parsed(timestamp=None)).ts_event == 0
    with pytest.raises(DataError, match="no price"):
        market().trade(T0, parsed(price=None))


def test_orders_at_one_price_are_one_level():
    book = {"bids": [[9.0, 1, "a"], [9.0, 2, "b"], [8.0, 1, "c"]], "asks": [[10.0, 1, "d"]]}

    told = market(contract=False).book(T0, book, 1)

    assert (told.bids, told.asks) == ([(9.0, 3)], [(10.0, 1)])


@pytest.mark.stack
async def test_it_is_recorded_from_the_command_line_as_any_venue(settings):
    venue = HitBtc()
    async with venue.serve() as port:
        own = settings.model_copy(
            update={
                "capture": Capture(
                    endpoints=(f"{SOURCE}=ws://127.0.0.1:{port}",),
                    rest_endpoints=(f"{SOURCE}=http://127.0.0.1:{port}",),
                )
            }
        )
        command = ("record", "ccxt:hitbtc", "BTC/USDT", "--duration", "12s", "--json")
        recording = asyncio.create_task(asyncio.to_thread(run, own, *command))
        await subscribed(venue)
        await venue.trades(*range(100))
        found = await recording

    summary = orjson.loads(found.stdout)
    assert (summary["trades"], summary["books"], summary["gaps"]) == (100, 1, 0)
    assert summary["session"].startswith("ccxt-hitbtc-")
    again = run(own, "reparse", summary["session"])
    assert again.returncode == 1
    assert "cannot be read again" in again.stderr
