"""A thousand instruments on one partition: memory, the state in Kafka, opening and saving it.

The market has gone on for longer than the horizon, so that as many candles as ever can still be
revised, and it is not over: all of that is in memory and in the state.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from deploy import kafka_admin
from deploy.bench.processes import run_case
from deploy.bench.running import stream_workers, wait_until_saved
from deploy.bench.scratch import refill, scratch_namespace
from deploy.bench.workload import with_market
from schemas.settings import Settings
from schemas.topics import STATE_TRADES, TRADES

INSTRUMENTS: Final = 1_000
RATE: Final = 2_000.0
TICKS_SHARE: Final = 5
"""So many ticks for one that is asked for: of 300,000, more market than the horizon has."""
LIVE_SHARE: Final = 15
"""One tick in real time for so many: a save of half a second of a live market."""


async def scale(settings: Settings, ticks: int) -> dict[str, float]:
    """Fill a partition, open its state again, then go on in real time."""
    kafka = settings.kafka.model_copy(update={"partitions": 1})
    market = with_market(settings, instruments=INSTRUMENTS, rate=RATE)
    market = market.model_copy(update={"kafka": kafka})
    async with scratch_namespace(market) as source, scratch_namespace(market) as own:
        await run_case("produce", source, "trades", ticks * TICKS_SHARE)
        async with stream_workers(own) as (worker,):
            idle_mb = worker.rss_mb
            await refill(source, own, TRADES, ended=False)
            await wait_until_saved(own)
            filled_mb = worker.rss_mb
        state = await _state(own)
        async with stream_workers(own) as (worker,):
            live = with_market(own, instruments=INSTRUMENTS, rate=RATE, max_speed=False)
            await run_case("produce", live, "trades", ticks // LIVE_SHARE)
            await wait_until_saved(own)
            metrics = await asyncio.to_thread(worker.metrics)
            opened_mb = worker.rss_mb
        saved = await _state(own)
    saves = metrics["tickerplant_state_save_seconds_count"]
    return {
        "idle_mb": idle_mb,
        "memory_growth_mb": filled_mb - idle_mb,
        "memory_growth_opened_mb": opened_mb - idle_mb,
        "state_bytes_per_instrument": state["live_bytes"] / INSTRUMENTS,
        "state_records_per_instrument": state["live_records"] / INSTRUMENTS,
        "state_log_mb": state["log_bytes"] / 1e6,
        "open_s": metrics["tickerplant_state_open_seconds_sum"],
        "save_s": metrics["tickerplant_state_save_seconds_sum"] / saves,
        "save_kb": (saved["log_bytes"] - state["log_bytes"]) / saves / 1e3,
    }


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
