from __future__ import annotations

import pytest

from builders import at, trade
from consumers.store.sinks.candles import CandleSink
from consumers.store.sinks.trades import TradeSink
from consumers.store.upkeep import retention
from consumers.store.upkeep.partitions import wait_applied
from consumers.store.upkeep.purge import Turn
from consumers_builders import candle
from schemas.errors import SettingsError, UnknownNameError
from schemas.sections import Retention
from schemas.tables import AGGREGATED_OHLCV, MARKET_BARS, TICK_PRICES

DAY_S = 86_400
YEARS_S = 30 * 365 * DAY_S
"""So long before the other tests that nothing of theirs is as old."""
TURN = Turn(holder="retention", term_ms=2_000)


def test_an_interval_that_is_not_named_is_kept_as_the_next_shorter_one():
    days = retention.read_rules(["aggregated_ohlcv.1m=2d", "aggregated_ohlcv.1d=5d"])

    kept = {
        interval: since
        for since, intervals in retention.cutoffs(days, AGGREGATED_OHLCV, 10 * retention.DAY_NS)
        for interval in intervals
    }

    assert {kept[name] // retention.DAY_NS for name in ("1m", "5m", "12h")} == {8}
    assert {kept[name] // retention.DAY_NS for name in ("1d", "1w", "1M")} == {5}
    assert not kept.keys() & {"1s", "30s"}, "finer ones stay"
    assert retention.cutoffs(days, TICK_PRICES, 10 * retention.DAY_NS) == []


def test_the_recommended_rules_can_be_read():
    days = retention.read_rules(Retention().keep)

    assert days[TICK_PRICES, ""] == 90
    assert days[AGGREGATED_OHLCV, "1m"] == 365
    assert days[MARKET_BARS, "1d"] == 5 * 365


@pytest.mark.parametrize(
    ("rule", "error"),
    [
        ("tick_prices", SettingsError),
        ("tick_prices=soon", SettingsError),
        ("tick_prices=-1d", SettingsError),
        ("tick_prices.1m=5d", SettingsError),
        ("aggregated_ohlcv=5d", SettingsError),
        ("aggregated_ohlcv.7m=5d", UnknownNameError),
        ("session_labels=5d", UnknownNameError),
        ("", UnknownNameError),
    ],
)
def test_a_rule_that_cannot_be_read_is_refused(rule, error):
    with pytest.raises(error):
        retention.read_rules([rule])


@pytest.mark.stack
def test_what_is_too_old_goes_by_interval_and_all_else_stays(settings, client, db, session):
    candles = [
        candle(day * DAY_S - YEARS_S, interval=interval, session=session, seq=day)
        for day in range(3)
        for interval in ("1s", "1m", "1d")
    ]
    CandleSink(client).write(candles)
    TradeSink(client).write([trade(d * DAY_S - YEARS_S, session=session, seq=d) for d in range(3)])
    for table in (AGGREGATED_OHLCV, TICK_PRICES):
        wait_applied(db, table)
    rules = "tick_prices=1d aggregated_ohlcv.1s=1d aggregated_ohlcv.1m=2d aggregated_ohlcv.1d=9d"
    days = retention.read_rules(rules.split())

    expired = retention.plan(db, days, at(2 * DAY_S - YEARS_S))
    assert all(size > 0 for size in retention.sizes(db, expired))
    gone = [count for _, count in retention.apply(settings.questdb, expired, TURN)]

    left = db.rows(
        "SELECT interval, count() AS n FROM aggregated_ohlcv WHERE session = %(s)s", s=session
    )
    assert {row["interval"]: row["n"] for row in left} == {"1s": 2, "1m": 3, "1d": 3}
    (ticks,) = db.rows("SELECT count() AS n FROM tick_prices WHERE session = %(s)s", s=session)
    assert ticks["n"] == 2
    assert sum(gone) == 2


@pytest.mark.stack
def test_old_partitions_become_parquet_and_are_read_written_and_rewritten(
    settings, client, db, session
):
    early_s = 40 * 365 * DAY_S
    ticks = [trade(day * DAY_S - early_s, session=session, seq=day) for day in range(3)]
    TradeSink(client).write(ticks)
    wait_applied(db, TICK_PRICES)
    before_ns = at(2 * DAY_S - early_s)

    retention.to_parquet(db, TICK_PRICES, before_ns)

    query = "SELECT count() AS n FROM table_partitions('tick_prices') WHERE \"isParquet\""
    assert db.rows(query)[0]["n"] == 2
    TradeSink(client).write([*ticks, trade(60 - early_s, session=session, seq=9)])
    wait_applied(db, TICK_PRICES)
    stored = "SELECT seq, ts_event::long AS ts FROM tick_prices WHERE session = %(s)s ORDER BY seq"
    found = [(row["seq"], row["ts"]) for row in db.rows(stored, s=session)]
    assert found == [*((t.seq, t.ts_event) for t in ticks), (9, at(60 - early_s))]

    days = retention.read_rules(["tick_prices=0d"])
    expired = retention.plan(db, days, before_ns)
    assert [part.rows for part, _ in expired] == [2, 1]
    list(retention.apply(settings.questdb, expired, TURN))
    assert [row["seq"] for row in db.rows(stored, s=session)] == [2]
