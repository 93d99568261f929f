"""From the append of the clock that closes a candle to the append of the candle.

Kafka's own time of both records, to the millisecond, at an open-loop rate. Beside it, in the same
run and for the same clocks, a client that sends each clock on as soon as it reads it.
"""

from __future__ import annotations

import asyncio
from statistics import quantiles
from typing import Any, Final

import orjson

from deploy.bench.processes import run_case
from deploy.bench.running import stream_workers, wait_until_saved
from deploy.bench.scratch import ECHO, records_of, scratch_namespace
from deploy.bench.workload import with_market
from schemas.settings import Settings
from schemas.topics import CANDLES, TRADES

RATE: Final = 10_000.0
GRACE_MS: Final = 250
"""Short, so that a short run closes candles; it only decides which clock closes one."""
WARM_UP_MS: Final = 1_500
SECONDS_MIN: Final = 4
INSTRUMENTS: Final = 100

Place = tuple[int, int]
"""Partition and ``seq`` of a control event."""


async def latency(settings: Settings, ticks: int) -> dict[str, float]:
    """Run the market in real time; return milliseconds, and how they stand to the echo's."""
    market = with_market(settings, instruments=INSTRUMENTS, rate=RATE, max_speed=False)
    stream = market.stream.model_copy(update={"grace_ms": GRACE_MS})
    market = market.model_copy(update={"stream": stream})
    count = max(ticks, int(SECONDS_MIN * RATE))
    async with scratch_namespace(market) as own, stream_workers(own):
        echoing = asyncio.create_task(run_case("echo", own, "trades", count))
        produced = await run_case("produce", own, "trades", count)
        await wait_until_saved(own)
        await echoing
        clocks = _times(await _control(own, TRADES.full_name(own.namespace), b'"type":"clock"'))
        echoes = _times(await _control(own, f"{own.namespace}.{ECHO}", b'"type":"clock"'))
        candles = await _control(own, CANDLES.full_name(own.namespace), b'"type":"candle"')
    began = min(clocks.values()) + WARM_UP_MS
    clocks = {place: at for place, at in clocks.items() if at >= began}
    closing = [(place, at - clocks[place]) for place, at in candles if place in clocks]
    ours = _percentiles([ms for _, ms in closing])
    theirs = _percentiles([echoes[place] - clocks[place] for place in {p for p, _ in closing}])
    return {
        "ticks_per_second": produced.per_second,
        "candles": len(closing),
        **{f"p{percent}_ms": ms for percent, ms in ours.items()},
        **{f"echo_p{percent}_ms": ms for percent, ms in theirs.items()},
        # Times are whole milliseconds: below one is not known.
        "p99_ratio_to_echo": ours[99] / max(1.0, theirs[99]),
    }


async def _control(settings: Settings, topic: str, kind: bytes) -> list[tuple[Place, int]]:
    """Return the place of each event of a kind, or of what closed it, and when it was appended."""
    found = []
    for record in await records_of(settings, topic):
        if kind in record.value:
            event: dict[str, Any] = orjson.loads(record.value)
            found.append(((record.partition, event["seq"]), record.timestamp))
    return found


def _times(events: list[tuple[Place, int]]) -> dict[Place, int]:
    return dict(events)


def _percentiles(samples_ms: list[int]) -> dict[int, float]:
    cuts = quantiles(samples_ms, n=100, method="inclusive")
    return {50: cuts[49], 99: cuts[98]}
