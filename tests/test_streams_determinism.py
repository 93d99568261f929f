"""The candle engine against a slow computation, under every cut, restart and neighbour."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders import clock, end, gap, numbered, records, start, trade
from candle_oracle import emissions
from schemas.events import Candle, CandleRules, Event, Trade
from schemas.intervals import INTERVALS
from streams.candles.engine import Engine
from streams.candles.snapshot import Snapshots
from streams_builders import fold

INTERVAL_LISTS = [("1s",), ("1s", "1m", "5m"), ("1m", "3m", "1w"), INTERVALS]
CALENDARS: list[dict[str, str]] = [{}, {"SIM": "America/New_York@17:00"}, {"SIM": "XTKS"}]


def row(candle: Candle) -> dict[str, Any]:
    names = set(candle.__struct_fields__) - {
        "session",
        "epoch",
        "price_type",
        "is_closed",
        "repair",
    }
    return numbers({name: getattr(candle, name) for name in names})


def numbers(fields: dict[str, Any]) -> dict[str, Any]:
    sums = ("volume", "quote_volume", "buy_volume", "buy_quote_volume")
    return fields | {name: Decimal(fields[name]) for name in sums}


@st.composite
def sessions(draw: st.DrawFn) -> list[Event]:
    """Draw a whole session: ticks in and out of order, some too late, gaps, clocks, an end."""
    rng = random.Random(draw(st.integers(0, 2**32)))
    horizon_ms = draw(st.sampled_from([2_000, 5_000, 600_000]))
    rules = CandleRules(
        intervals=draw(
            st.sampled_from([("1s",), ("1s", "1m", "5m"), ("1m", "3m", "1w"), INTERVALS])
        ),
        calendars=draw(st.sampled_from(CALENDARS)),
        windows=draw(st.sampled_from([(), ("1m", "15m", "24h")])),
        grace_ms=draw(st.sampled_from([0, 500, 2_000])),
        horizon_ms=horizon_ms,
    )
    events: list[Event] = [start(rng.uniform(-70, 0.5), rules=rules)]
    now = 0.0
    for _ in range(draw(st.integers(1, 60))):
        now += rng.choice(
            [0.0, 0.001, 0.1, 0.4, 1.0, 3.0, 40.0, 400.0, rng.choice([400.0, 40_000.0])]
        )
        kind = rng.random()
        if kind < 0.7:
            back = rng.choice([0.0, 0.0, 0.0, 0.2, 1.5, 4.0, 70.0, 700.0])
            price, size = rng.randrange(1, 10**6) / 1000, rng.randrange(10**7) / 10**6
            instrument, side = rng.choice(["AAA.SIM", "BB.SIM"]), rng.choice(["buy", "sell"])
            fields = {"instrument": instrument, "side": side}
            events.append(trade(round(now - back, 9), price, size, **fields))
        elif kind < 0.93:
            events.append(clock(now))
        else:
            names = rng.choice([(), ("AAA.SIM",)])
            events.append(gap(now - rng.choice([0.5, 2, 90]), now, instruments=names))
    return numbered(*events, end(now + rng.choice([0.0, 5.0])))


@settings(max_examples=1200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sessions())
def test_candles_and_revisions_equal_a_computation_over_all_ticks(events: list[Event]) -> None:
    assert [row(candle) for candle in fold(events)] == emissions(events)


@settings(max_examples=600, deadline=None)
@given(sessions(), st.data())
def test_no_cut_into_batches_and_no_restart_changes_a_byte(
    events: list[Event], data: st.DataObject
) -> None:
    whole = Engine().fold(records(events)).candles

    engine, snapshots, saved, position = Engine(), Snapshots(), {}, 0
    log = records(events)
    seen: list[tuple[bytes | None, bytes]] = []
    sent_at_save, offset = 0, 0
    while offset < len(log):
        size = data.draw(st.integers(1, 20))
        seen += engine.fold(log[offset : offset + size]).candles
        offset += size
        what = data.draw(st.sampled_from(["go on", "save", "crash", "save and restart"]))
        if "save" in what:
            for key, value in snapshots.changes(engine):
                saved[key] = value
                if value is None:
                    del saved[key]
            position, sent_at_save = offset, len(seen)
        if "crash" in what or "restart" in what:
            again = seen[sent_at_save:]
            engine, snapshots = Engine(), Snapshots()
            snapshots.restore(engine, saved)
            offset = position
            replayed = engine.fold(log[offset:]).candles
            assert replayed[: len(again)] == again, "emitted again, with equal bytes"
            engine, snapshots = Engine(), Snapshots()
            snapshots.restore(engine, saved)
            seen = seen[:sent_at_save]
            if "crash" in what:
                position = offset

    assert seen == whole


@settings(max_examples=200, deadline=None)
@given(sessions(), sessions())
def test_another_session_in_the_partition_changes_nothing(
    events: list[Event], others: list[Event]
) -> None:
    alone = fold(events)
    for other in others:
        other.session = "sim-2"
    mixed: list[Event] = []
    rng = random.Random(len(events))
    left, right = list(events), list(others)
    while left or right:
        mixed.append((left if left and (not right or rng.random() < 0.5) else right).pop(0))

    together = fold(mixed)

    assert [c for c in together if c.session == "sim-1"] == alone


@settings(max_examples=200, deadline=None)
@given(sessions())
def test_another_instrument_in_the_partition_changes_nothing(events: list[Event]) -> None:
    only = [e for e in events if not isinstance(e, Trade) or e.instrument == "AAA.SIM"]

    together = [candle for candle in fold(events) if candle.instrument == "AAA.SIM"]

    assert together == fold(only)
