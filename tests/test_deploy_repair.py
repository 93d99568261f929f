"""Repair: what comes out of stored ticks, what is replaced by it, and what must not be."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from msgspec import structs

from builders import T0, at, end, gap, numbered, records, start, trade
from consumers.store import reader
from consumers.store.client import IngestClient
from consumers.store.sinks.trades import TradeSink
from consumers.store.sql import database
from consumers.store.ticks import GapTold, Told
from consumers.store.verify import verify
from deploy.rebuild import compare, hours_of, rebuild, spans
from deploy.repair import check_settled
from deploy_builders import RUN_S_MAX, entry, run
from schemas.calendars import UTC_DAYS
from schemas.errors import DataError, SettingsError
from schemas.events import NS_PER_S, Candle, CandleRules, Trade
from schemas.settings import Settings
from streams.candles.engine import Engine
from streams_builders import candles_in

MINUTE_NS = 60 * NS_PER_S
FOREVER = 2**62
INTERVALS = ("1s", "1m", "1h", "1d", "1w")
LATE = CandleRules(intervals=INTERVALS, grace_ms=0, horizon_ms=10**9)
MINUTES = CandleRules(intervals=("1m",), grace_ms=0, horizon_ms=10**9)
TOLD = Told(at(0), at(100), 9, ())
CLOSE_S = 11 * 3_600
"""New York closes eleven hours after T0."""


def rebuilt(ticks: list[Trade], told: Told, rules: CandleRules) -> list[Candle]:
    calendar = hours_of(ticks[0].instrument, rules, told.began)
    minutes = Counter(tick.ts_event - tick.ts_event % MINUTE_NS for tick in ticks)

    def read(since: int, until: int) -> Iterator[list[Trade]]:
        some = [structs.replace(tick) for tick in ticks if since <= tick.ts_event < until]
        yield from (some[first : first + 7] for first in range(0, len(some), 7))

    cut = list(spans(sorted(minutes.items()), calendar, FOREVER))
    return [candle for some in rebuild(entry(rules=rules), told, cut, read) for candle in some]


def streamed(ticks: list[Trade], told: Told, rules: CandleRules) -> list[Candle]:
    """Fold in publishing order, with a horizon that nothing is beyond."""
    gaps = [gap((g.ts_from - T0) / NS_PER_S, (g.ts_to - T0) / NS_PER_S) for g in told.gaps]
    opening = start((told.began - T0) / NS_PER_S, rules=rules)
    closing = end((told.until - T0) / NS_PER_S)
    events = numbered(opening, *gaps, *ticks, closing)
    return candles_in([value for _, value in Engine().fold(records(events)).candles])


def by_key(candles: list[Candle]) -> dict[Any, Candle]:
    found = {(c.interval, c.ts_open): structs.replace(c, seq=0) for c in candles}
    assert len(found) == len(candles), "a candle twice"
    return found


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("ticks_max", [1, 20, 10_000])
@pytest.mark.parametrize("hours", [None, "XNYS", "NY17"])
def test_candles_of_stored_ticks_are_those_of_a_stream_without_horizon(
    seed: int, ticks_max: int, hours: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.rebuild.SPAN_TICKS_MAX", ticks_max)
    rng = Random(seed)
    rules = structs.replace(LATE, calendars={"SIM": hours} if hours else {})
    seconds = [10_800 * rng.randrange(20) + rng.uniform(-90, 240) for _ in range(150)]
    seconds += [CLOSE_S + rng.uniform(-5, 65) for _ in range(30)]  # closing prints
    ticks = [
        trade(
            offset,
            price=round(rng.uniform(90, 110), 2),
            size=rng.randrange(5) / 4,
            side=rng.choice(["buy", "sell"]),
        )
        for offset in seconds
    ]
    told = Told(at(5_000), at(200_000), 9, (GapTold(at(20_000), at(21_000), ()),))

    found = by_key(rebuilt(ticks, told, rules))

    assert found == by_key(streamed(ticks, told, rules))
    assert {flag for candle in found.values() for flag in candle.flags} == {"gap", "partial"}


def test_spans_have_bounded_numbers_of_ticks_and_begin_within_hours() -> None:
    minutes = [(T0 + n * MINUTE_NS, 40_000) for n in range(5)]

    found = list(spans(minutes, UTC_DAYS, at(10_000)))

    assert found == [(at(0), at(120)), (at(120), at(240)), (at(240), at(10_000))]
    assert list(spans([], UTC_DAYS, at(1))) == []


def stored_as(candle: Candle, **fields: Any) -> dict[str, Any]:
    return {**structs.asdict(candle), "flags": list(candle.flags), **fields}


def test_what_differs_is_repaired_and_keeps_its_flags() -> None:
    (now,) = streamed([trade(1), trade(2)], TOLD, MINUTES)
    (before,) = streamed([trade(1)], TOLD, MINUTES)

    found = compare(now, stored_as(before, flags=["gap"], revision=3, repair=1), TOLD)

    assert found == structs.replace(now, seq=TOLD.seq, repair=2, revision=0, flags=("gap",))
    assert compare(now, stored_as(now, revision=3, repair=1), TOLD) is None
    assert compare(now, None, TOLD) == structs.replace(now, seq=TOLD.seq, repair=1)


def test_a_candle_of_ticks_that_are_not_stored_is_left_alone() -> None:
    (now,) = streamed([trade(1)], TOLD, MINUTES)
    (before,) = streamed([trade(1), trade(2)], TOLD, MINUTES)

    with pytest.raises(DataError, match="1 of 2"):
        compare(now, stored_as(before), TOLD)


def test_of_a_session_that_goes_on_only_what_is_beyond_its_horizon_can_be_repaired() -> None:
    rules = CandleRules(intervals=("1m",), grace_ms=0, horizon_ms=60_000)
    active = entry(rules=rules, state="active", source_time=at(600))

    check_settled(active, at(540))
    check_settled(entry(rules=rules), FOREVER)

    with pytest.raises(SettingsError, match="2025-10-09T09:09:00Z"):
        check_settled(active, at(541))


def answer(settings: Settings, *arguments: str) -> Any:
    process = run(settings, *arguments, "--json")
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


@pytest.fixture
def late(pipeline: Settings) -> Settings:
    """Settings of a market in which many trades come after the horizon."""
    rules = {"grace_ms": 100, "horizon_ms": 500, "intervals": ("1s", "15s", "1m", "1d")}
    market = {"rate": 4, "instruments": 2, "late_share": 0.2, "late_ms_max": 9_000}
    return pipeline.model_copy(
        update={
            "stream": pipeline.stream.model_copy(update=rules),
            "simulated": pipeline.simulated.model_copy(update=market),
        }
    )


@pytest.mark.stack
def test_ticks_beyond_the_horizon_get_into_their_candles_once(late: Settings) -> None:
    fed = answer(late, "feed", "simulated", "--seconds", "100", "--max-speed", "--wait")
    session, intervals = fed["session"], late.stream.intervals
    with database(late.questdb) as db:
        before = verify(db, session, intervals)

    announced = answer(late, "repair", session, "--dry-run")
    with database(late.questdb) as db:
        untouched = verify(db, session, intervals)
    some = answer(late, "repair", session, "--instrument", "SIM000.SIM")
    shown = run(late, "repair", session)
    again = run(late, "repair", session)
    audited = run(late, "audit", session)

    with database(late.questdb) as db:
        after = verify(db, session, intervals)
        candles = reader.candles(db, "SIM000.SIM", "1m", session=session)
    assert 0 < before.different == untouched.different
    assert after.verified, after.differences
    assert after.candles > before.candles
    repaired = [change for change in announced if change["instrument"] == "SIM000.SIM"]
    assert repaired == some
    assert {change["interval"] for change in some} == set(intervals)
    assert any(change["old"] is None for change in announced)
    assert len(shown.stdout.splitlines()) == 1 + len(announced) - len(some)
    assert " -> " in shown.stdout
    assert (again.returncode, again.stdout) == (0, "nothing to repair\n")
    # A minute that was cut short may have had no late tick.
    assert {(row["repair"], row["revision"]) for row in candles} <= {(0, 0), (1, 0)}
    minutes = {change["ts_open"] for change in some if change["interval"] == "1m"}
    assert len(minutes) == sum(row["repair"] for row in candles) > 0
    assert audited.returncode == 0, audited.stdout


@pytest.mark.stack
def test_an_unknown_session_and_one_whose_rules_are_gone_are_told_apart(late: Settings) -> None:
    client, gone = IngestClient(late.questdb), f"gone-{late.namespace}"
    TradeSink(client).write([trade(0, session=gone, instrument="GONE.SIM")])
    client.close()
    with database(late.questdb) as db:
        reader.wait_applied(db, RUN_S_MAX)

    unknown = run(late, "repair", "no-such-session")
    without_rules = run(late, "repair", "--instrument", "GONE.SIM", "--since", "2025-10-01")
    nothing = run(late, "repair")

    assert unknown.returncode == without_rules.returncode == nothing.returncode == 2
    assert "unknown session 'no-such-session'" in unknown.stderr
    assert f"session {gone} is not in the catalogue" in without_rules.stderr
    assert "name a session" in nothing.stderr
