"""The rules of candles, one by one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from builders import RULES, Record, at, clock, end, gap, numbered, records, start, trade
from schemas.codec import candle_decoder, encode
from schemas.events import Quote, Status
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


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "not an event"),
        (None, "empty"),
        (b"\xff\xfe\x00", "not an event"),
        (b"[" * 100_000, "not an event"),
        (b'{"type":"trade"}', "session"),
        (encode(trade()).replace(b"100.0", b"NaN"), "not an event"),
        (encode(trade()).replace(b"100.0", b"1e400"), "$.price"),
        (encode(trade()).replace(b"100.0", b"Infinity"), "not an event"),
        (encode(trade()).replace(b"100.0", b"-1"), "$.price"),
        (encode(trade()).replace(b"100.0", b"0"), "$.price"),
        (encode(trade()).replace(b"100.0", b"true"), "$.price"),
        (encode(trade()).replace(b"100.0", b'"1"'), "$.price"),
        (encode(trade(seq=7)).replace(b"100.0", b"0.1234567890123"), "too precise"),
        (encode(trade(seq=7, size=-1.0)), "$.size"),
        (encode(trade(ts_event=0)), "$.ts_event"),
        (encode(trade(ts_event=1_760_000_400_000_000)), "$.ts_event"),
        (encode(trade(ts_event=253_402_300_799 * 10**9)), "$.ts_event"),
        (encode(trade(instrument="A" * 1_000_000)), "$.instrument"),
        (encode(trade(seq=7, instrument="aaa sim")), "not an instrument"),
        (encode(trade(session="nobody")), "without start"),
        (encode(clock(5, session="nobody")), "without start"),
        (encode(Quote(session="sim-1", epoch=1, seq=7, instrument="AAA.SIM", ts_event=at(1),
                      ts_recv=at(1), bid_price=1.0, bid_size=1.0, ask_price=2.0, ask_size=1.0)),
         "not a trade"),
    ],
)  # fmt: skip
def test_a_bad_record_is_a_dead_letter_and_its_neighbours_are_unharmed(
    value: bytes | None, reason: str
) -> None:
    events = numbered(start(), trade(0.5), trade(0.6), end(1), first=5)
    events[2].seq, events[3].seq = 8, 9
    log = records(events)
    log.insert(2, Record(value, offset=77))

    out = Engine().fold(log)

    assert [(letter.offset, letter.value) for letter in out.dead] == [(77, value or b"")]
    assert reason in out.dead[0].reason
    assert [c.trades_count for c in candles_in([v for _, v in out.candles])] == [2, 2, 2]


def test_of_a_field_given_twice_the_last_one_counts() -> None:
    twice = encode(trade(0.5, seq=2, price=7.0)).replace(b'"price":7.0', b'"price":1,"price":7.0')

    out = Engine().fold([*records([start(seq=1)]), Record(twice), *records([end(1, seq=3)])])

    assert {c.open for c in candles_in([v for _, v in out.candles])} == {7.0}


def test_a_clock_that_runs_backwards_closes_and_opens_nothing() -> None:
    found = fold(
        numbered(start(), trade(0.5), clock(4), clock(1), clock(-3600), trade(3), clock(5))
    )

    assert [(c.interval, c.trades_count, c.revision) for c in found] == [("1s", 1, 0)]


def test_a_tick_from_the_far_future_closes_nothing_and_is_a_candle_of_its_own() -> None:
    far = trade(seq=2, ts_event=9_000_000_000 * 10**9)

    found = fold([start(seq=0), trade(0.5, seq=1), far, clock(1, seq=3), end(2, seq=4)])

    near = [c for c in found if c.ts_open < at(3600)]
    assert [c.trades_count for c in near] == [1, 1, 1]
    assert all(c.seq == 4 for c in found)
    assert {c.flags for c in found if c not in near} == {("partial",)}


@pytest.mark.parametrize(
    "rules",
    [
        {"intervals": ("7m",)},
        {"intervals": ()},
        {"calendars": {"SIM": "XXXX"}},
        {"windows": ("3m",)},
    ],
)
def test_a_start_with_rules_that_are_not_known_is_a_dead_letter(rules: dict[str, Any]) -> None:
    begin = start(rules=msgspec.structs.replace(RULES, **rules))

    out = Engine().fold(records(numbered(begin, trade(0.5))))

    assert [letter.reason.split(":")[0] for letter in out.dead] == [
        "start with rules that are not known",
        "tick of a session without start",
    ]


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


def test_data_after_the_end_is_a_dead_letter() -> None:
    out = Engine().fold(records(numbered(start(), trade(0.5), end(1), trade(1.5), clock(9))))

    assert ["after the end" in letter.reason for letter in out.dead] == [True, True]


def test_a_type_of_a_later_version_is_skipped() -> None:
    out = Engine().fold([Record(b'{"type":"weather","session":"sim-1"}')])

    assert not out.dead
    assert out.tally["dropped", "unknown type"] == 1


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
