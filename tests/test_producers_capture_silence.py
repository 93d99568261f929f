"""When a connection that says nothing is taken for dead."""

from __future__ import annotations

import asyncio

import pytest

from producers.feed import Elapsed, Lost
from producers.feeds.live import LiveFeed
from producers.feeds.sources import SOURCES
from producers.live.silence import LEARNT_MIN, Silence
from producers.venue_server.server import VenueServer
from schemas.calendars import Calendar
from schemas.sections import Capture
from test_producers_live import heard, listening


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
