"""Backtests: moving averages beside backtrader and pandas, and a session from store to strategy."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import closing
from importlib.util import find_spec
from itertools import islice
from random import Random
from statistics import median
from typing import Any, Final

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa

from consumers.backtest.driver import Outcome, drive
from consumers.backtest.engine import Engine
from consumers.backtest.inputs import WINDOW_BARS
from consumers.backtest.strategies.ma_cross import MovingAverageCross
from consumers.backtest.strategy import Strategy
from consumers.backtest.terms import Terms
from consumers.store.client import IngestClient
from consumers.store.reader import wait_applied
from consumers.store.reading import Store
from consumers.store.sinks.feed_events import FeedEventSink
from consumers.store.sinks.trades import TradeSink
from consumers.store.sql import database
from deploy.bench.workload import START_NS
from producers.feeds.simulated import market
from schemas.events import NS_PER_S, Candle, Clock, End, Start, Trade
from schemas.sections import Simulated
from schemas.settings import Settings

FAST, SLOW = 10, 30
BARS_MAX: Final = 50_000
ROUNDS: Final = 3
MINUTE_NS: Final = 60 * NS_PER_S
APPLIED_S_MAX: Final = 60.0
SESSION: Final = "bench-backtest"
NAME: Final = "BENCH.SIM"
Row = dict[str, Any]


def backtest(settings: Settings, ticks: int) -> dict[str, float]:
    """Measure both; without figures of backtrader where it is not installed."""
    return _moving_averages(min(ticks, BARS_MAX)) | _to_strategy(settings, ticks)


def _moving_averages(count: int) -> dict[str, float]:
    rows = list(_rows(count))
    columns = ["open", "high", "low", "close", "volume"]
    times = pd.DatetimeIndex([row["ts_open"] for row in rows])
    frame = pd.DataFrame(rows).set_index(times)[columns].astype("float64")
    trades: dict[str, float] = {}
    cases: dict[str, Callable[[], int]] = {
        "ours": lambda: len(_ours(rows).trips),
        "pandas": lambda: _vectorised(frame),
    }
    if find_spec("backtrader"):
        cases["backtrader"] = lambda: _backtrader(frame)
    took: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(ROUNDS):
        for name, case in cases.items():
            began = time.perf_counter()
            trades[name] = case()
            took[name].append(time.perf_counter() - began)
    assert len(set(trades.values())) == 1, f"they trade alike: {trades}"
    rate = {name: count / median(times) for name, times in took.items()}
    figures = {
        "bars": count,
        "round_trips": trades["ours"],
        "bars_per_second": rate["ours"],
        "pandas_bars_per_second": rate["pandas"],
        "pandas_times_ours": rate["pandas"] / rate["ours"],
    }
    if "backtrader" in rate:
        figures["backtrader_bars_per_second"] = rate["backtrader"]
        figures["times_backtrader"] = rate["ours"] / rate["backtrader"]
    return figures


def _rows(count: int) -> Iterable[Row]:
    """Yield minutes of a random walk, as the store gives them."""
    draw, close = Random(1), 100.0  # noqa: S311 - a market, not a secret
    sums = {"volume": "1000", "quote_volume": "1", "buy_volume": "0", "buy_quote_volume": "0"}
    for number in range(count):
        opened, close = close, round(close * (1 + draw.gauss(0, 0.001)), 4)
        ts_open = START_NS + number * MINUTE_NS
        yield {
            "instrument": NAME,
            "session": SESSION,
            "interval": "1m",
            "ts_open": ts_open,
            "ts_close": ts_open + MINUTE_NS,
            "open": opened,
            "high": max(opened, close),
            "low": min(opened, close),
            "close": close,
            "vwap": close,
            "trades_count": 1,
            **sums,
        }


def _ours(rows: Iterable[Row]) -> Outcome:
    """Run from rows to results: the objects are made on the way."""
    strategy = MovingAverageCross()
    strategy.fast, strategy.slow, strategy.interval, strategy.share = FAST, SLOW, "1m", 0.01
    engine = Engine(strategy, Terms(cash=1e6), instruments=[NAME])
    return drive(engine, (Candle(epoch=0, seq=0, **row) for row in rows))


def _backtrader(frame: pd.DataFrame) -> int:
    """Run backtrader's way, with its own averages; return the number of round trips."""
    import backtrader  # type: ignore[import-untyped] # it has no types

    entered = 0

    class Cross(backtrader.Strategy):  # type: ignore[misc] # it has no types
        def __init__(self) -> None:
            averages = [backtrader.ind.SMA(period=period) for period in (FAST, SLOW)]
            self.cross = backtrader.ind.CrossOver(*averages)
            self.averages = averages
            self.known = False

        def next(self) -> None:
            fast, slow = self.averages
            rising = self.cross[0] > 0 or (not self.known and fast[0] > slow[0])
            self.known = True
            if rising and not self.position:
                self.buy(size=100)
            elif self.cross[0] < 0 and self.position:
                self.close()

        def notify_trade(self, trade: Any) -> None:
            nonlocal entered
            entered += trade.justopened

    cerebro = backtrader.Cerebro(stdstats=False)
    cerebro.broker.setcash(1e6)
    cerebro.adddata(backtrader.feeds.PandasData(dataname=frame))
    cerebro.addstrategy(Cross)
    cerebro.run()
    return entered


