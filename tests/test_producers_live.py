"""Live venues, served on a local port: what they tell is recorded, what is missed is said."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path

import pytest

from builders import T0
from producers.feed import Elapsed, Lost, Note, Rejected, Restored
from producers.feeds.live import LiveFeed
from producers.feeds.recorded import RecordedFeed
from producers.feeds.source import RefusedError
from producers.feeds.sources import SOURCES
from producers.live.conversation import ConnectionLostError
from producers.raw.capture import read_frames
from producers.venue_server.faults import replayed
from producers.venue_server.server import VenueServer
from schemas.errors import SettingsError
from schemas.events import Book, Quote, Tick, Trade
from schemas.sections import Capture

CAPTURES = Path(__file__).parents[2] / "shared/data/exchange_ws"
needs_data = pytest.mark.skipif(not CAPTURES.is_dir(), reason="recorded market data is not here")
WAIT_S = 60
IMPATIENT = {"reconnect_ms_min": 10, "reconnect_ms_max": 50, "answer_s_max": 5.0}


@asynccontextmanager
async def listening(server, venue, *, symbols=("BTC-USD",), raw_folder=None, **settings):
    """Serve a venue; give the feed of it."""
    async with server.serve() as port:
        capture = Capture(
            endpoints=(f"{venue}=ws://127.0.0.1:{port}/ws",),
            rest_endpoints=(f"{venue}=http://127.0.0.1:{port}",),
            **IMPATIENT | settings,
        )
        yield LiveFeed(SOURCES[venue], symbols, capture, depth=20, raw_folder=raw_folder)


async def heard(feed, done):
    """Return what a feed gives until ``done`` says so of all of it."""
    found = []
    async with asyncio.timeout(WAIT_S):
        observations = feed.observations()
        try:
            async for batch in observations:
                found += batch
                if done(found):
                    return found
        finally:
            await observations.aclose()


def match(number, product="BTC-USD"):
    return (
        f'{{"type":"match","trade_id":{number},"side":"sell","size":"1","price":"400.23",'
        f'"product_id":"{product}","sequence":50,"time":"2014-11-07T08:19:27.028459Z"}}'
    ).encode()


def matches(count, first=1):
    return [(T0 + number, match(number)) for number in range(first, first + count)]


def ids(found):
    return [int(o.trade_id) for o in found if isinstance(o, Trade)]


def stamped(observation):
    observation.ts_recv = 0
    return observation


@needs_data
@pytest.mark.parametrize(
    ("file", "venue"),
    [
        ("KRAKEN.ws.50.0.gz", "KRAKEN"),
        ("OKX.ws.1.0.gz", "OKX"),
        ("COINBASE.ws.28.0.gz", "COINBASE"),
        ("BYBIT.ws.26.0.gz", "BYBIT"),
    ],
)
async def test_a_capture_that_is_served_is_recorded_as_it_is(file, venue, tmp_path):
    offline = RecordedFeed([CAPTURES / file], venue)
    expected = [o async for batch in offline.observations() for o in batch]
    server = VenueServer(venue, read_frames(CAPTURES / file), speed=None)

    async with listening(server, venue, raw_folder=tmp_path) as feed:
        count = len(expected)
        found = await heard(feed, lambda them: sum(isinstance(o, Tick) for o in them) >= count)

    ticks = [o for o in found if isinstance(o, Tick)]
    assert list(map(stamped, ticks)) == list(map(stamped, expected))
    assert {type(o) for o in found} - {Trade, Quote, Book} <= {Elapsed}
    # What was stored as received gives the same again.
    (raw,) = tmp_path.glob("*/*.raw.zst")
    again = [o async for batch in RecordedFeed([raw], venue).observations() for o in batch]
    assert list(map(stamped, again)) == ticks


async def test_what_is_told_while_nobody_listens_lies_in_a_loss():
    server = VenueServer("COINBASE", [], speed=None)

    async with listening(server, "COINBASE") as feed:
        told = asyncio.create_task(heard(feed, lambda them: 4 in ids(them)))
        await until(lambda: server.clients)
        await server.say(match(1))
        await server.disconnect()
        server.refusing = True
        await server.say(match(2))
        server.refusing = False
        await until(lambda: server.clients)
        await server.say(match(4))
        found = await told

    kinds = [type(o) for o in found if not isinstance(o, Elapsed)]
    assert kinds == [Trade, Lost, Restored, Trade]
    times = [o.ts_recv for o in found]
    assert times == sorted(times)


async def test_what_was_missed_is_missing_in_the_stored_frames_too(tmp_path):
    server = VenueServer("COINBASE", [], speed=None)

    async with listening(server, "COINBASE", raw_folder=tmp_path) as feed:
        told = asyncio.create_task(heard(feed, lambda them: 4 in ids(them)))
        await until(lambda: server.clients)
        await server.say(match(1))
        await server.disconnect()
        await until(lambda: server.clients)
        await server.say(match(4))
        found = await told

    feed = RecordedFeed(sorted(tmp_path.glob("*/*.raw.zst")), "COINBASE")
    again = [o async for batch in feed.observations() for o in batch]
    assert not feed.skipped
    assert [type(o) for o in again] == [type(o) for o in found if not isinstance(o, Elapsed)]
    assert ids(again) == [1, 4]


async def until(condition):
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110 - what it looks at is of another library
            await asyncio.sleep(0.01)


async def test_a_venue_that_falls_silent_is_left_and_asked_again():
    server = VenueServer("COINBASE", matches(3), speed=None)

    async with listening(server, "COINBASE", silence_s_max=0.3) as feed:
        found = await heard(feed, lambda them: any(isinstance(o, Restored) for o in them))

    assert ids(found) == [1, 2, 3]
    (lost,) = (o for o in found if isinstance(o, Lost))
    assert "silent" in lost.reason
    assert sum(isinstance(o, Elapsed) for o in found) >= 1


async def test_of_what_came_before_a_disconnection_nothing_is_lost():
    server = VenueServer("COINBASE", [], speed=None)

    async def trade_and_cut():
        for number in range(1, 301):
            await until(lambda: server.clients)
            await server.say(match(number))
            if number % 10 == 0 and number < 300:
                await server.disconnect()

    async with listening(server, "COINBASE") as feed:
        told = asyncio.create_task(heard(feed, lambda them: 300 in ids(them)))
        await trade_and_cut()
        found = await told

    assert ids(found) == list(range(1, 301))
    counts = Counter(type(o) for o in found)
    assert counts[Lost] == counts[Restored] == 29


@pytest.mark.parametrize("fault", ["cut", "drop", "double"])
async def test_a_frame_that_is_damaged_is_kept_and_its_neighbours_are_unharmed(fault):
    server = VenueServer("COINBASE", replayed(matches(5), {2: fault}), speed=None)

    async with listening(server, "COINBASE") as feed:
        found = await heard(feed, lambda them: 5 in ids(them))

    seen = {"cut": [1, 2, 4, 5], "drop": [1, 2, 4, 5], "double": [1, 2, 3, 3, 4, 5]}
    assert ids(found) == seen[fault]
    # Trades of this venue are numbered: what did not come is noticed.
    assert sum(isinstance(o, Lost) for o in found) == (fault != "double")
    rejected = [o for o in found if isinstance(o, Rejected)]
    assert [o.value for o in rejected] == [match(3)[: len(match(3)) // 2]] * (fault == "cut")


async def test_a_venue_that_is_not_there_is_said_at_once():
    capture = Capture(endpoints=("KRAKEN=ws://127.0.0.1:9/ws",), **IMPATIENT)
    feed = LiveFeed(SOURCES["KRAKEN"], ["BTC/USD"], capture, depth=20)

    with pytest.raises(ConnectionLostError, match=r"cannot be reached.*127\.0\.0\.1:9"):
        await heard(feed, lambda _: False)


async def test_a_symbol_that_the_venue_has_not_ends_the_recording_with_its_words():
    frames = [(T0, b'{"method":"subscribe","success":false,"error":"Currency pair not supported"}')]
    server = VenueServer("KRAKEN", frames, speed=None)
    server.mute_answers = True

    async with listening(server, "KRAKEN", symbols=["NO/PAIR"]) as feed:
        with pytest.raises(RefusedError, match="Currency pair not supported"):
            await heard(feed, lambda _: False)


async def test_subscriptions_that_are_not_confirmed_are_not_trusted():
    server = VenueServer("KRAKEN", [], speed=None)
    server.mute_answers = True

    async with listening(server, "KRAKEN", answer_s_max=0.3) as feed:
        found = await heard(feed, lambda them: any(isinstance(o, Lost) for o in them))

    assert "does not confirm" in found[-1].reason


async def test_a_disk_without_room_for_raw_frames_does_not_end_the_recording(tmp_path):
    (tmp_path / "file").touch()
    server = VenueServer("COINBASE", matches(3), speed=None)

    async with listening(server, "COINBASE", raw_folder=tmp_path / "file") as feed:
        found = await heard(feed, lambda them: 3 in ids(them))

    (note,) = (o for o in found if isinstance(o, Note))
    assert "raw frames end" in note.reason


def test_more_symbols_than_a_connection_takes_are_refused():
    with pytest.raises(SettingsError, match="at most 100"):
        LiveFeed(SOURCES["OKX"], [f"S{n}" for n in range(101)], Capture(), depth=20)


@needs_data
@pytest.mark.parametrize("venue", ["BINANCE", "BINANCE-USDM"])
async def test_a_book_that_begins_with_a_snapshot_over_http_is_the_recorded_one(venue, tmp_path):
    name = {"BINANCE": "spot", "BINANCE-USDM": "usdm"}[venue]
    whole = CAPTURES.parent / f"binance_raw/{name}_btcusdt_20240808.gz"
    frames = list(islice(read_frames(whole), 10_000))
    (snapshot,) = (frame for _, frame in frames if frame.startswith(b'{"lastUpdateId"'))
    told = [(ts_recv, frame) for ts_recv, frame in frames if frame is not snapshot]
    part = tmp_path / "part"
    part.write_bytes(b"".join(b"%d %s\n" % received for received in frames))
    offline = RecordedFeed([part], venue)
    expected = [o async for batch in offline.observations() for o in batch]
    server = VenueServer(venue, told, speed=None)
    server.snapshots["BTCUSDT"] = snapshot

    async with listening(server, venue, symbols=["BTCUSDT"]) as feed:
        count = len(expected)
        found = await heard(feed, lambda them: sum(isinstance(o, Tick) for o in them) >= count)

    for kind in (Trade, Quote, Book):
        ours = [stamped(o) for o in found if isinstance(o, kind)]
        assert ours == [stamped(o) for o in expected if isinstance(o, kind)]
        assert len(ours) > 100
    assert not [o for o in found if isinstance(o, Lost | Rejected)]


async def test_a_snapshot_that_does_not_come_is_asked_for_again():
    depth = b'{"stream":"x@depth@100ms","data":{"e":"depthUpdate","E":1723161256000,"s":"X",'
    update = b'"U":%d,"u":%d,"b":[["1.0","1"]],"a":[]}}'
    server = VenueServer("BINANCE", [(T0, depth + update % (8, 9))], speed=None)

    async with listening(server, "BINANCE", symbols=["X"], resync_ms_min=50) as feed:
        told = asyncio.create_task(heard(feed, lambda them: any(isinstance(o, Book) for o in them)))
        await until(lambda: server.not_found > 1)
        server.snapshots["X"] = b'{"lastUpdateId":8,"bids":[["0.5","2"]],"asks":[["2.0","3"]]}'
        found = await told

    assert found[-1].bids == [(1.0, 1.0), (0.5, 2.0)]
