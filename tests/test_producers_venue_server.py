"""Clients of a served venue that come late or come back: their books are whole."""

from __future__ import annotations

import asyncio
from itertools import islice

import msgspec
import pytest

from builders import T0
from deploy.bench.venue_frames import frames as made_frames
from producers.feed import Lost, Rejected
from producers.feeds.sources import SOURCES
from producers.live.connection import http_session
from producers.venue_server.server import VenueServer
from schemas.events import Book
from served_captures import frames_of
from test_producers_live import heard, listening, until
from test_producers_venue_server_books import ASKED, DEPTH, SENT, needs_data, okx_book, seen


async def told_to_who_subscribes(server, port, count):
    arg = [{"channel": "trades", "instId": "A-B"}, {"channel": "books", "instId": "A-B"}]
    subscribing = msgspec.json.encode({"op": "subscribe", "args": arg}).decode()
    async with http_session() as http, http.ws_connect(f"ws://127.0.0.1:{port}/ws") as client:
        await client.send_str(subscribing)
        return [(await client.receive_str(timeout=10)).encode() for _ in range(count)]


async def test_over_a_connection_a_book_comes_after_the_answers_and_before_what_follows():
    book, update = okx_book("snapshot", 1, -1, []), okx_book("update", 2, 1, [])
    server = VenueServer("OKX", [(T0, book), (T0, update)], speed=None)

    async with server.serve() as port:
        early = await told_to_who_subscribes(server, port, 4)
        late = asyncio.create_task(told_to_who_subscribes(server, port, 4))
        await until(lambda: len(server.clients) == 1)
        await server.tell(okx_book("update", 3, 2, []))
        late = await late

    # Who was there from the beginning heard the recorded snapshot, and no other.
    assert [b'"event"' in frame for frame in early] == [True, True, False, False]
    assert early[2:] == [book, update]
    assert late[2:] == [okx_book("snapshot", 2, -1, []), okx_book("update", 3, 2, [])]


async def test_a_number_of_levels_that_is_none_is_refused():
    server = VenueServer("BINANCE", [])
    await server.tell(b'{"stream":"x@snapshot","data":{"lastUpdateId":1,"bids":[],"asks":[]}}')

    async with server.serve() as port, http_session() as http:
        url = f"http://127.0.0.1:{port}/api/v3/depth?symbol=X&limit="
        found = [(await http.get(url + limit)).status for limit in ("5", "0", "five", "9" * 9_999)]

    assert found[:3] == [200, 200, 400]
    assert found[3] >= 400


@needs_data
@pytest.mark.parametrize("venue", SENT + ASKED)
async def test_a_recording_that_is_disconnected_twice_ends_with_whole_books(venue):
    # Of Kraken those of a client's usual depth, which the recorded ones are not.
    made = venue == "KRAKEN"
    frames = list(islice(made_frames(venue), 2_000)) if made else frames_of(venue)[:2_000]
    server, whole, newest = VenueServer(venue, []), SOURCES[venue].parser(venue, DEPTH), {}
    for frame in frames:
        newest |= {book[0]: book for book in seen(whole, frame)}
    symbols = [name.removesuffix(f".{venue}") for name in newest]
    settings = {"resync_ms_min": 20, "history_s_max": 0, "silence_s_max": 60.0}
    # A book that is asked for takes a moment, and is told with the update that follows.
    pause_every = 2 if venue in ASKED else 50

    async def tell():
        await until(lambda: server.clients)
        for number, frame in enumerate(frames):
            if number in {len(frames) // 3, len(frames) // 2}:
                await server.disconnect()
            elif number in {len(frames) // 3 + 5, len(frames) // 2 + 5}:
                await until(lambda: server.clients)
            elif number % pause_every == 0:
                await asyncio.sleep(0.001)
            await server.tell(frame)

    async with listening(server, venue, symbols=symbols, **settings) as feed:
        telling = asyncio.create_task(tell())
        ended = {}

        def whole_at_the_end(found):
            ended.update(
                (o.instrument, (o.bids, o.asks)) for o in found[-500:] if isinstance(o, Book)
            )
            return telling.done() and ended == {name: book[2:] for name, book in newest.items()}

        found = await heard(feed, whole_at_the_end)

    assert sum(isinstance(o, Lost) for o in found) >= 2
    assert not [o for o in found if isinstance(o, Rejected)]
