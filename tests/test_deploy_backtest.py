"""Backtests on the real store: what is kept, what is refused, what is repeated."""

from __future__ import annotations

import asyncio

import pytest

from backtest_builders import told
from builders import at
from consumers.backtest import Terms
from consumers.backtest.loading import load_strategy
from consumers.store import reader
from consumers.store.reading import backtests
from consumers.store.sinks.bars import BarSink
from consumers.store.sinks.feed_events import FeedEventSink
from consumers.store.sinks.sentiment import Sentiment, write_sentiment
from consumers.store.sinks.sessions import SessionSink
from consumers.store.sinks.trades import TradeSink
from consumers_builders import bar, catalogued
from deploy.backtests.backtesting import execute
from deploy.backtests.plans import Plan, plan_of, planned
from deploy.backtests.sweep import combinations, sweep_all
from faulty_proxy import FaultyProxy
from schemas.errors import SettingsError, UnavailableError, UnknownNameError
from schemas.events import Clock, End, Start, Trade

WAIT_S = 30
STRATEGIES = '''
import os, time
from consumers.backtest import Strategy

class Buyer(Strategy):
    every: int = 10
    die_at: int = 0

    def on_start(self, context):
        self.seen = 0

    def on_trade(self, context, trade):
        self.seen += 1
        if self.seen == self.die_at:
            os._exit(9)
        if self.seen % self.every == 0:
            held = context.position(trade.instrument).quantity
            context.target(trade.instrument, 0 if held else 1.0)

class Raiser(Buyer):
    def on_trade(self, context, trade):
        super().on_trade(context, trade)
        if self.seen == 100:
            raise ValueError("no idea what to do")

class Stuck(Buyer):
    def on_trade(self, context, trade):
        super().on_trade(context, trade)
        while self.seen == 100:
            try:
                time.sleep(0.01)
            except Exception:
                pass

class Moody(Strategy):
    """Asks what people think."""

    def on_candle(self, context, candle):
        score = context.as_of("sentiment", candle.instrument)
        context.target(candle.instrument, 1.0 if (score or 0) > 0 else 0.0)
'''


