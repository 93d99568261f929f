"""The pipeline as a whole: a market as fast as it goes, until all of it is stored."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from typing import Final

from msgspec import structs

from deploy.bench.meter import Span
from deploy.bench.processes import run_case
from deploy.bench.scratch import log_ends
from deploy.local.supervisor import Patience, Supervisor
from deploy.local.workers import worker_service
from deploy.stored import wait_stored
from schemas.settings import Settings
from schemas.topics import BOOKS, TRADES

STILL_S_MAX: Final = 120.0


async def end_to_end(settings: Settings, ticks: int) -> Span:
    """Publish a market into running workers; CPU is that of the producer alone."""
    async with AsyncExitStack() as running:
        for name in ("stream", "consume"):
            service = worker_service(name, settings)
            worker = Supervisor(service, settings.home, lambda: None, Patience())
            running.push_async_callback(worker.stop)
            await worker.start()
        span = await run_case("produce", settings, "market", ticks)
        inputs = [topic.full_name(settings.namespace) for topic in (TRADES, BOOKS)]
        ends = {topic: await log_ends(settings, topic) for topic in inputs}
        offsets = {t: {n: end - 1 for n, end in places.items()} for t, places in ends.items()}
        await wait_stored(settings, offsets, seconds=STILL_S_MAX)
        wall_s = (time.time_ns() - span.began_ns) / 1e9
        records = sum(sum(places.values()) for places in ends.values())
    return structs.replace(span, records=records, wall_s=wall_s)
