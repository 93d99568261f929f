"""Candles by bytewax: five tumbling windows that fold in the order of arrival, state in memory.

Sums are floats; without a recovery store nothing survives the process, which spares it the cost.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import bytewax.operators as op  # type: ignore[import-not-found] # in another environment
import orjson
from bytewax.connectors.kafka import (  # type: ignore[import-not-found] # the same
    KafkaSink,
    KafkaSinkMessage,
    KafkaSource,
    KafkaSourceMessage,
)
from bytewax.dataflow import Dataflow  # type: ignore[import-not-found] # the same
from bytewax.operators.windowing import (  # type: ignore[import-not-found] # the same
    EventClock,
    TumblingWindower,
    fold_window,
)
from bytewax.testing import run_main  # type: ignore[import-not-found] # the same

from deploy.bench.float_candle import LENGTHS, Candle, Trade, add, new_candle
from deploy.bench.meter import Meter
from schemas.events import NS_PER_S

GRACE = timedelta(seconds=2)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def main(servers: str, source: str, target: str, _count: str) -> None:
    meter, done = Meter(), 0

    def decode(message: KafkaSourceMessage) -> tuple[str, Trade]:
        nonlocal done
        done += 1
        meter.mark(done)
        trade = orjson.loads(message.value)
        return trade["instrument"], trade

    flow = Dataflow("candles")
    records = op.input("trades", flow, KafkaSource(servers.split(","), [source], tail=False))
    trades = op.map("decode", records, decode)
    for interval, length_ns in LENGTHS.items():
        windows = fold_window(
            interval,
            trades,
            EventClock(_event_time, GRACE),
            TumblingWindower(length=timedelta(seconds=length_ns // NS_PER_S), align_to=EPOCH),
            builder=dict,
            folder=_folder(length_ns),
            merger=lambda first, _second: first,  # tumbling windows never merge
            ordered=False,
        )
        closed = op.map(f"encode-{interval}", windows.down, _encode)
        op.output(f"candles-{interval}", closed, KafkaSink(servers.split(","), target))
    run_main(flow)
    meter.settle()
    sys.stdout.write(meter.line())


def _event_time(trade: Trade) -> datetime:
    return datetime.fromtimestamp(trade["ts_event"] / NS_PER_S, UTC)


def _folder(length_ns: int) -> Callable[[Candle, Trade], Candle]:
    def fold(candle: Candle, trade: Trade) -> Candle:
        return add(candle or new_candle(trade, length_ns), trade)

    return fold


def _encode(closed: tuple[str, tuple[int, Candle]]) -> KafkaSinkMessage:
    instrument, (_window, candle) = closed
    return KafkaSinkMessage(instrument.encode(), orjson.dumps(candle))


if __name__ == "__main__":
    main(*sys.argv[1:])
