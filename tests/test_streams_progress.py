"""Candles in progress and trailing windows on their topic, against a look at all ticks."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bucket_oracle import bounds, place
from builders import RULES, clock, end, gap, numbered, records, start, trade
from candle_oracle import row_of
from schemas.events import Clock, Event, Progress, Start, Trade
from schemas.intervals import WINDOWS
from streams.candles.engine import Engine
from streams.candles.snapshot import Snapshots
from test_streams_determinism import numbers, sessions

Shown = dict[tuple[int, str], Progress]


def progress(events: list[Event], engine: Engine | None = None) -> Shown:
    out = (engine or Engine(progress_ms=0)).fold(records(events))
    found = [msgspec.json.decode(value, type=Progress) for _, value in out.progress if value]
    return {(event.seq, event.instrument): event for event in found}


def fields(stretch: Any) -> dict[str, Any]:
    return numbers({name: getattr(stretch, name) for name in stretch.__struct_fields__})


def expected(events: list[Event], at: Clock, instrument: str) -> list[dict[str, Any]]:
    """Compute the candles that are not closed at a clock, finest first."""
    begin = events[0]
    assert isinstance(begin, Start)
    rules, time, ticks = begin.rules, begin.source_time, []
    calendar = rules.calendars.get("SIM", "24/7")
    for event in events[: at.seq + 1]:
        if isinstance(event, Trade) and event.instrument == instrument:
            counts_at = place(event.ts_event, calendar)
            if counts_at is not None and counts_at >= time - rules.horizon_ms * 10**6:
                ticks.append(msgspec.structs.replace(event, ts_event=counts_at))
        elif isinstance(event, Clock):
            time = max(time, event.source_time)
    rows = []
    for interval in rules.intervals:
        buckets: dict[tuple[int, int], list[Trade]] = {}
        for tick in ticks:
            buckets.setdefault(bounds(interval, tick.ts_event, calendar), []).append(tick)
        for edges, found in sorted(buckets.items()):
            if edges[1] + rules.grace_ms * 10**6 > time:
                rows.append(row_of(instrument, interval, edges, found))
    return rows


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sessions())
def test_candles_in_progress_have_every_tick_so_far(events: list[Event]) -> None:
    for (seq, instrument), shown in progress(events).items():
        at = events[seq]
        assert isinstance(at, Clock)
        wanted = expected(events, at, instrument)
        found = [fields(candle) for candle in shown.candles]
        assert [{name: row[name] for name in row if name != "flags"} for row in found] == [
            {name: row[name] for name in row if name != "instrument"} for row in wanted
        ]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sessions(), st.data())
def test_a_restart_changes_nothing_that_is_told(events: list[Event], data: st.DataObject) -> None:
    whole = progress(events)
    cut = data.draw(st.integers(1, len(events) - 1))
    first, second = Engine(progress_ms=0), Engine(progress_ms=0)
    told = progress(events[:cut], first)
    saved = {key: value for key, value in Snapshots().changes(first) if value is not None}
    Snapshots().restore(second, saved)
    told |= progress(events[cut:], second)

    assert told == whole


def test_progress_is_told_at_clocks_as_often_as_wanted_and_taken_back_at_the_end() -> None:
    events = numbered(
        start(), trade(0.1), clock(0.25), trade(0.3), clock(0.5), trade(1.1), clock(1.25), end(9)
    )

    out = Engine(progress_ms=1_000).fold(records(events))

    told = [value and msgspec.json.decode(value)["source_time"] for _, value in out.progress]
    assert len(told) == 3
    assert told[0] == events[2].source_time  # type: ignore[attr-defined]
    assert told[1] == events[6].source_time  # type: ignore[attr-defined]
    assert told[2] is None


def test_an_instrument_at_rest_is_told_once_more_and_windows_move_on() -> None:
    rules = msgspec.structs.replace(RULES, intervals=("1s",), windows=("1m",))
    clocks = [clock(second) for second in range(1, 80)]

    told = progress(numbered(start(rules=rules), trade(0.5), *clocks))

    counts = [window.trades_count for shown in told.values() for window in shown.windows]
    assert counts == [1] * 60
    last = told[max(told)]
    assert (last.candles, last.windows) == ((), ())


def test_windows_say_what_they_lack() -> None:
    rules = msgspec.structs.replace(RULES, windows=("1m", "1h"))
    events = numbered(
        start(rules=rules),
        *(event for second in range(90) for event in (trade(second), clock(second))),
        gap(80, 85),
        clock(95),
    )

    shown = max(progress(events).items())[1]

    assert [(window.interval, window.flags) for window in shown.windows] == [
        ("1m", ("gap",)),
        ("1h", ("partial",)),
    ]
    assert set(WINDOWS) > {window.interval for window in shown.windows}
