"""History and topics put together, wherever the store had come to."""

from __future__ import annotations

from collections import Counter

from hypothesis import given as drawn
from hypothesis import strategies as st
from msgspec.structs import replace

from builders import SESSION, records
from client_model import (
    CANDLES,
    INPUTS,
    MARKETS,
    OTHERS,
    SOURCES,
    TRADES,
    given,
    market_of,
    merge_of,
    noted,
)
from consumers.client.seam import Known, behind, places_of
from consumers.intake import Intake, Reading
from consumers.places import Places
from schemas.codec import candle_decoder
from schemas.events import Candle, Control
from schemas.order import candle_place


def cuts(data, market):
    """Draw up to where each partition is committed, stored, and its control events are stored."""
    committed, stored, told = {}, {}, {}
    for source, events in market.partitions.items():
        committed[source] = data.draw(st.integers(0, len(events)))
        stored[source] = data.draw(st.integers(committed[source], len(events)))
        told[source] = data.draw(st.integers(committed[source], stored[source]))
    return committed, stored, told


def rows(market, stored, told):
    """Return what the store holds, in order, without epochs; controls come with trades."""
    found = {}
    for source, end in stored.items():
        for event in market.partitions[source][:end]:
            if not isinstance(event, Control):
                place = (1, candle_place(event)) if isinstance(event, Candle) else (0,)
                found[event.seq, place] = source, event
        for event in market.partitions[source][: told[source]]:
            if isinstance(event, Control) and source in (TRADES, OTHERS):
                found[event.seq, (0,)] = SOURCES[0], event
    return [(source, replace(event, epoch=0)) for _, (source, event) in sorted(found.items())]


def subscribed(market, committed, stored, told_until, notes, known):
    last = {
        source: max(seqs)
        for source, end in stored.items()
        if (seqs := [e.seq for e in market.partitions[source][:end] if not isinstance(e, Control)])
    }
    merge, told = merge_of(), []
    merge.begin(SESSION, places_of(SESSION, known, notes, last, {CANDLES}))
    for source, event in rows(market, stored, told_until):
        merge.recall(source, event)
        told += given(merge)
    for source in SOURCES:
        for event in market.partitions[source][committed[source] :]:
            merge.take(source, 0, event)
            told += given(merge)
    return [replace(event, epoch=1) for event in told]


@drawn(MARKETS, st.data())
def test_any_cut_gives_everything_once_and_in_order(market, data):
    cut = committed, _, _ = cuts(data, market)
    notes = {s: noted(events[: committed[s]]) for s, events in market.partitions.items()}
    if behind(SOURCES, (TRADES, OTHERS), notes, [SESSION]):
        return  # then it is waited until the store has come further
    known = data.draw(st.sampled_from([None, Known()]))

    told = subscribed(market, *cut, notes, known)

    assert Counter(map(repr, told)) == Counter(map(repr, market.told))
    if all(committed.values()):  # otherwise one may be of another namespace: it waits for nobody
        assert told == market.told


@drawn(MARKETS, st.data())
def test_a_session_that_no_note_knows_is_given_once_too(market, data):
    cut = cuts(data, market)
    notes = {source: Places() for source in SOURCES}
    known = data.draw(st.sampled_from([Known(ended=True), Known(silent=True), Known()]))

    told = subscribed(market, *cut, notes, known)

    assert Counter(map(repr, told)) == Counter(map(repr, market.told))


@drawn(MARKETS, st.sets(st.sampled_from(SOURCES)))
def test_of_a_session_that_has_ended_all_is_history(market, forgotten):
    everything = {source: len(events) for source, events in market.partitions.items()}
    notes = {
        source: Places() if source in forgotten else noted(events)
        for source, events in market.partitions.items()
    }

    told = subscribed(market, everything, everything, everything, notes, Known(ended=True))

    assert told == market.told


def test_the_store_remembers_how_far_the_candles_had_come():
    market = market_of(["1", "3", "trade", "gap"])
    records_of = records(market.partitions[CANDLES])
    reading = Reading((Candle,), candle_decoder.decode, ordered=False)
    places = Places()

    Intake(reading, list, list).take(CANDLES, records_of, places)
    again = Places(places.note())
    Intake(reading, list, list).take(CANDLES, records_of[:4], again)

    order = again.order(SESSION)
    assert (order.epoch, order.seq, order.ended) == (1, market.told[-1].seq, True)


def test_control_events_are_behind_if_trades_are_read_less_far():
    notes = {source: Places() for source in SOURCES}
    for source in INPUTS:
        order = notes[source].order(SESSION)
        order.epoch, order.seq = 1, 5 if source in (TRADES, OTHERS) else 9

    assert behind([s for s in INPUTS if s[0] == "live.books"], [TRADES, OTHERS], notes, [SESSION])
    assert not behind(INPUTS, [TRADES, OTHERS], notes, [SESSION])
