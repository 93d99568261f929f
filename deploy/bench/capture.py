"""What capturing costs by venue, beside ccxt on the same frames, and whether its memory grows."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Struct

from deploy.bench.meter import Span
from deploy.bench.processes import Tell, run_captured
from deploy.bench.venue_frames import WORDS

FRAMES_SHARE: Final = 5
"""A venue reads one frame for so many ticks asked for."""
MEMORY_VENUE: Final = "BINANCE"
MEMORY_FACTOR: Final = 15
"""With the usual 300,000 ticks: 4.5 million frames, a day of 50 a second."""


class Memory(Struct):
    rss_mb: list[float]
    growth_mb: float


async def capture(ticks: int, tell: Tell, venues: Iterable[str] = WORDS) -> dict[str, float]:
    """Measure venues; figures are CPU microseconds a frame, and how many times less."""
    cases = ["read", "record", *(["ccxt"] if importlib.util.find_spec("ccxt") else [])]
    figures: dict[str, float] = {}
    for venue in venues:
        found = {}
        for case in cases:
            line = await run_captured(case, venue, max(2_000, ticks // FRAMES_SHARE))
            found[case] = msgspec.json.decode(line, type=Span).cpu_us
            figures[f"{venue.lower()}_{case}_cpu_us"] = found[case]
        if "ccxt" in found:
            figures[f"{venue.lower()}_times_ccxt"] = found["ccxt"] / found["read"]
        tell(f"{venue}: " + ", ".join(f"{case} {us:.1f} us" for case, us in found.items()))
    return figures


async def capture_memory(ticks: int, tell: Tell) -> dict[str, float]:
    """Record ever new frames, as many as of a day; say the memory on the way."""
    count = ticks * MEMORY_FACTOR
    line = await run_captured("memory", MEMORY_VENUE, count)
    memory = msgspec.json.decode(line, type=Memory)
    tell(f"memory: {memory.rss_mb} MB over {count:,} frames")
    return {"frames": count, "rss_mb": memory.rss_mb[-1], "growth_mb": memory.growth_mb}