@pytest.fixture
def strategies(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(STRATEGIES)
    return lambda name: f"{file}:{name}"


@pytest.fixture
def recorded(client, db, session, instrument):
    """A stored session of 300 trades."""
    events = told(session, instrument)
    TradeSink(client).write([event for event in events if isinstance(event, Trade)])
    kinds = (Start, Clock, End)
    FeedEventSink(client).write([event for event in events if isinstance(event, kinds)])
    entry = catalogued(session, counts={"trades": 300}, instruments=(instrument,))
    SessionSink(client).write([entry])
    reader.wait_applied(db, WAIT_S)
    return session


@pytest.mark.stack
class TestASession:
    def test_a_run_is_kept_with_all_it_takes_to_run_it_again(
        self, settings, store, db, recorded, instrument, strategies
    ):
        plan = planned(store, Plan(strategy=strategies("Buyer"), sessions=(recorded,)))
        finished = execute(settings, plan)

        kept = backtests.run(db, finished.run.run)
        assert kept == finished.run
        assert (kept.state, kept.sessions, kept.instruments) == (
            "completed",
            (recorded,),
            (instrument,),
        )
        assert kept.content_hash
        assert kept.code_version.startswith("0.")
        assert plan_of(kept) == plan
        assert plan.params == {"every": 10, "die_at": 0}
        trips = backtests.trips(db, kept.run)
        assert [trip["entry_price"] for trip in trips] == [
            trip.entry_price for trip in finished.outcome.trips
        ]
        assert len(trips) == 15
        curve = backtests.equity(db, kept.run)
        assert [point["equity"] for point in curve] == [
            point.equity for point in finished.outcome.curve
        ]
        assert execute(settings, plan_of(kept)).run.result_hash == kept.result_hash
        other = execute(
            settings,
            planned(
                store,
                Plan(strategy=strategies("Buyer"), sessions=(recorded,), params={"every": "7"}),
            ),
        )
        assert other.run.result_hash != kept.result_hash

    @pytest.mark.parametrize("name", ["Raiser", "Stuck"])
    def test_a_strategy_that_fails_keeps_its_results_so_far(
        self, settings, store, db, recorded, strategies, name
    ):
        backtest = settings.backtest.model_copy(update={"call_s_max": 0.3})
        quick = settings.model_copy(update={"backtest": backtest})

        finished = execute(
            quick, planned(store, Plan(strategy=strategies(name), sessions=(recorded,)))
        )

        kept = backtests.run(db, finished.run.run)
        assert kept.state == "failed"
        assert "mine.py" in kept.reason
        assert ("no idea" in kept.reason) == (name == "Raiser")
        assert len(backtests.trips(db, kept.run)) == 5

    def test_what_cannot_be_run_is_said_before(
        self, client, db, store, recorded, instrument, strategies
    ):
        active, empty = f"{recorded}-a", f"{recorded}-e"
        SessionSink(client).write([catalogued(active, state="active"), catalogued(empty)])
        reader.wait_applied(db, WAIT_S)
        usual = {"strategy": strategies("Buyer"), "sessions": (recorded,)}
        for changed, kind, said in (
            ({"sessions": ()}, SettingsError, "tickerplant sessions ls"),
            ({"sessions": (f"{recorded}x",)}, UnknownNameError, recorded),
            ({"sessions": (active,)}, SettingsError, "still being recorded"),
            ({"sessions": (empty,)}, SettingsError, "empty"),
            ({"since": 0, "until": 1}, SettingsError, "both"),
            ({"instruments": ("ZZZ.SIM",)}, UnknownNameError, instrument),
            ({"strategy": "ma_kross"}, UnknownNameError, "ma_cross"),
            ({"strategy": strategies("Nobody")}, UnknownNameError, "Raiser"),
            ({"strategy": "no/such/file.py:A"}, SettingsError, "no file"),
            ({"params": {"evry": "1"}}, UnknownNameError, "every"),
            ({"params": {"every": "often"}}, SettingsError, "every=often"),
            ({"terms": Terms(cash=float("nan"))}, SettingsError, "cash"),
            ({"terms": Terms(latency_ms=-1)}, SettingsError, "latency_ms"),
            ({"terms": Terms(gaps="mend")}, UnknownNameError, "continue"),
            ({"calendar": "XXXX"}, UnknownNameError, "XXXX"),
        ):
            with pytest.raises(kind) as raised:
                planned(store, Plan(**(usual | changed)))
            assert said in str(raised.value), changed

    async def test_a_store_that_is_gone_in_the_middle_is_said(
        self, settings, store, recorded, monkeypatch, tmp_path
    ):
        monkeypatch.setattr("consumers.store.reading.recorded.WINDOW_SEQS", 50)
        file, loop = tmp_path / "cutter.py", asyncio.get_running_loop()
        file.write_text(
            "from consumers.backtest import Strategy\n"
            "class Cutter(Strategy):\n"
            "    seen = 0\n"
            "    def on_trade(self, context, trade):\n"
            "        self.seen += 1\n"
            "        if self.seen == 40:\n"
            "            type(self).cut()\n"
        )
        plan = planned(store, Plan(strategy=f"{file}:Cutter", sessions=(recorded,)))
        async with FaultyProxy(settings.questdb.pg_port) as proxy:
            away = settings.questdb.model_copy(update={"pg_port": proxy.port})
            cut = lambda: loop.call_soon_threadsafe(proxy.become, "refuse")  # noqa: E731
            monkeypatch.setattr("deploy.backtests.backtesting.load_strategy", _with_cut(cut))
            with pytest.raises(UnavailableError, match="does not answer"):
                await asyncio.to_thread(
                    execute, settings.model_copy(update={"questdb": away}), plan
                )

    def test_a_sweep_survives_a_process_that_dies(self, settings, store, recorded, strategies):
        one = settings.backtest.model_copy(update={"jobs_max": 1})
        plans = [
            planned(store, Plan(strategy=strategies("Buyer"), sessions=(recorded,), params=params))
            for params in combinations({"die_at": ["0", "50", "1000"]}, 10)
        ]

        found = sweep_all(settings.model_copy(update={"backtest": one}), plans)

        assert [row["state"] for row in found] == ["completed", "failed", "completed"]
        assert [row["params"]["die_at"] for row in found] == [0, 50, 1000]
        with pytest.raises(SettingsError, match="too large"):
            combinations({"every": ["1"] * 11}, 10)


def _with_cut(cut):
    def load(name):
        kind = load_strategy(name)
        kind.cut = staticmethod(cut)
        return kind

    return load


@pytest.mark.stack
def test_bars_of_a_range_are_run_by_close_with_sentiment_of_their_time(
    settings, client, db, store, session, strategies
):
    names = [f"{letter}{session.upper()}.SIM" for letter in "AB"]
    BarSink(client).write(
        [
            bar(n * 60, session=session, instrument=name, close=100 + n % 7 / 10)
            for n in range(100)
            for name in names
        ]
    )
    other = {"session": session, "instrument": f"C{session.upper()}.SIM"}
    BarSink(client).write([bar(0, **other, source=source) for source in "xy"])
    items = [
        Sentiment(
            instrument=name,
            session=session,
            source="here",
            item=str(n),
            ts_event=at(n * 600),
            ts_recv=at(n * 600),
            score=(-1.0) ** n,
        )
        for n in range(10)
        for name in names
    ]
    write_sentiment(client, items)
    reader.wait_applied(db, WAIT_S)
    span = {"since": at(0), "until": at(6_000), "instruments": tuple(names), "interval": "1m"}

    plan = planned(store, Plan(strategy=strategies("Moody"), **span))
    finished = execute(settings, plan)

    assert finished.outcome.events == 200
    # Bought at the first open after it was known, for ten minutes of each twenty.
    entries = [trip.entry_time for trip in finished.outcome.trips if trip.instrument == names[0]]
    assert entries == [at(60), *(at(1_200 * n) for n in range(1, 5))]
    assert finished.metrics.exposure == pytest.approx(0.5, abs=0.02)
    with pytest.raises(SettingsError, match="not after"):
        planned(store, Plan(strategy="ma_cross", since=at(1), until=at(1)))
    with pytest.raises(SettingsError, match=f"1h bars in the range.*{names[0]}, {names[1]}"):
        planned(store, Plan(strategy="ma_cross", params={"interval": "1h"}, **span))
    with pytest.raises(SettingsError, match="several kinds"):
        planned(store, Plan(strategy=strategies("Moody"), **span | {"instruments": ()}))
