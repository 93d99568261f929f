"""Several connections to one venue, slow readers, silence: nothing is lost that need not be."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random

import pytest

from builders import T0
from producers.feed import Elapsed, Lost, Note, Rejected, Restored
from producers.feeds.live import LiveFeed
from producers.feeds.recorded import RecordedFeed
from producers.feeds.sources import SOURCES
from producers.frame_queue import FrameQueue
from producers.silence import LEARNT_MIN, Silence
from producers.trade_chains import TradeChains
from producers.venue_server.server import VenueServer
from producers_builders import seen_trade
from schemas.calendars import Calendar
from schemas.events import Book, Trade
from schemas.sections import Capture
from test_producers_live import heard, ids, listening, match, until
from venue_market import SYMBOL, Market


class Telling:
    """A market that goes on as long as somebody listens."""

    def __init__(self, venue, random):
        self.market, self.server = Market(venue, random), VenueServer(venue, [])
        self.server.opening = self.market.opening
        self.going = None

    def begin(self):
        self.going = asyncio.create_task(self._go())

    async def _go(self):
        while True:
            frame = self.market.step()
            self.server.snapshots[SYMBOL] = self.market.snapshot()
            await self.server.tell(frame)
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


async def test_a_reader_that_is_blocked_loses_nothing_and_the_venue_is_kept_alive(tmp_path):
    server = VenueServer("COINBASE", [])
    count = 3_000

    async with listening(
        server, "COINBASE", raw_folder=tmp_path, frames_max=50, silence_s_max=0.5
    ) as feed:
        batches = feed.observations()
        await anext(batches)
        await until(lambda: server.clients)
        for number in range(1, count + 1):
            await server.say(match(number))
        # Nobody has read since: the frames are on disk.
        await until(lambda: sum(len(link.queue) for link in feed._links.all) >= count)
        found = []
        async with asyncio.timeout(30):
            async for batch in batches:
                found += batch
                if ids(found)[-1:] == [count]:
                    break
        await batches.aclose()

    assert ids(found) == list(range(1, count + 1))
    times = [o.ts_recv for o in found]
    assert times == sorted(times)
    assert not [o for o in found if isinstance(o, Lost)]


async def test_when_the_file_of_waiting_frames_is_full_what_comes_is_dropped_with_a_gap(
    tmp_path, caplog
):
    server = VenueServer("COINBASE", [])

    async with listening(
        server, "COINBASE", raw_folder=tmp_path, frames_max=50, spill_bytes_max=20_000
    ) as feed:
        batches = feed.observations()
        await anext(batches)
        await until(lambda: server.clients)
        for number in range(1, 401):
            await server.tell(match(number))
        await until(lambda: not server.clients)
        found = []
        async with asyncio.timeout(30):
            async for batch in batches:
                found += batch
                if any(isinstance(o, Restored) for o in found):
                    break
            await server.tell(match(number + 1))
            async for batch in batches:
                found += batch
                if number + 1 in ids(found):
                    break
        await batches.aclose()

    (lost,) = (o for o in found if isinstance(o, Lost))
    assert "faster than they are taken" in lost.reason
    assert any("frames are dropped" in record.message for record in caplog.records)
    # What came after the last that was kept is back from history; what was kept is in order.
    live = [int(o.trade_id) for o in found if isinstance(o, Trade) and not o.filled]
    assert live[:-1] == list(range(1, len(live)))
    assert sorted(set(ids(found))) == list(range(1, number + 2))


def test_frames_come_back_from_the_file_in_their_order(tmp_path):
    queue = FrameQueue(3, 10_000, tmp_path)
    frames = [(T0 + n, b"x" * n) for n in range(20)]
    taken = []

    for ts_recv, frame in frames[:12]:
        assert queue.put(ts_recv, frame)
    taken += queue.take(5)
    for ts_recv, frame in frames[12:]:
        assert queue.put(ts_recv, frame)
    while queue:
        assert queue.head == T0 + len(taken)
        taken += queue.take(2)

    assert taken == frames
    assert not list(tmp_path.iterdir())
    queue.close()


def test_a_file_of_frames_that_is_full_takes_no_more_until_it_is_read():
    queue = FrameQueue(1, 100)
    while queue.put(T0, b"x" * 30):
        pass
    kept = len(queue)

    assert not queue.put(T0, b"x" * 30)
    while queue:
        queue.take(1)
    assert queue.put(T0, b"x" * 30)
    assert kept == 3
    queue.close()


def silence(**settings):
    return Silence(Capture(silence_s_min=2, silence_factor=50, silence_s_max=60, **settings), 0.0)


@pytest.mark.parametrize(
    ("interval_s", "limit_s"), [(0.001, 2.0), (0.1, 5.0), (1.0, 50.0), (10.0, 60.0)]
)
def test_how_long_a_connection_may_be_silent_follows_its_usual_rate(interval_s, limit_s):
    judge = silence()
    for n in range(1, 10 * LEARNT_MIN):
        judge.heard(n * interval_s)
    heard_at = (10 * LEARNT_MIN - 1) * interval_s

    assert judge.limit_s == pytest.approx(limit_s)
    assert not judge.over(heard_at + limit_s * 0.99)
    assert judge.over(heard_at + limit_s * 1.01)


def test_before_its_rate_is_known_only_the_longest_silence_counts():
    judge = silence()
    judge.heard(0.001)

    assert not judge.over(59)
    assert judge.over(61)


async def test_heartbeats_are_no_data():
    server = VenueServer("COINBASE", [])

    async def beat():
        while True:
            await server.say(b'{"type":"heartbeat"}')
            await asyncio.sleep(0.02)

    async with listening(server, "COINBASE", silence_s_max=0.3) as feed:
        beating = asyncio.create_task(beat())
        found = await heard(feed, lambda them: any(isinstance(o, Lost) for o in them))
        beating.cancel()

    assert "silent" in found[-1].reason


async def test_out_of_its_trading_hours_silence_is_no_fault():
    server = VenueServer("COINBASE", [])

    class Closed(Calendar):
        def place(self, ts):
            return ts, None

    async with server.serve() as port:
        capture = Capture(
            endpoints=(f"COINBASE=ws://127.0.0.1:{port}/ws",), silence_s_max=0.2, answer_s_max=5.0
        )
        feed = LiveFeed(SOURCES["COINBASE"], ["BTC-USD"], capture, depth=20, calendar=Closed())
        found = await heard(feed, lambda them: sum(isinstance(o, Elapsed) for o in them) > 6)

    assert {type(o) for o in found} == {Elapsed}


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
