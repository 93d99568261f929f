"""The same candles by a loop that a good engineer writes in an afternoon.

aiokafka, orjson and dictionaries; floats; a candle closes when a trade of a later one comes. A
late trade is dropped, nothing is revised, a quiet market closes no candle, and a crash forgets
the candles in progress: their trades are committed.
"""

from __future__ import annotations

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from deploy.bench.float_candle import LENGTHS, Candle, Trade, new_candle
from deploy.bench.meter import Meter
from deploy.bench.scratch import PEER_CANDLES
from deploy.bench.workload import Workload
from schemas.settings import Settings


async def by_hand(settings: Settings, work: Workload, meter: Meter) -> None:
    """Read ``count`` records, fold the trades, send the candles that close, commit."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka.servers, compression_type="lz4")
    consumer = AIOKafkaConsumer(
        work.topic(settings),
        bootstrap_servers=settings.kafka.servers,
        group_id=f"{settings.namespace}.by-hand",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    target, candles = f"{settings.namespace}.{PEER_CANDLES}", Candles()
    async with producer, consumer:
        meter.mark(0)
        done = 0
        while done < work.count:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    trade = orjson.loads(record.value)
                    if trade["type"] == "trade":
                        for candle in candles.fold(trade):
                            value = orjson.dumps(candle)
                            await producer.send(target, value, key=record.key)
                done += len(records)
                meter.mark(done)
            await producer.flush()
            await consumer.commit()
        meter.settle()


class Candles:
    """The candles in progress of each instrument, one for each interval."""

    def __init__(self) -> None:
        self._open: dict[str, list[Candle]] = {}

    def fold(self, trade: Trade) -> list[Candle]:
        """Fold a trade into the candle of every interval; return those that it closes."""
        closed = []
        candles = self._open.get(trade["instrument"])
        if candles is None:
            candles = [new_candle(trade, length) for length in LENGTHS.values()]
            self._open[trade["instrument"]] = candles
        ts_event, price, size = trade["ts_event"], trade["price"], trade["size"]
        amount, buy = price * size, trade["side"] == "buy"
        for place, length in enumerate(LENGTHS.values()):
            candle = candles[place]
            if ts_event >= candle["ts_close"]:
                closed.append(candle)
                candle = candles[place] = new_candle(trade, length)
            elif ts_event < candle["ts_open"]:
                continue
            if price > candle["high"]:  # noqa: PLR1730 - two calls of max() and min() cost more
                candle["high"] = price
            if price < candle["low"]:  # noqa: PLR1730 - the same
                candle["low"] = price
            candle["close"] = price
            candle["volume"] += size
            candle["quote_volume"] += amount
            candle["trades_count"] += 1
            if buy:
                candle["buy_volume"] += size
                candle["buy_quote_volume"] += amount
        return closed
