"""A thousand instruments on one partition: memory, the state in Kafka, opening and saving it.

The market has gone on for longer than the horizon, so that as many candles as ever can still be
revised, and it is not over: all of that is in memory and in the state.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

from deploy import kafka_admin
from deploy.bench.processes import run_case
from deploy.bench.running import stream_workers, wait_until_saved
from deploy.bench.scratch import refill, scratch_namespace
from deploy.bench.workload import with_market
from schemas.intervals import WINDOWS
from schemas.settings import Settings
from schemas.topics import STATE_TRADES

INSTRUMENTS: Final = 1_000
RATE: Final = 1_000.0
TICKS_SHARE: Final = 2.1
"""So many ticks for one that is asked for: of 300,000, more market than the horizon has."""
PIECE: Final = 50_000
LIVE_SHARE: Final = 30
"""One tick in real time for so many: saves are of half a second of a live market."""


async def scale(settings: Settings, ticks: int) -> dict[str, float]:
    """Fill a partition, open its state again and go on in real time; then with all windows."""
    kafka = settings.kafka.model_copy(update={"partitions": 1})
    market = with_market(settings, instruments=INSTRUMENTS, rate=RATE)
    market = market.model_copy(update={"kafka": kafka})
    count = int(ticks * TICKS_SHARE)
    async with _filled(market, count, ()) as (own, growth_mb):
        state = await _state(own)
        metrics = await _go_on(own, max(1, ticks // LIVE_SHARE))
        # Counted from an offset on: what is before it may have been compacted meanwhile.
        saved = await _state(own, since=state["log_end"])
    saves = metrics["tickerplant_state_save_seconds_count"]
    async with _filled(market, count, tuple(WINDOWS)) as (_, growth_with_windows_mb):
        pass
    return {
        "memory_growth_mb": growth_mb,
        "memory_growth_with_windows_mb": growth_with_windows_mb,
        "state_bytes_per_instrument": state["live_bytes"] / INSTRUMENTS,
        "state_records_per_instrument": state["live_records"] / INSTRUMENTS,
        "state_log_mb": state["log_bytes"] / 1e6,
        "open_s": metrics["tickerplant_state_open_seconds_sum"],
        "save_s": metrics["tickerplant_state_save_seconds_sum"] / saves,
        "save_kb": saved["log_bytes"] / saves / 1e3,
    }


async def _go_on(own: Settings, ticks: int) -> Counter[str]:
    """Open the state in a new worker, stream another session in real time; give its metrics."""
    live = own.simulated.model_copy(update={"max_speed": False})
    async with stream_workers(own) as (worker,):
        await run_case("produce", own.model_copy(update={"simulated": live}), "trades", ticks)
        await wait_until_saved(own)
        return await asyncio.to_thread(worker.metrics)


@asynccontextmanager
async def _filled(
    market: Settings, ticks: int, windows: tuple[str, ...]
) -> AsyncIterator[tuple[Settings, float]]:
    """Give a namespace whose session goes on, and the megabytes that a worker grew by with it."""
    # The same in memory and in the state; what it would send of each second takes minutes.
    quiet = {"windows": windows, "progress": False}
    market = market.model_copy(update={"stream": market.stream.model_copy(update=quiet)})
    async with scratch_namespace(market) as source, scratch_namespace(market) as own:
        await run_case("produce", source, "trades", ticks)
        async with stream_workers(own) as (worker,):
            idle_mb = worker.rss_mb
            # Piece by piece, as a market does: a save is of what has changed since the last one.
            saved = partial(wait_until_saved, own)
            await refill(source, own, ended=False, every=PIECE, wait=saved)
            await wait_until_saved(own)
            growth_mb = worker.rss_mb - idle_mb
        yield own, growth_mb


async def _state(settings: Settings, since: int = 0) -> dict[str, int]:
    """Return the size of the state topic: what counts, and the log as it is read when opening."""
    last: dict[Any, int] = {}
    log_bytes = log_end = 0
    async for records in kafka_admin.read(settings, STATE_TRADES.full_name(settings.namespace)):
        for record in records:
            size = len(record.key) + len(record.value or b"")
            log_bytes += size * (record.offset >= since)
            log_end = record.offset + 1
            last[record.key] = size if record.value else 0
    live = [size for size in last.values() if size]
    return {
        "live_bytes": sum(live),
        "live_records": len(live),
        "log_bytes": log_bytes,
        "log_end": log_end,
    }
