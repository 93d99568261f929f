"""What a venue sends that it should not: said once, kept, and the recording goes on or ends."""

from __future__ import annotations

import asyncio
import gzip
import time

import pytest

from builders import T0
from producers.feed import Lost, Note, Rejected, Restored
from producers.feeds.live import LiveFeed
from producers.feeds.source import RefusedError
from producers.feeds.sources import SOURCES
from producers.raw.capture import read_frames
from producers.raw.raw_frames import RawFrames
from producers.venue_server.server import VenueServer
from schemas import metrics
from schemas.events import Trade
from schemas.sections import Capture
from test_producers_live import IMPATIENT, heard, ids, listening, match, until

GOOD = match(2)


def restored(found):
    return any(isinstance(o, Restored) for o in found)


@pytest.mark.parametrize(
    "frame",
    [
        b"<html><body>503 Service Unavailable</body></html>",
        GOOD[: len(GOOD) // 2],
        gzip.compress(GOOD, mtime=0),
        b"",
        b"null",
        b"[]",
        b"[" * 100_000,
        b'{"type":"chat"}',
        GOOD.replace(b"price", b"prize"),
        GOOD.replace(b'"400.23"', b'"a lot"'),
        GOOD.replace(b"2014-11-07T08:19:27.028459Z", b"yesterday"),
        b'{"type":"error","message":"rate limit exceeded"}',
    ],
    ids=lambda frame: frame[:20].decode(errors="replace"),
)
async def test_a_frame_that_is_none_is_a_dead_letter_and_the_recording_goes_on(frame):
    server = VenueServer("COINBASE", [])

    async with listening(server, "COINBASE") as feed:
        told = asyncio.create_task(heard(feed, lambda them: 3 in ids(them)))
        await until(lambda: server.clients)
        for one in (match(1), frame, match(2), match(3)):
            await server.say(one)
        found = await told

    (rejected,) = (o for o in found if isinstance(o, Rejected))
    assert rejected.value == frame[:65_536]
    assert rejected.reason
    assert feed.skipped == {"foreign frame": 1}
    assert ids(found) == [1, 2, 3]
    assert not [o for o in found if isinstance(o, Lost)]


async def test_a_frame_that_is_too_big_ends_its_connection_and_says_which_setting_it_is():
    server = VenueServer("COINBASE", [])
    before = metrics.ERRORS.labels("produce", "connection")._value.get()

    async with listening(server, "COINBASE", frame_bytes_max=10_000) as feed:
        told = asyncio.create_task(
            heard(feed, lambda them: any(isinstance(o, Restored) for o in them))
        )
        await until(lambda: server.clients)
        await server.say(match(1))
        await server.say(b"x" * 1_000_000)
        found = await told

    (lost,) = (o for o in found if isinstance(o, Lost))
    assert "too big" in lost.reason
    assert "capture.frame_bytes_max" in lost.reason
    assert metrics.ERRORS.labels("produce", "connection")._value.get() == before + 1


@pytest.mark.parametrize("refusal", ["refusing", "http"])
async def test_a_venue_that_is_under_maintenance_is_asked_until_it_is_back(refusal):
    server = VenueServer("COINBASE", [])

    async with listening(server, "COINBASE") as feed:
        told = asyncio.create_task(
            heard(feed, lambda them: any(isinstance(o, Restored) for o in them))
        )
        await until(lambda: server.clients)
        await server.tell(match(1))
        server.refusing = refusal == "refusing"
        server.http_trouble = (503, "maintenance") if refusal == "http" else None
        await server.disconnect()
        await server.tell(match(2))
        await asyncio.sleep(0.2)
        server.refusing, server.http_trouble = False, None
        found = await told

    assert sum(isinstance(o, Lost) for o in found) == 1
    assert ids(found)[-1] == 2


async def test_a_name_that_does_not_resolve_is_said_with_the_setting_that_mends_it():
    capture = Capture(endpoints=("KRAKEN=ws://no.such.host.invalid/ws",), **IMPATIENT)
    feed = LiveFeed(SOURCES["KRAKEN"], ["BTC/USD"], capture, depth=20)

    with pytest.raises(Exception, match=r"no\.such\.host\.invalid.*capture\.endpoints"):
        await heard(feed, lambda _: False)


async def test_a_refusal_after_a_reconnect_does_not_end_the_recording():
    server = VenueServer("KRAKEN", [])
    refusal = b'{"method":"subscribe","success":false,"error":"Exceeded msg rate"}'

    async with listening(server, "KRAKEN", symbols=["BTC/USD"]) as feed:
        told = asyncio.create_task(
            heard(feed, lambda them: any(isinstance(o, Restored) for o in them))
        )
        await until(lambda: server.clients)
        await until(lambda: feed._links.lead is not None)
        server.mute_answers = True
        await server.disconnect()
        await until(lambda: server.clients)
        await server.say(refusal)
        await until(lambda: not server.clients)
        server.mute_answers = False
        found = await told

    assert any(isinstance(o, Rejected) and "Exceeded msg rate" in o.reason for o in found)


async def test_a_refusal_of_what_was_asked_for_ends_the_recording_with_its_words():
    server = VenueServer("KRAKEN", [])
    server.mute_answers = True

    async with listening(server, "KRAKEN", symbols=["NO/PAIR"]) as feed:
        told = asyncio.create_task(heard(feed, lambda _: False))
        await until(lambda: server.clients)
        await server.say(b'{"method":"subscribe","success":false,"error":"EAPI:Invalid key"}')
        with pytest.raises(RefusedError, match="Invalid key"):
            await told


async def test_a_clock_that_jumps_back_does_not_turn_receive_times_back(monkeypatch):
    server = VenueServer("COINBASE", [])

    async with listening(server, "COINBASE") as feed:
        told = asyncio.create_task(heard(feed, lambda them: 3 in ids(them)))
        await until(lambda: server.clients)
        for number, now in ((1, T0 + 10), (2, T0), (3, T0 + 20)):
            monkeypatch.setattr(time, "time_ns", lambda now=now: now)
            await server.say(match(number))
            await until(lambda: not any(link.queue for link in feed._links.all))
        found = await told

    times = [o.ts_recv for o in found]
    assert times == sorted(times)
    assert ids(found) == [1, 2, 3]


async def test_a_disk_that_fills_up_under_way_is_said_once_and_what_was_stored_is_kept(
    tmp_path, monkeypatch
):
    server, append = VenueServer("COINBASE", []), RawFrames.append

    def full(self, ts_recv, frame):
        if b'"trade_id":3' in frame:
            raise self._full(OSError(28, "No space left on device"))
        append(self, ts_recv, frame)

    monkeypatch.setattr(RawFrames, "append", full)
    async with listening(server, "COINBASE", raw_folder=tmp_path) as feed:
        told = asyncio.create_task(heard(feed, lambda them: 5 in ids(them)))
        await until(lambda: server.clients)
        for number in range(1, 6):
            await server.say(match(number))
        found = await told

    (note,) = (o for o in found if isinstance(o, Note))
    assert "No space left" in note.reason
    assert sum(isinstance(o, Trade) for o in found) == 5
    (file,) = tmp_path.glob("*/*.raw.zst")
    kept = [frame for _, frame in read_frames(file)]
    assert [b'"trade_id":%d,' % n in frame for n, frame in enumerate(kept[-2:], 1)] == [True, True]
