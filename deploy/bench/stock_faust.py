"""The same candles by Faust as its guide shows it: JSON values, one event at a time.

It is spared what would cost it more: sums are floats, one write keeps all intervals, no candle
closes by time or is revised, and what it sends is not waited for.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from typing import Any

import faust

from deploy.bench.float_candle import LENGTHS, add, new_candle
from deploy.bench.meter import Meter
from deploy.bench.scratch import PEER_CANDLES, TICKS
from deploy.bench.workload import Workload
from schemas.settings import Settings


async def with_table(settings: Settings, work: Workload, meter: Meter) -> None:
    """Fold ``count`` trades; candles are in a table, so that they survive a crash as ours do."""
    await _fold(settings, work, meter, durable=True)


async def in_memory(settings: Settings, work: Workload, meter: Meter) -> None:
    """Fold ``count`` trades; candles are in a dictionary, and lost with the process."""
    await _fold(settings, work, meter, durable=False)


async def _fold(settings: Settings, work: Workload, meter: Meter, *, durable: bool) -> None:
    done, finished = 0, asyncio.Event()

    def folded() -> None:
        nonlocal done
        done += 1
        if done in (1, work.count):
            meter.mark(done)
        if done == work.count:
            finished.set()

    with tempfile.TemporaryDirectory() as folder:
        app = _app(settings, folder, folded, durable=durable)
        await app.start()
        await finished.wait()
        await app.stop()


def _app(settings: Settings, folder: str, folded: Callable[[], None], *, durable: bool) -> Any:
    app = faust.App(
        f"{settings.namespace}.{'table' if durable else 'memory'}",
        broker=[f"kafka://{server}" for server in settings.kafka.servers.split(",")],
        topic_partitions=settings.kafka.partitions,
        web_enabled=False,
        datadir=folder,
    )
    trades = app.topic(f"{settings.namespace}.{TICKS}", value_serializer="json")
    closed = app.topic(f"{settings.namespace}.{PEER_CANDLES}", value_serializer="json")
    candles: Any = app.Table("candles") if durable else {}

    @app.agent(trades)
    async def fold(stream: Any) -> None:
        async for trade in stream:
            instrument = trade["instrument"]
            of_instrument = candles.get(instrument) or {}
            for interval, length in LENGTHS.items():
                candle = of_instrument.get(interval)
                if (
                    candle is None
                    or not candle["ts_open"] <= trade["ts_event"] < candle["ts_close"]
                ):
                    if candle is not None:
                        await closed.send(key=instrument, value=candle)
                    candle = of_instrument[interval] = new_candle(trade, length)
                add(candle, trade)
            candles[instrument] = of_instrument
            folded()

    return app
