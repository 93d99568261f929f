"""Bars told where nothing was traded."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders import RULES, at, clock, end, gap, numbered, records, start, trade
from consumers.store.fill import fill
from schemas.calendars import calendar_of
from schemas.codec import candle_decoder
from schemas.events import Candle, Event, FilledBar, FillPolicy, Start
from streams.candles.engine import Engine
from streams.candles.snapshot import Snapshots
from test_streams_determinism import sessions

PRICES = ("open", "high", "low", "close")


def told(events: list[Event], engine: Engine | None = None) -> list[Candle | FilledBar]:
    out = (engine or Engine()).fold(records(events))
    found = [candle_decoder.decode(value) for _, value in out.candles]
    return [event for event in found if isinstance(event, Candle | FilledBar)]


def rules(policy: FillPolicy, **fields: Any) -> Any:
    return msgspec.structs.replace(RULES, fill=policy, **fields)


def bars(
    events: list[Candle | FilledBar], interval: str
) -> list[tuple[float, Any, tuple[str, ...]]]:
    return [
        ((event.ts_open - at(0)) / 1e9, event.close, event.flags)
        for event in events
        if isinstance(event, FilledBar) and event.interval == interval
    ]


def test_nothing_is_filled_unless_asked_for() -> None:
    events = numbered(start(), trade(0.5), clock(90), trade(91), end(200))

    assert not any(isinstance(event, FilledBar) for event in told(events))


@pytest.mark.parametrize(("policy", "close"), [("previous", 100.0), ("null", None)])
def test_a_quiet_market_is_told_at_its_clocks(policy: FillPolicy, close: float | None) -> None:
    events = [start(rules=rules(policy, intervals=("1s",))), trade(0.5, price=100.0)]

    found = told(numbered(*events, clock(4), clock(6), clock(6.5)))

    assert bars(found, "1s") == [(second, close, ("filled",)) for second in (1, 2, 3)]


def test_a_line_is_drawn_when_its_end_is_known() -> None:
    begin = start(rules=rules("linear", intervals=("1s",)))
    events = numbered(begin, trade(0.5, price=100.0), clock(9), trade(4.5, price=104.0), clock(12))

    assert bars(told(events), "1s") == [
        (1, 101.0, ("filled",)),
        (2, 102.0, ("filled",)),
        (3, 103.0, ("filled",)),
    ]


def test_a_bar_in_a_gap_says_so() -> None:
    begin = start(rules=rules("previous", intervals=("1s",)))

    found = told(numbered(begin, trade(0.5), gap(2, 3), clock(6)))

    assert [flags for _, _, flags in bars(found, "1s")] == [
        ("filled",),
        ("gap", "filled"),
        ("filled",),
    ]


def test_a_late_tick_makes_a_candle_in_the_place_of_a_bar() -> None:
    begin = start(rules=rules("previous", intervals=("1s",)))

    found = told(numbered(begin, trade(0.5), clock(6), trade(2.5), clock(8)))

    places = [(type(event), (event.ts_open - at(0)) // 10**9) for event in found]
    assert places == [
        (Candle, 0),
        *((FilledBar, second) for second in (1, 2, 3)),
        (Candle, 2),
        *((FilledBar, second) for second in (4, 5)),
    ]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sessions(), st.sampled_from(["previous", "null", "linear"]), st.data())
def test_bars_between_candles_are_those_of_a_question_and_no_restart_changes_one(
    events: list[Event], policy: FillPolicy, data: st.DataObject
) -> None:
    begin = events[0]
    assert isinstance(begin, Start)
    # The finest would be thousands of bars a quiet hour.
    begin.rules = msgspec.structs.replace(begin.rules, fill=policy, intervals=("5m", "1h"))
    whole = told(events)
    cut = data.draw(st.integers(1, len(events) - 1))
    first, second = Engine(), Engine()
    before = told(events[:cut], first)
    saved = {key: value for key, value in Snapshots().changes(first) if value is not None}
    Snapshots().restore(second, saved)

    assert before + told(events[cut:], second) == whole

    calendar = calendar_of(begin.rules.calendars.get("SIM", "24/7"), begin.source_time)
    for place in {(event.instrument, event.interval) for event in whole}:
        mine = [e for e in whole if (e.instrument, e.interval) == place]
        filled = [e for e in mine if isinstance(e, FilledBar)]
        candles = [e for e in mine if isinstance(e, Candle)]
        opens = [e.ts_open for e in candles]
        late = {e.ts_open for e in filled} & set(opens)
        if opens == sorted(opens) and not late and not any(e.revision for e in candles):
            rows = [msgspec.to_builtins(e) for e in candles]
            until = max((e.ts_close for e in filled), default=None)
            asked = {
                row["ts_open"]: [row[name] for name in PRICES]
                for row in fill(rows, policy, calendar, until=until)
                if "filled" in row["flags"]
            }
            assert {e.ts_open: [getattr(e, n) for n in PRICES] for e in filled} == asked
