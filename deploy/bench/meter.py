"""CPU and wall time of this process from when it is ready to its last record."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from msgspec import Struct
from prometheus_client import Counter

from schemas.health import Health

POLL_S = 0.01


class Span(Struct, kw_only=True):
    """What a number of records took; starting up is not in it."""

    records: int
    cpu_s: float
    """Of all threads."""
    wall_s: float
    began_ns: int
    """When it was ready."""

    @property
    def cpu_us(self) -> float:
        """CPU microseconds a record."""
        return self.cpu_s / self.records * 1e6

    @property
    def per_second(self) -> float:
        return self.records / self.wall_s


class Meter:
    """Told how many records are done; the first time that it is told is the beginning."""

    def __init__(self) -> None:
        self._first: tuple[int, float, float] | None = None
        self._last = (0, 0.0, 0.0)
        self._began_ns = 0

    def mark(self, records: int) -> None:
        now = records, time.process_time(), time.perf_counter()
        if self._first is None:
            self._first, self._began_ns = now, time.time_ns()
        if records > self._last[0]:
            self._last = now

    def settle(self) -> None:
        """Add the CPU since the last record: what was still to be sent, saved or committed."""
        records, _, wall_s = self._last
        self._last = records, time.process_time(), wall_s

    def span(self) -> Span:
        assert self._first is not None, "nothing was marked"
        records, cpu_s, wall_s = (
            end - begin for begin, end in zip(self._first, self._last, strict=True)
        )
        assert records > 0, "everything was done at once: more records are needed"
        return Span(records=int(records), cpu_s=cpu_s, wall_s=wall_s, began_ns=self._began_ns)


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
