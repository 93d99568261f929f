"""Frames that wait for a slow reader: on disk, in order, and dropped only with a gap."""

from __future__ import annotations

import asyncio

from builders import T0
from producers.feed import Lost, Restored
from producers.live.frame_queue import FrameQueue
from producers.venue_server.server import VenueServer
from schemas.events import Trade
from test_producers_live import ids, listening, match, until


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
