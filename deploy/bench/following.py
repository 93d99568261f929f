"""Meter a stage of ours from outside: by its readiness and its own counters."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from prometheus_client import Counter

from deploy.bench.meter import Meter
from schemas.health import Health

POLL_S = 0.01


async def follow(
    stage: asyncio.Task[Any], meter: Meter, done: Callable[[], int], total: int | None = None
) -> None:
    """Mark what a stage has done, once it has done something, until that is ``total``.

    Without a total until it ends.
    """
    while not stage.done():
        records = done()
        if records:
            meter.mark(records)
        if total is not None and records >= total:
            return
        await asyncio.wait({stage}, timeout=POLL_S)
    await stage
    meter.mark(done())


async def begin(stage: asyncio.Task[Any], meter: Meter, health: Health) -> None:
    """Mark the beginning of a stage that reads: it is connected and has read nothing yet.

    At its first result it would be too late: much has been fetched before that.
    """
    while not (stage.done() or health.ready):
        await asyncio.wait({stage}, timeout=POLL_S)
    meter.mark(0)


def reading(counter: Counter, *labels: str) -> Callable[[], int]:
    """Return a function that reads a counter of the metric catalogue."""
    child = counter.labels(*labels)

    def read() -> int:
        (metric,) = child.collect()
        return next(int(sample.value) for sample in metric.samples if "_total" in sample.name)

    return read
