"""Several connections to one venue: nothing is lost that one of them told."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random

import pytest

from producers.feed import Lost, Note, Rejected, Restored
from producers.feeds.recorded import RecordedFeed
from producers.live.trade_chains import TradeChains
from producers.venue_server.server import VenueServer
from producers_builders import seen_trade
from schemas.events import Book, Trade
from test_producers_live import heard, ids, listening, match, until
from venue_market import SYMBOL, Market


class Telling:
    """A market that goes on as long as somebody listens."""

    def __init__(self, venue, random):
        self.market, self.server = Market(venue, random), VenueServer(venue, [])
        self.going = None

    def begin(self):
        self.going = asyncio.create_task(self._go())

    async def _go(self):
        await self.server.tell(self.market.snapshot())
        while True:
            await self.server.tell(self.market.step())
            await asyncio.sleep(0.001)


@pytest.fixture
async def telling(request):
    telling = Telling(request.param, Random(3))
    yield telling
    telling.going.cancel()
    await asyncio.gather(telling.going, return_exceptions=True)


def listen(telling, folder=None, **settings):
    venue = telling.market.instrument.partition(".")[2]
    impatient = {"resync_ms_min": 20, "reconnect_ms_min": 5, "history_s_max": 0}
    return listening(
        telling.server, venue, symbols=[SYMBOL], raw_folder=folder, **impatient | settings
    )


def without_doubles(found):
    """Return the trades as the recorder leaves them."""
    return list({o.trade_id: o for o in found if isinstance(o, Trade)}.values())


def whole(telling, found):
    """Tell whether every trade from the first to the last is there, and every book is right."""
    names = [trade.trade_id for trade in without_doubles(found)]
    told = list(telling.market.trades)
    books = [o for o in found if isinstance(o, Book)]
    marks = [book.update_id for book in books]
    assert names == told[told.index(names[0]) : told.index(names[-1]) + 1]
    assert all((book.bids, book.asks) == telling.market.books[book.update_id] for book in books)
    assert marks == sorted(marks)
    return bool(books)


both = pytest.mark.parametrize("telling", ["BINANCE", "BYBIT"], indirect=True)


@both
async def test_of_two_connections_one_may_be_lost_and_there_is_no_gap(telling, tmp_path):
    async with listen(telling, tmp_path, connections=2) as feed:
        enough = asyncio.Event()
        watching = asyncio.create_task(heard(feed, lambda _: enough.is_set()))
        await until(lambda: len(telling.server.clients) == 2)
        telling.begin()
        for _ in range(6):
            await asyncio.sleep(0.15)
            client = next(iter(telling.server.clients))
            await client.close()
            await until(lambda client=client: client not in telling.server.clients)
            await until(lambda: len(telling.server.clients) == 2)
        enough.set()
        found = await watching

    assert whole(telling, found)
    assert sum(isinstance(o, Note) for o in found) == 6
    assert not [o for o in found if isinstance(o, Lost | Restored | Rejected)]
    # The stored frames, of two connections in turn, say the same.
    recorded = RecordedFeed(sorted(tmp_path.glob("*/*.raw.zst")), feed.session.split("-")[0])
    again = [o async for batch in recorded.observations() for o in batch]
    assert not recorded.skipped
    assert not [o for o in again if isinstance(o, Lost)]
    names = {trade.trade_id for trade in without_doubles(found)}
    assert names <= {trade.trade_id for trade in without_doubles(again)}


@both
async def test_a_planned_reconnect_misses_nothing_and_doubles_nothing(telling):
    async with listen(telling, planned_reconnect_s=0.3, overlap_s_max=2.0) as feed:
        connections = set()
        watching = asyncio.create_task(heard(feed, lambda _: len(connections) > 4))
        await until(lambda: telling.server.clients)
        telling.begin()
        while not watching.done():
            connections |= telling.server.clients
            await asyncio.sleep(0.01)
        found = await watching

    assert whole(telling, found)
    assert not [o for o in found if isinstance(o, Lost | Restored | Note)]


@pytest.mark.parametrize("telling", ["BYBIT"], indirect=True)
async def test_a_book_that_breaks_on_one_connection_goes_on_over_the_other(telling):
    async with listen(telling, connections=2) as feed:
        watching = asyncio.create_task(
            heard(feed, lambda them: sum(isinstance(o, Book) for o in them) > 300)
        )
        await until(lambda: len(telling.server.clients) == 2)
        telling.begin()
        await asyncio.sleep(0.2)
        for client in list(telling.server.clients):
            # Only one of the two hears of an update that never was.
            lie = '{"topic":"orderbook.50.%s","type":"delta","data":{"s":"%s","b":[],"a":[],"u":9}}'
            await client.send_str(lie % (SYMBOL, SYMBOL))
            break
        found = await watching

    assert whole(telling, found)
    assert not [o for o in found if isinstance(o, Lost)]


async def test_what_one_connection_misses_the_other_tells():
    server = VenueServer("COINBASE", [])

    async with listening(server, "COINBASE", connections=2, history_s_max=0) as feed:
        watching = asyncio.create_task(heard(feed, lambda them: ids(them).count(9) == 2))
        await until(lambda: len(server.clients) == 2)
        await server.say(match(1))
        await until(lambda: len(feed._mending._chains._told) == 2)
        first, second = server.clients
        for number in range(2, 10):
            for client in (first, second):
                # Each misses another one.
                if (number, client) not in {(3, first), (5, second)}:
                    await client.send_str(match(number).decode())
        found = await watching

    assert set(ids(found)) == set(range(1, 10))
    assert not [o for o in found if isinstance(o, Lost)]


def chain_of(*numbers, chains=None, connection="a"):
    chains = chains or TradeChains(numbered=True)
    for number in numbers:
        chains.take(seen_trade(number, trade_id=str(number)), connection)
    return chains


def test_a_hole_is_real_once_no_connection_can_close_it():
    chains = chain_of(1, 2, 5)
    chain_of(1, chains=chains, connection="b")

    assert not chains.holes(["a", "b"])
    chain_of(2, 3, chains=chains, connection="b")
    assert not chains.holes(["a", "b"])
    chain_of(5, chains=chains, connection="b")
    (hole,) = chains.holes(["a", "b"])
    assert (hole.first_id, hole.last_id) == (4, 4)
    chains.give_up(hole)
    assert not chains.torn
    assert chains.last("AAA.SIM").trade_id == "5"


def test_a_connection_that_is_gone_closes_no_hole():
    chains = chain_of(1, 4)
    chain_of(1, chains=chains, connection="b")

    assert not chains.holes(["a", "b"])
    assert Counter(hole.last_id for hole in chains.holes(["a"])) == {3: 1}
