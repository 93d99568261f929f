"""The one order of what several partitions tell, whenever they tell it."""

from __future__ import annotations

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st
from msgspec import structs

from builders import SESSION, clock, end, gap, numbered, start, trade
from client_model import (
    BOOKS,
    CANDLES,
    INPUTS,
    MARKETS,
    SOURCES,
    TRADES,
    given,
    market_of,
    merge_of,
)
from consumers.client.merge import Merge
from consumers.client.place import Place
from consumers.client.wanted import Wanted
from consumers.places import Places
from consumers_builders import book, candle
from schemas.errors import SettingsError
from schemas.events import Book, Candle, Trade
from schemas.order import Order


def interleaved(data, partitions):
    """Draw an order in which records of partitions arrive; each keeps its own."""
    left = {source: list(enumerate(events)) for source, events in partitions.items() if events}
    while left:
        source = data.draw(st.sampled_from(sorted(left)))
        for _ in range(data.draw(st.integers(1, 4))):
            if left[source]:
                yield source, *left[source].pop(0)
        if not left[source]:
            del left[source]


@drawn(MARKETS, st.data())
def test_any_interleaving_of_arrivals_gives_the_same_order(market, data):
    merge, told = merge_of(), []
    for arrival in interleaved(data, market.partitions):
        merge.take(*arrival)
        told += given(merge)

    assert told == market.told


@drawn(MARKETS, st.data())
def test_what_is_emitted_again_after_a_crash_is_told_once(market, data):
    candles = market.partitions[CANDLES]
    back, at = sorted(data.draw(st.tuples(*[st.integers(0, len(candles))] * 2)))
    again = market.partitions | {CANDLES: [*candles[:at], *candles[back:]]}
    merge, told = merge_of(), []
    for arrival in interleaved(data, again):
        merge.take(*arrival)
        told += given(merge)

    assert told == market.told


@drawn(MARKETS, st.data())
def test_a_reader_that_stops_anywhere_goes_on_without_a_hole(market, data):
    merge, told = merge_of(), []
    stop = data.draw(st.integers(0, sum(map(len, market.partitions.values()))))
    read = dict.fromkeys(SOURCES, 0)
    for number, (source, offset, event) in enumerate(interleaved(data, market.partitions)):
        if number == stop:
            break
        merge.take(source, offset, event)
        read[source] = offset + 1
    wanted = data.draw(st.integers(0, 30))
    while len(told) < wanted and (event := merge.next()) is not None:
        told.append(event)
    # The last one may not have been worked on when the reader died.
    done = told[:-1] if len(told) == wanted else told

    resumed = merge_of()
    notes = {source: Places(merge.note(source)) for source in SOURCES}
    for session in {name for places in notes.values() for name in places.sessions()}:
        resumed.begin(session, {s: Place(places.order(session)) for s, places in notes.items()})
    rest = {}
    for source in SOURCES:
        first = merge.position(source)
        position = read[source] if first is None else first
        rest[source] = market.partitions[source][position:]
    again = []
    for source, _, event in interleaved(data, rest):
        resumed.take(source, 0, event)
        again += given(resumed)

    # What one control event closed, and itself, may come once more if it was not all worked on.
    assert again == market.told[len(market.told) - len(again) :]
    missing = market.told[len(done) :]
    assert again[len(again) - len(missing) :] == missing
    assert not [e for e in again[: len(again) - len(missing)] if e.seq != missing[0].seq]


def test_with_one_topic_nothing_waits():
    merge = Merge([TRADES], lambda event: True)
    for seq in range(3):
        merge.take(TRADES, seq, trade(seq=seq))
        assert [event.seq for event in given(merge)] == [seq]


def test_a_tick_waits_until_the_other_topics_have_passed_it():
    merge = Merge([BOOKS, TRADES], lambda event: True)
    merge.take(TRADES, 0, trade(seq=5))
    assert given(merge) == []

    merge.take(BOOKS, 0, clock(1, seq=6))
    assert [event.seq for event in given(merge)] == [5]


def test_a_new_epoch_tells_the_session_anew_and_the_old_one_nothing_more():
    merge = Merge([TRADES], lambda event: True)
    for event in (start(), trade(seq=1), start(epoch=2), trade(seq=2), trade(seq=1, epoch=2)):
        merge.take(TRADES, 0, event)

    assert [(event.epoch, event.seq) for event in given(merge)] == [(1, 0), (1, 1), (2, 0), (2, 1)]


