"""What a backtest has in its own process: the stream's candles, and a limit for each call."""

from __future__ import annotations

from itertools import pairwise

from backtest_builders import minute, told
from builders import records
from consumers.backtest import Engine, Strategy, Terms
from consumers.backtest.driver import drive
from deploy.backtests.inline_candles import InlineCandles
from deploy.backtests.watchdog import calls_limited
from schemas.codec import candle_decoder
from schemas.events import Candle
from streams.candles.engine import Engine as CandleEngine


def test_inline_candles_are_those_of_the_stream_directly_after_what_closed_them():
    events = told("a", "BBB.SIM", "AAA.SIM")
    maker = InlineCandles()

    found = [candle for event in events for candle in maker.take(event)]

    outputs = CandleEngine().fold(records(events)).candles
    known = [candle_decoder.decode(value) for _, value in outputs]
    known = [candle for candle in known if isinstance(candle, Candle)]
    assert len(found) > 300
    key = lambda c: (c.seq, c.ts_close, c.instrument, c.interval)  # noqa: E731
    assert sorted(found, key=key) == sorted(known, key=key)
    assert all(a.ts_close <= b.ts_close or a.seq < b.seq for a, b in pairwise(found))


def test_a_call_that_never_returns_is_interrupted_whatever_it_catches():
    class Stuck(Strategy):
        def on_candle(self, context, candle):
            while True:
                try:
                    sum(range(1_000))
                except Exception:  # noqa: BLE001 - as people write
                    self.caught = True

    engine = Engine(Stuck(), Terms())
    with calls_limited(0.2):
        outcome = drive(engine, [minute(0, 100)])

    assert outcome.state == "failed"
    assert "backtest.call_s_max" in outcome.reason
