"""The rules of candles, one by one."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from builders import RULES, at, clock, end, gap, numbered, records, start, trade
from schemas.codec import candle_decoder
from schemas.events import Status
from streams.candles.engine import Engine
from streams.candles.snapshot import Snapshots
from streams_builders import candles_in, fold


def test_nothing_is_emitted_by_ticks_alone() -> None:
    events = numbered(start(), *(trade(second) for second in range(1000)))

    assert fold(events) == []


def test_a_candle_closes_once_at_the_first_clock_past_the_grace() -> None:
    events = numbered(start(), trade(0.5), clock(2.9), clock(3.0), clock(3.25), clock(60))

    assert [(c.interval, c.seq) for c in fold(events)] == [("1s", 3)]


def test_a_late_tick_revises_every_interval_once_at_the_next_clock() -> None:
    events = numbered(
        start(), trade(0.5), clock(400), trade(0.6, 99.0), trade(0.7, 98.0), clock(400.25), end(401)
    )

    revised = [(c.interval, c.low, c.trades_count) for c in fold(events) if c.revision == 1]

    assert revised == [("1s", 98.0, 3), ("1m", 98.0, 3), ("5m", 98.0, 3)]


def test_a_tick_beyond_the_horizon_is_folded_nowhere_and_named() -> None:
    engine = Engine()

    out = engine.fold(records(numbered(start(), clock(700), trade(99.9), clock(701))))

    assert candles_in([value for _, value in out.candles]) == []
    assert b'"missed":{"1s":' in out.late[0][1]
    assert engine.sessions["sim-1"].ledger.late == 1


def test_a_tick_does_not_move_time() -> None:
    events = numbered(start(), trade(0.5), trade(4_000), trade(0.6), clock(1))

    assert fold(events) == []


def test_an_end_closes_what_is_open_and_marks_what_it_cut_short() -> None:
    events = numbered(start(), trade(0.5), end(1.0))

    assert {c.interval: c.flags for c in fold(events)} == {
        "1s": (),
        "1m": ("partial",),
        "5m": ("partial",),
    }


def test_a_gap_flags_the_candles_it_touches_even_those_closed_and_those_to_come() -> None:
    events = numbered(
        start(),
        trade(0.5),
        clock(10),
        gap(0.9, 30),
        clock(30),
        trade(29.5),
        trade(30.0),
        clock(33),
    )

    flags = {(c.ts_open, c.revision): c.flags for c in fold(events) if c.interval == "1s"}

    assert flags == {
        (at(0), 0): (),
        (at(0), 1): ("gap",),
        (at(29), 0): ("gap",),
        (at(30), 0): (),
    }


def test_a_repeated_tick_counts_once() -> None:
    events = numbered(start(), trade(0.5), trade(0.6), end(1))
    again = [events[0], events[1], events[1], events[2], events[2], events[1], events[3]]

    assert [c.trades_count for c in fold(again)] == [2, 2, 2]


def test_a_start_of_a_higher_epoch_begins_anew_and_the_old_publisher_is_not_heard() -> None:
    old = numbered(start(), trade(0.5, 1.0), trade(0.6, 1.0))
    new = numbered(start(epoch=2), trade(0.5, 2.0, epoch=2), end(300, epoch=2))
    events = [*old[:2], *new[:2], old[2], new[2]]

    assert [(c.epoch, c.high, c.trades_count) for c in fold(events)] == [(2, 2.0, 1)] * 3


def test_a_session_taken_over_is_ended_by_its_successor() -> None:
    events = numbered(start(), trade(0.5), clock(0.75))
    last = end(0, epoch=2, seq=2**52 + 2, state="failed")
    last.source_time = 0

    found = fold([*events, last])

    assert {c.flags for c in found} == {("partial",)}
    assert len(found) == 3


def test_a_tick_out_of_hours_is_in_no_candle_and_in_the_ledger() -> None:
    rules = msgspec.structs.replace(RULES, calendars={"SIM": "XNYS"})
    opens = int(datetime(2026, 3, 9, 13, 30, tzinfo=UTC).timestamp()) * 10**9
    times = [opens - 10**9, opens, opens + 6 * 3600 * 10**9, opens + 7 * 3600 * 10**9]
    ticks = [trade(ts_event=ts) for ts in times]
    engine = Engine()

    found = fold(numbered(start(rules=rules), *ticks, end(0, source_time=times[-1])), engine)

    assert sum(c.trades_count for c in found if c.interval == "5m") == 2
    ledger = engine.sessions["sim-1"].ledger
    assert (ledger.folded, ledger.outside, ledger.seen) == (2, 2, 4)


def test_control_events_are_forwarded_as_they_came_after_the_candles_they_closed() -> None:
    status = Status(session="sim-1", epoch=1, seq=0, source_time=at(9))
    log = records(numbered(start(), trade(0.5), clock(9), status, end(10)))

    values = [value for _, value in Engine().fold(log).candles]

    kinds = [candle_decoder.decode(value).__struct_config__.tag for value in values]
    assert kinds == ["start", "candle", "clock", "status", "candle", "candle", "end"]
    assert [log[0].value, log[2].value, log[3].value, log[4].value] == [
        value for value, kind in zip(values, kinds, strict=True) if kind != "candle"
    ]


def test_ticks_that_the_publisher_counted_and_nobody_saw_are_reported_once() -> None:
    events = numbered(start(), trade(0.5), clock(1, counts=3), clock(2, counts=3))

    assert Engine().fold(records(events)).tally["missing", ""] == 2


def test_a_revision_that_waits_for_its_clock_survives_a_restart() -> None:
    events = numbered(start(), trade(0.5), clock(4), gap(0, 1), clock(5))
    before, after, saved = Engine(), Engine(), {}
    snapshots = Snapshots()
    for record in records(events)[:4]:
        before.fold([record])
        saved |= dict(snapshots.changes(before))
    Snapshots().restore(after, {key: value for key, value in saved.items() if value})

    out = after.fold(records(events)[4:])

    found = candles_in([value for _, value in out.candles])
    assert [(c.interval, c.revision, c.flags) for c in found] == [("1s", 1, ("gap",))]


def test_saved_state_shrinks_to_nothing_but_the_order_when_a_session_ends() -> None:
    engine, snapshots, saved = Engine(), Snapshots(), {}
    log = records(numbered(start(), *(trade(s) for s in range(90)), clock(80), end(90)))
    for number, record in enumerate(log):
        engine.fold([record])
        if number % 7 == 0 or record is log[-1]:
            saved |= dict(snapshots.changes(engine))
        if number == len(log) // 2:
            assert len([value for value in saved.values() if value]) >= 2

    assert [key for key, value in saved.items() if value] == [b'["session","sim-1"]']


def test_only_a_bounded_number_of_ended_sessions_is_remembered() -> None:
    engine = Engine(ended_sessions_max=3)
    for number in range(9):
        name = {"session": f"s{number}"}
        engine.fold(records(numbered(start(**name), trade(0.5, **name), end(1, **name))))

    assert list(engine.sessions) == ["s6", "s7", "s8"]


def test_records_that_expired_unread_are_a_gap_in_sessions_that_are_alive() -> None:
    engine = Engine()
    events = numbered(start(), trade(0.5), clock(0.6), trade(9.5), clock(12))
    engine.fold(records(events[:3]))

    engine.lose([])
    out = engine.fold(records(events[3:]))

    found = candles_in([value for _, value in out.candles])
    assert {(c.ts_open, c.flags) for c in found} == {(at(0), ("gap",)), (at(9), ("gap",))}