def test_candles_of_a_session_that_had_ended_on_the_inputs_are_told():
    merge = merge_of(INPUTS)
    merge.take(CANDLES, 0, candle(0, seq=9))
    merge.take(CANDLES, 1, end(10, seq=9))

    assert [type(event) is Candle for event in given(merge)] == [False, True]


def test_a_source_that_others_wait_for_is_read_on_though_one_is_full():
    merge = Merge([BOOKS, TRADES], lambda event: True)
    for seq in range(10):
        merge.take(TRADES, seq, trade(seq=seq))

    assert merge.full(10) == {TRADES}
    merge.take(BOOKS, 0, book(seq=20))
    assert [event.seq for event in given(merge)] == list(range(10))
    assert merge.full(10) == set()


def test_topics_that_wait_for_each_other_are_an_error_that_says_so():
    merge = Merge([BOOKS, TRADES], lambda event: True)
    for seq in range(10):
        merge.take(TRADES, seq, trade(seq=seq, session="a"))
        merge.take(BOOKS, seq, book(seq=seq, session="b"))

    with pytest.raises(SettingsError, match="events_max"):
        merge.full(10)


def test_events_that_were_given_are_not_kept():
    merge = Merge([BOOKS, TRADES], lambda event: True)
    merge.take(TRADES, 0, trade(seq=1, session="stuck"))
    for seq in range(10_000):
        merge.take(TRADES, seq + 1, trade(seq=seq))
        merge.take(BOOKS, seq, clock(1, seq=seq))
        given(merge)

    assert len(merge._unread[TRADES]) < 2_000
    assert merge.position(TRADES) == 0


def test_sessions_that_are_over_are_forgotten():
    merge = Merge(SOURCES, lambda event: True)
    for number in range(2_500):
        market = market_of([], f"s{number}")
        for source, events in market.partitions.items():
            for event in events:
                merge.take(source, 0, event)
        assert given(merge) == market.told

    assert len(merge._sessions) <= 1_000


def test_gaps_of_others_are_told_neither_by_the_store_nor_by_a_topic():
    wanted = Wanted.of("AAA.SIM", "trades", gaps=True)
    merge = Merge([TRADES], wanted.__contains__)
    merge.begin("sim-1", {TRADES: Place(Order(1, 3))})
    others = [
        gap(0, 1, seq=1, instruments=("BBB.SIM",)),
        gap(0, 1, seq=2, topics=("books",)),
        clock(1, seq=3),
    ]
    for event in others:
        merge.recall(TRADES, event)
    for event in numbered(*others, gap(1, 2, instruments=("AAA.SIM",)), first=4):
        merge.take(TRADES, 0, event)

    assert [event.seq for event in given(merge)] == [7]


def test_a_candle_that_was_stored_before_its_topic_was_noted_is_told_once():
    merge = Merge([CANDLES], lambda event: True)
    merge.begin(SESSION, {CANDLES: Place()})
    first, second = candle(0, seq=3), candle(1, seq=5)
    merge.recall(CANDLES, structs.replace(first, epoch=0))

    for event in (start(), first, clock(1, seq=3), second, clock(2, seq=5)):
        merge.take(CANDLES, 0, event)

    told = [event.seq for event in given(merge) if isinstance(event, Candle)]
    assert told == [3, 5]


def test_what_one_topic_had_stored_beyond_another_is_told_in_its_place():
    events = numbered(*(one(n / 10) for n in range(1, 7) for one in (trade, book)), clock(1))
    trades, books = ([e for e in events if type(e) is kind] for kind in (Trade, Book))
    merge = merge_of()
    stored = {TRADES: trades[:5], BOOKS: books[:2]}
    last = {source: Order(0, some[-1].seq) for source, some in stored.items()}
    places = {name: Place(last.get(name), foreign=name in last) for name in SOURCES}
    merge.begin(SESSION, places)
    for seq, source in sorted((e.seq, name) for name, some in stored.items() for e in some):
        merge.recall(source, structs.replace(events[seq], epoch=0))
    told = given(merge)

    for source, come in ((BOOKS, books[2:]), (TRADES, trades[5:])):
        for event in come:
            merge.take(source, event.seq, event)
    for source in SOURCES:
        merge.take(source, 99, events[-1])
    told += given(merge)

    assert [event.seq for event in told] == [event.seq for event in events[: len(told)]]
    assert {type(event) for event in told} >= {Trade, Book}
    assert len(told) >= len(trades) + len(books)
