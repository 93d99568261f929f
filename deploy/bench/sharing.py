"""Two workers against one: what each does with a second of CPU.

On a machine with few cores, shared with Kafka, the wall clock says more about the machine than
about the worker. So what is compared is what they could do with a core each: the ticks per CPU
second of both, added up, over those of one that has all partitions. Both cases begin with workers
that have had a short session, so that all partitions are open, and wait; then the same ticks are
laid before them as fast as Kafka takes them, until the workers have saved them.
"""

from __future__ import annotations

import asyncio
from typing import Final

from deploy.bench.processes import run_case
from deploy.bench.running import StreamWorker, stream_workers, wait_until_saved
from deploy.bench.scratch import refill, scratch_namespace
from schemas.settings import Settings

RECEIVED: Final = "tickerplant_received_total"
WARM_UP_TICKS: Final = 4_000


async def sharing(source: Settings) -> dict[str, float]:
    """Feed the trades of a namespace to one worker, then to two."""
    (one,) = await _per_cpu_second(source, 1)
    two = await _per_cpu_second(source, 2)
    return {
        "ticks_per_cpu_second_of_one": one,
        "ticks_per_cpu_second_of_first": two[0],
        "ticks_per_cpu_second_of_second": two[1],
        "times_one": sum(two) / one,
    }


async def _per_cpu_second(source: Settings, count: int) -> list[float]:
    async with scratch_namespace(source) as own, stream_workers(own, count) as workers:
        await run_case("produce", own, "trades", WARM_UP_TICKS)
        await wait_until_saved(own)
        before = await _progress(workers)
        await refill(source, own)
        await wait_until_saved(own)
        after = await _progress(workers)
    rates = []
    for (ticks, cpu_s), (ticks_after, cpu_s_after) in zip(before, after, strict=True):
        assert ticks_after > ticks, "a worker got nothing: more partitions are needed"
        rates.append((ticks_after - ticks) / (cpu_s_after - cpu_s))
    return rates


async def _progress(workers: list[StreamWorker]) -> list[tuple[float, float]]:
    """Return the records that each worker has received, and its CPU seconds."""
    metrics = [await asyncio.to_thread(worker.metrics) for worker in workers]
    return [(m[RECEIVED], worker.cpu_s) for m, worker in zip(metrics, workers, strict=True)]
