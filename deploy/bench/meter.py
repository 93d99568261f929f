"""CPU and wall time of this process from when it is ready to its last record.

Peers import it too, in environments that have little beside msgspec.
"""

from __future__ import annotations

import time

import msgspec
from msgspec import Struct


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

    def line(self) -> str:
        """Return the span as the line that a case prints."""
        return msgspec.json.encode(self.span()).decode() + "\n"
