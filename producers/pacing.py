"""Pace: when a recorded or simulated observation is due."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from itertools import islice
from typing import Final

from producers.feed import Observation

BATCH_MAX: Final = 1_000
SLEEP_NS_MIN: Final = 1_000_000
"""Below this, waiting costs more than it gives; what is due together goes together."""


async def paced(
    observations: Iterator[Observation], speed: float | None
) -> AsyncIterator[list[Observation]]:
    """Yield each observation at ``start + (ts_recv - first) / speed`` on the monotonic clock.

    A delay is caught up, so that there is no drift. Without a speed: as fast as they are taken.
    """
    if speed is None:
        while batch := list(islice(observations, BATCH_MAX)):
            yield batch
        return
    began, first, batch = 0, None, []
    for observation in observations:
        now = time.monotonic_ns()
        if first is None:
            began, first = now, observation.ts_recv
        wait_ns = began + (observation.ts_recv - first) / speed - now
        if wait_ns > 0 or len(batch) >= BATCH_MAX:
            if batch:
                yield batch
                batch = []
            if wait_ns > 0:
                await asyncio.sleep(max(wait_ns, SLEEP_NS_MIN) / 1e9)
        batch.append(observation)
    if batch:
        yield batch
