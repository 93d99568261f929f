"""What is taken from a partition, what is passed over, and what is remembered of it."""

from __future__ import annotations

from itertools import chain

import pytest

from builders import Record, clock, end, gap, numbered, records, start, trade
from consumers.intake import Intake, Reading
from consumers.places import NOTE_BYTES_MAX, Places
from consumers_builders import book, candle
from schemas.codec import candle_decoder, encode, input_decoder
from schemas.events import Candle, Trade

RUN_MAX = 3
"""So that what is told of several events is told across runs too."""


def taken_from(raw, places=None, kind=Trade):
    decoder = candle_decoder if kind is Candle else input_decoder
    reading = Reading((kind,), decoder.decode, ordered=kind is not Candle, run_max=RUN_MAX)
    taken = Intake(reading, list, list)
    taken.take(("live.trades", 0), raw, places if places is not None else Places())
    return taken


def events_of(lot):
    return list(chain.from_iterable(lot.parts))


def seqs(taken):
    return [event.seq for event in events_of(taken.events)]


def test_trades_are_taken_and_control_events_are_none_of_them():
    taken = taken_from(records(numbered(start(), trade(), clock(1), trade(), end(2))))

    assert seqs(taken) == [1, 3]
    assert not taken.refused


def test_control_events_are_taken_too_each_beside_its_record():
    raw = records(numbered(start(), trade(), clock(1), gap(0, 1), end(2), clock(3)))

    taken = taken_from([raw[0], *raw])

    assert [event.seq for event in events_of(taken.controls)] == [0, 2, 3, 4]
    assert [record.offset for _, record in taken.controls.origins()] == [0, 2, 3, 4]


@pytest.mark.parametrize(
    "garbage",
    [None, b"", b"garbage", b"[]", b'{"type":"trade","seq":1}', b"\xff\xfe", b"[" * 100_000],
)
def test_a_garbled_record_is_refused_and_its_neighbours_are_unharmed(garbage):
    before, after = records(numbered(trade(), trade()))
    raw = [before, Record(garbage, offset=5), after]

    taken = taken_from(raw)

    assert seqs(taken) == [0, 1]
    assert [record.offset for (_, record), _ in taken.refused] == [5]
    assert taken.dropped["garbled"] == 1


def test_the_reason_names_the_field():
    value = encode(trade()).replace(b'"price":100.0', b'"price":"high"')

    ((_, reason),) = taken_from([Record(value)]).refused

    assert "$.price" in reason


def test_unknown_types_are_skipped():
    taken = taken_from([Record(b'{"type":"auction"}'), *records([trade()])])

    assert len(seqs(taken)) == 1
    assert not taken.refused
    assert taken.dropped["unknown_type"] == 1


def test_a_book_among_trades_is_refused():
    taken = taken_from(records([book()]))

    assert taken.refused
    assert not seqs(taken)


def test_what_was_here_before_or_comes_from_a_past_epoch_is_dropped():
    events = [trade(seq=1), trade(seq=1), trade(seq=2), trade(seq=9, epoch=0)]

    taken = taken_from(records(events))

    assert seqs(taken) == [1, 2]
    assert taken.dropped == {"duplicate": 1, "stale": 1}
    assert not taken.refused


def test_data_after_the_end_is_refused_until_the_session_starts_again():
    events = numbered(trade(), end(1), trade(), clock(2))
    again = [start(epoch=2, seq=0), trade(epoch=2, seq=1)]

    taken = taken_from(records([*events, *again]))

    assert [(event.epoch, event.seq) for event in events_of(taken.events)] == [(1, 0), (2, 1)]
    assert len(taken.refused) == 1
    assert taken.dropped["ended"] == 2


def test_a_retried_record_is_taken_although_its_session_has_moved_on():
    def retried(event):
        return Record(encode(event), headers=(("retried", b"7"),))

    events = [
        trade(seq=5),
        retried(trade(seq=3)),
        end(1, seq=6),
        retried(trade(seq=4)),
        trade(seq=7),
    ]
    raw = [event if isinstance(event, Record) else Record(encode(event)) for event in events]
    stale = [Record(encode(trade(epoch=2, seq=1))), retried(trade(epoch=1, seq=2))]

    taken = taken_from(raw)

    assert seqs(taken) == [5, 3, 4]
    assert taken.dropped == {"ended": 1}
    assert [event.epoch for event in events_of(taken_from(stale).events)] == [2]


def test_candles_of_one_control_event_and_their_repeats_are_all_taken():
    twice = [candle(seq=5), candle(1, seq=5), candle(seq=5)]

    assert len(taken_from(records(twice), kind=Candle).events.origins()) == 3


def test_a_note_brings_the_order_back():
    places = Places()
    taken_from(records(numbered(trade(), trade(session="b"), end(1))), places)

    restored = Places(places.note())
    taken = taken_from(records([trade(seq=3), trade(session="b", seq=1)]), restored)

    assert taken.dropped == {"ended": 1, "duplicate": 1}


@pytest.mark.parametrize("note", ["", "by hand", "[1]", '{"a":1}', "[[1,2,3,4]]"])
def test_a_note_of_somebody_else_counts_as_none(note):
    assert len(seqs(taken_from(records([trade()]), Places(note)))) == 1


def test_a_note_is_bounded_and_forgets_ended_sessions_first():
    places = Places()
    live = [trade(session=f"{'ж' * 10}-live-{i}", seq=2**62) for i in range(20)]
    over = [
        event
        for i in range(500)
        for event in (trade(session=f"o{i}"), end(0, session=f"o{i}", seq=1))
    ]
    taken_from(records([*live[:10], *over, *live[10:]]), places)

    note = places.note()

    assert len(note.encode()) <= NOTE_BYTES_MAX
    again = Places(note)
    assert taken_from(records(live), again).dropped == {"duplicate": 20}
    assert taken_from(records([trade(session="o499", seq=2)]), again).dropped == {"ended": 1}
    assert again.note() == note


def test_a_note_of_live_sessions_alone_is_bounded_too():
    places = Places()
    taken_from(records([trade(session=f"{i:064}") for i in range(1_000)]), places)

    assert len(places.note().encode()) <= NOTE_BYTES_MAX
