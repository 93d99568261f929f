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

from deploy.bench.meter import Meter
from deploy.bench.scratch import STOCK, STOCK_CANDLES
from deploy.bench.workload import Workload
from schemas.intervals import length_ns
from schemas.settings import Settings

LENGTHS = {interval: length_ns(interval) for interval in ("1s", "1m", "5m")}


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
    trades = app.topic(f"{settings.namespace}.{STOCK}", value_serializer="json")
    closed = app.topic(f"{settings.namespace}.{STOCK_CANDLES}", value_serializer="json")
    candles: Any = app.Table("candles") if durable else {}

    @app.agent(trades)
    async def fold(stream: Any) -> None:
        async for trade in stream:
            instrument = trade["instrument"]
            of_instrument = candles.get(instrument) or {}
            for interval, length in LENGTHS.items():
                ts_open = trade["ts_event"] // length * length
                candle = of_instrument.get(interval)
                if candle is None or candle["ts_open"] != ts_open:
                    if candle is not None:
                        await closed.send(key=instrument, value=candle)
                    candle = of_instrument[interval] = _new_candle(trade, length, ts_open)
                _add(candle, trade)
            candles[instrument] = of_instrument
            folded()

    return app


def _new_candle(trade: dict[str, Any], length: int, ts_open: int) -> dict[str, Any]:
    price = trade["price"]
    return {
        "instrument": trade["instrument"],
        "ts_open": ts_open,
        "ts_close": ts_open + length,
        "open": price,
        "high": price,
        "low": price,
        "close": price,
        "volume": 0.0,
        "quote_volume": 0.0,
        "trades_count": 0,
        "buy_volume": 0.0,
        "buy_quote_volume": 0.0,
    }


def _add(candle: dict[str, Any], trade: dict[str, Any]) -> None:
    price, size = trade["price"], trade["size"]
    candle["high"] = max(candle["high"], price)
    candle["low"] = min(candle["low"], price)
    candle["close"] = price
    candle["volume"] += size
    candle["quote_volume"] += price * size
    candle["trades_count"] += 1
    if trade["side"] == "buy":
        candle["buy_volume"] += size
        candle["buy_quote_volume"] += price * size
