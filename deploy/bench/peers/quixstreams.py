"""Candles by quixstreams: five tumbling windows, state in RocksDB and a changelog, as it comes.

Sums are floats; a window closes when a trade of the same instrument is far enough beyond it.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from typing import Any

from quixstreams import Application  # type: ignore[import-not-found] # in another environment

from deploy.bench.float_candle import LENGTHS, Candle, Trade, add, new_candle
from deploy.bench.meter import Meter
from schemas.events import NS_PER_MS

GRACE_MS = 2_000


def main(servers: str, source: str, target: str, count: str) -> None:
    meter, done = Meter(), 0

    def began(_trade: Trade) -> None:
        nonlocal done
        done += 1
        meter.mark(done)
        if done == int(count):
            app.stop()

    with tempfile.TemporaryDirectory() as folder:
        app = Application(
            broker_address=servers,
            consumer_group=f"{source}.quixstreams",
            auto_offset_reset="earliest",
            state_dir=folder,
            loglevel="ERROR",
        )
        trades = app.dataframe(
            app.topic(source, value_deserializer="json", timestamp_extractor=_event_ms)
        )
        trades = trades.update(began)
        candles = app.topic(target, value_serializer="json")
        for length_ns in LENGTHS.values():
            windows = trades.tumbling_window(length_ns // NS_PER_MS, grace_ms=GRACE_MS)
            closed = windows.reduce(add, _opening(length_ns)).final()
            closed.to_topic(candles)
        app.run()
    sys.stdout.write(meter.line())


def _event_ms(trade: Trade, *_: Any) -> int:
    return int(trade["ts_event"] // NS_PER_MS)


def _opening(length_ns: int) -> Callable[[Trade], Candle]:
    def opening(trade: Trade) -> Candle:
        return add(new_candle(trade, length_ns), trade)

    return opening


if __name__ == "__main__":
    main(*sys.argv[1:])
