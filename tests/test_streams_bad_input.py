"""What is wrong with an event has one fate each, and harms none of its neighbours."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from builders import RULES, Record, at, clock, end, numbered, records, start, trade
from schemas.codec import encode
from schemas.events import Quote
from streams.candles.engine import Engine
from streams_builders import candles_in, fold


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


def test_what_was_late_stays_late_after_a_clock_that_runs_backwards() -> None:
    out = Engine().fold(records(numbered(start(), clock(4_000), clock(1), trade(0.5), end(4_000))))

    assert len(out.late) == 1
    assert candles_in([value for _, value in out.candles]) == []


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


def test_data_after_the_end_is_a_dead_letter() -> None:
    out = Engine().fold(records(numbered(start(), trade(0.5), end(1), trade(1.5), clock(9))))

    assert ["after the end" in letter.reason for letter in out.dead] == [True, True]


def test_a_type_of_a_later_version_is_skipped() -> None:
    out = Engine().fold([Record(b'{"type":"weather","session":"sim-1"}')])

    assert not out.dead
    assert out.tally["dropped", "unknown type"] == 1
