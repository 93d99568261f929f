"""A thousand instruments on one partition: memory, the state in Kafka, opening and saving it.

The market has gone on for longer than the horizon, so that as many candles as ever can still be
revised, and it is not over: all of that is in memory and in the state.
"""

from __future__ import annotations

import asyncio
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
RATE: Final = 2_000.0
TICKS_SHARE: Final = 5
"""So many ticks for one that is asked for: of 300,000, more market than the horizon has."""
PIECE: Final = 50_000
LIVE_SHARE: Final = 15
"""One tick in real time for so many: a save of half a second of a live market."""


async def scale(settings: Settings, ticks: int) -> dict[str, float]:
    """Fill a partition, open its state again, then go on in real time."""
    kafka = settings.kafka.model_copy(update={"partitions": 1})
    market = with_market(settings, instruments=INSTRUMENTS, rate=RATE)
    market = market.model_copy(update={"kafka": kafka})
    found: dict[str, float] = {}
    for label, windows in (("", ()), ("with_windows_", tuple(WINDOWS))):
        async with _filled(market, ticks * TICKS_SHARE, windows) as (own, growth_mb):
            found[f"{label}memory_growth_mb"] = growth_mb
            state = await _state(own)
            found[f"{label}state_bytes_per_instrument"] = state["live_bytes"] / INSTRUMENTS
            found[f"{label}state_log_mb"] = state["log_bytes"] / 1e6
            async with stream_workers(own) as (worker,):
                live = own.simulated.model_copy(update={"max_speed": False})
                market_now = own.model_copy(update={"simulated": live})
                await run_case("produce", market_now, "trades", ticks // LIVE_SHARE)
                await wait_until_saved(own)
                metrics = await asyncio.to_thread(worker.metrics)
            saves = metrics["tickerplant_state_save_seconds_count"]
            saved_bytes = (await _state(own))["log_bytes"] - state["log_bytes"]
            found[f"{label}open_s"] = metrics["tickerplant_state_open_seconds_sum"]
            found[f"{label}save_s"] = metrics["tickerplant_state_save_seconds_sum"] / saves
            found[f"{label}save_kb"] = saved_bytes / saves / 1e3
    return found


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


async def _state(settings: Settings) -> dict[str, int]:
    """Return the size of the state topic: what counts, and the log as it is read when opening."""
    last: dict[Any, int] = {}
    log_bytes = 0
    async for records in kafka_admin.read(settings, STATE_TRADES.full_name(settings.namespace)):
        for record in records:
            size = len(record.key) + len(record.value or b"")
            log_bytes += size
            last[record.key] = size if record.value else 0
    live = [size for size in last.values() if size]
    return {"live_bytes": sum(live), "live_records": len(live), "log_bytes": log_bytes}
