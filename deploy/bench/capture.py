"""What capturing costs by venue, beside ccxt on the same frames, and whether its memory grows."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Struct

from deploy.bench.meter import Span
from deploy.bench.processes import Tell, run_captured, run_captured_live
from deploy.bench.scratch import scratch_namespace
from deploy.bench.venue_frames import WORDS
from producers.feeds import binance, kraken, okx
from schemas.settings import Settings

LIVE_VENUES: Final = (binance.SPOT, kraken.VENUE, okx.VENUE)
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
    figures: dict[str, float] = {}
    for venue in venues:
        found = {}
        for case in _with_ccxt("read", "record"):
            line = await run_captured(case, venue, _frames(ticks))
            found[case] = msgspec.json.decode(line, type=Span).cpu_us
            figures[f"{venue.lower()}_{case}_cpu_us"] = found[case]
        if "ccxt" in found:
            figures[f"{venue.lower()}_times_ccxt"] = found["ccxt"] / found["read"]
        tell(f"{venue}: " + ", ".join(f"{case} {us:.1f} us" for case, us in found.items()))
    return figures


async def capture_live(
    settings: Settings, ticks: int, tell: Tell, venues: Iterable[str] = LIVE_VENUES
) -> dict[str, float]:
    """Measure venues over a connection, from their frames to Kafka's acknowledgement."""
    figures: dict[str, float] = {}
    async with scratch_namespace(settings) as own:
        for venue in venues:
            found = {}
            for case in _with_ccxt("product", "feed", peers=("ccxt", "by_hand")):
                span = found[case] = await run_captured_live(case, own, venue, _frames(ticks))
                figures[f"{venue.lower()}_{case}_cpu_us"] = span.cpu_us
                figures[f"{venue.lower()}_{case}_frames_per_second"] = span.per_second
                tell(f"{venue}: {case} {span.cpu_us:.1f} us, {span.per_second:,.0f} frames/s")
            if "ccxt" in found:
                for case, peer in (("product", "by_hand"), ("feed", "ccxt")):
                    times = found[peer].cpu_us / found[case].cpu_us
                    figures[f"{venue.lower()}_{case}_times_{peer}"] = times
    return figures


async def capture_memory(ticks: int, tell: Tell) -> dict[str, float]:
    """Record ever new frames, as many as of a day; say the memory on the way."""
    count = ticks * MEMORY_FACTOR
    line = await run_captured("memory", MEMORY_VENUE, count)
    memory = msgspec.json.decode(line, type=Memory)
    tell(f"memory: {memory.rss_mb} MB over {count:,} frames")
    return {"frames": count, "rss_mb": memory.rss_mb[-1], "growth_mb": memory.growth_mb}


def _with_ccxt(*cases: str, peers: tuple[str, ...] = ("ccxt",)) -> tuple[str, ...]:
    return (*cases, *peers) if importlib.util.find_spec("ccxt") else cases


def _frames(ticks: int) -> int:
    return max(2_000, ticks // FRAMES_SHARE)