def _vectorised(frame: pd.DataFrame) -> int:
    """Compute positions and equity at once, as one would in a notebook."""
    close, opened = frame["close"], frame["open"]
    rising = close.rolling(FAST).mean() > close.rolling(SLOW).mean()
    held = rising.shift(1, fill_value=False)
    entries = held & ~held.shift(1, fill_value=False)
    moved = opened.shift(-1) / opened - 1
    growth = np.prod(1 + 0.5 * (held * moved).fillna(0).to_numpy())
    assert growth > 0, "half of it cannot be ruined"
    return int(entries.sum())


class _Idle(Strategy):
    """Is told each trade, and does nothing."""

    def on_trade(self, context: Any, trade: Trade) -> None:
        pass


FIELDS: Final = (
    *("session", "seq", "instrument", "ts_event", "ts_recv"),
    *("price", "size", "side", "trade_id"),
)
"""All that is known of a trade."""


class _Plain(msgspec.Struct):
    """A trade as a plain object."""

    session: str
    seq: int
    instrument: str
    ts_event: int
    ts_recv: int
    price: float
    size: float
    side: str
    trade_id: str | None


def _to_strategy(settings: Settings, ticks: int) -> dict[str, float]:
    """Read a session from the store to ``on_trade``, and beside it the least that could do so."""
    stored = _store(settings, ticks)
    ours: list[float] = []
    bare: list[float] = []
    with Store(settings.questdb) as store:
        for number in range(ROUNDS + 1):
            began = time.perf_counter()
            outcome = drive(Engine(_Idle(), Terms()), store.events(SESSION))
            took = time.perf_counter() - began
            assert outcome.events == stored, "every event is told"
            least = _bare(store)
            # The first round reads from disk.
            if number:
                ours.append(took)
                bare.append(least)
    return {
        "ticks": ticks,
        "ticks_per_second": ticks / median(ours),
        "bare_ticks_per_second": ticks / median(bare),
        "ratio_to_bare": median(bare) / median(ours),
    }


def _bare(store: Store) -> float:
    """Read the columns in bulk, make one plain object of each row, and call a function."""

    def told(_: _Plain) -> None:
        pass

    began = time.perf_counter()
    for batch in store.read("trades", session=SESSION):
        columns = [_plain(batch.column(name)) for name in FIELDS]
        for values in zip(*columns, strict=True):
            told(_Plain(*values))
    return time.perf_counter() - began


def _plain(column: Any) -> list[Any]:
    """Return the values of a column the quickest way that there is for its type."""
    if pa.types.is_timestamp(column.type):
        column = column.cast("int64")
    primitive = pa.types.is_primitive(column.type)
    values: list[Any] = column.to_numpy().tolist() if primitive else column.to_pylist()
    return values


def _store(settings: Settings, ticks: int) -> int:
    """Write a session of trades, with its start, its end and a clock in each window."""
    made = market(Simulated(instruments=10, rate=2_000, books_share=0.0, max_speed=True), START_NS)
    own: dict[str, Any] = {"session": SESSION, "epoch": 0}
    with closing(IngestClient(settings.questdb)) as client:
        trades = (one for one in made if isinstance(one, Trade))
        control: list[Start | Clock | End] = [
            Start(**own, seq=0, source_time=START_NS, rules=settings.stream.rules)
        ]
        seq, last = 1, START_NS
        while batch := list(islice(trades, min(WINDOW_BARS, ticks + 1 - seq))):
            for number, trade in enumerate(batch, seq):
                trade.session, trade.seq = SESSION, number
            TradeSink(client).write(batch)
            seq, last = seq + len(batch), batch[-1].ts_event
        control.append(End(**own, seq=seq, source_time=last))
        FeedEventSink(client).write(control)
    with database(settings.questdb) as db:
        wait_applied(db, APPLIED_S_MAX)
    return seq + 1
