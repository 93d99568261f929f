"""Sessions that were streamed live, with every fault in one of them, for replays of them."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AsyncExitStack

from builders import at
from deploy import kafka_admin
from deploy.local.supervisor import Patience, Supervisor
from deploy.local.workers import worker_beside
from deploy.stored import wait_stored
from market_files import DATA, kraken_trades
from producers.feed import Lost, Restored
from producers.feeds.recorded import RecordedFeed
from producers.produce import produce
from producers_builders import ListFeed, seen_book, seen_trade
from producers_topics import events_of
from schemas.events import Control, Trade
from schemas.health import Health

STORED_S_MAX = 120
MARKET_S = 400
CAPTURES = (("OKX", "exchange_ws/OKX.ws.1.0.gz"), ("BYBIT", "exchange_ws/BYBIT.ws.26.0.gz"))


class FaultyMarket(ListFeed):
    """Minutes with two losses, ticks a little late and far too late, and a killed stream."""

    def __init__(self, session, kill):
        some = []
        for n in range(MARKET_S * 10):
            second, name = n / 10, f"S{n % 3}.{session.upper()}"
            event = second - (700 if n % 997 == 996 else 45 if n % 101 == 100 else 0)
            own = {"instrument": name, "price": 100 + n % 13, "size": 1 + n % 5, "trade_id": str(n)}
            lost = 150 <= second < 160 or 300 <= second < 303
            if not lost:
                some.append(seen_trade(event, recv=second + 0.05, **own))
            if n in (1_500, 3_000):
                some.append(Lost(ts_recv=at(second + 0.05), reason="test"))
            if n in (1_600, 3_030):
                some.append(Restored(ts_recv=at(second + 0.05)))
            if n % 50 == 0 and not lost:
                some.append(seen_book(second, recv=second + 0.05, instrument=name))
        batches = [some[first : first + 500] for first in range(0, len(some), 500)]
        super().__init__(batches, session=session)
        self.kill = kill

    async def observations(self):
        for number, batch in enumerate(self.batches):
            yield batch
            if number == len(self.batches) // 2:
                await self.kill()


async def record(settings):
    """Publish, stream and store the sessions; return their names, the faulty one first."""
    await kafka_admin.provision(settings)
    async with AsyncExitStack() as workers:
        supervisors = {}
        for stage in ("stream", "consume"):
            service = worker_beside(settings, stage, f"{stage}-recording")
            one = Supervisor(service, settings.home, lambda: None, Patience())
            workers.push_async_callback(one.stop)
            await one.start()
            supervisors[stage] = one

        async def kill():
            await until(lambda: kafka_admin.committed(settings, settings.stream_group))
            os.kill(supervisors["stream"].pid, signal.SIGKILL)

        feeds = [FaultyMarket(settings.namespace, kill)]
        if DATA.is_dir():
            feeds += [RecordedFeed([DATA / path], venue) for venue, path in CAPTURES]
            feeds.append(kraken_trades())
        for feed in feeds:
            summary = await produce(feed, settings, Health(), asyncio.Event())
        await wait_stored(settings, summary.end_offsets, seconds=STORED_S_MAX)
    return [feed.session for feed in feeds]


async def until(condition):
    async with asyncio.timeout(STORED_S_MAX):
        while not await condition():  # noqa: ASYNC110 - other processes tell no event
            await asyncio.sleep(0.05)


async def check_topic(own, stored, session):
    """Compare what a plain consumer finds with what is stored: order, times, nothing twice."""
    wanted = {e.seq: e for e in stored.events(session) if isinstance(e, Trade)}
    found = {}
    for lane in (await events_of(own)).values():
        places = [(event.epoch, event.seq) for event in lane]
        assert places == sorted(set(places))
        newest = lane[-1].epoch
        assert isinstance(lane[-1], Control)
        found |= {e.seq: e for e in lane if isinstance(e, Trade) and e.epoch == newest}
    assert found.keys() == wanted.keys()
    for seq, trade in found.items():
        trade.epoch = 0
        assert trade == wanted[seq]
