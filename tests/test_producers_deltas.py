"""Who applies the changes of a book has every book that was seen."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers_builders import book
from producers.feed import Lost, Restored
from producers.feeds.recorded import RecordedFeed
from producers.live.mending import OF_TRADES
from producers.losses import OF_BOOKS
from producers.order_books.deltas import Deltas
from schemas.events import NS_PER_S, Book

CAPTURES = Path(__file__).parents[2] / "shared/data/exchange_ws"
LONG_NS = 10**6 * NS_PER_S
sizes = st.floats(0.001, 9, allow_nan=False).map(lambda size: round(size, 3))
bid_sides = st.dictionaries(st.integers(1, 50), sizes, max_size=6)
ask_sides = st.dictionaries(st.integers(51, 99), sizes, max_size=6)


def applied(told):
    """Yield the book as it is after each that is told."""
    sides = {}
    for one in told:
        known = ({}, {}) if one.snapshot else sides[one.instrument]
        sides[one.instrument] = known
        for side, levels in zip(known, (one.bids, one.asks), strict=True):
            for price, size in levels:
                side[price] = size
                if not size:
                    del side[price]
        yield one.instrument, sorted(known[0].items(), reverse=True), sorted(known[1].items())


def changed(books):
    """Yield each book that is not as it was before."""
    newest = {}
    for one in books:
        if newest.get(one.instrument) != (one.bids, one.asks):
            newest[one.instrument] = one.bids, one.asks
            yield one.instrument, one.bids, one.asks


def levels(side, *, best_last):
    return [(float(price), side[price]) for price in sorted(side, reverse=best_last)]


@given(st.lists(st.tuples(st.sampled_from("AB"), bid_sides, ask_sides)))
def test_changes_give_back_every_book(made):
    books = [
        book(instrument=name, bids=levels(bids, best_last=True), asks=levels(asks, best_last=False))
        for name, bids, asks in made
    ]

    told = Deltas(LONG_NS).of(books)

    assert list(applied(told)) == list(changed(books))
    for one in told:
        assert one.bids == sorted(one.bids, reverse=True)
        assert one.asks == sorted(one.asks)


def test_all_levels_come_anew_after_a_while():
    told = Deltas(10 * NS_PER_S).of([book(second, bids=[(9.0, second)]) for second in range(1, 25)])

    assert [one.ts_recv // NS_PER_S % 100 for one in told if one.snapshot] == [
        book(second).ts_recv // NS_PER_S % 100 for second in (1, 11, 21)
    ]


@pytest.mark.parametrize("kind", [Lost, Restored])
@pytest.mark.parametrize(
    ("fields", "anew"),
    [
        ({}, "AB"),
        ({"topics": OF_BOOKS}, "AB"),
        ({"topics": OF_BOOKS, "instruments": ("A",)}, "A"),
        ({"topics": OF_TRADES}, ""),
        ({"instruments": ("C",)}, ""),
    ],
)
def test_all_levels_come_anew_after_a_loss_that_books_may_be_of(kind, fields, anew):
    loss = kind(ts_recv=1, reason="gone", **fields)
    before = [book(instrument=name) for name in "AB"]
    after = [book(1, instrument=name, bids=[(98.0, 1.0)]) for name in "AB"]

    told = [o for o in Deltas(LONG_NS).of([*before, loss, *after]) if isinstance(o, Book)]

    assert "".join(one.instrument for one in told[2:] if one.snapshot) == anew


def test_a_book_that_will_be_refused_is_told_whole_and_nothing_is_held_against_it():
    good, crossed = book(0), book(1, bids=[(102.0, 1.0)])
    after = book(2, bids=[(99.0, 1.0), (98.0, 4.0)])

    told = Deltas(LONG_NS).of([good, crossed, after])

    assert [one.snapshot for one in told] == [True, True, False]
    assert (told[2].bids, told[2].asks) == ([(98.0, 4.0)], [])


@pytest.mark.skipif(not CAPTURES.is_dir(), reason="recorded market data is not here")
@pytest.mark.parametrize(
    ("file", "venue"), [("KRAKEN.ws.50.0.gz", "KRAKEN"), ("COINBASE.ws.28.0.gz", "COINBASE")]
)
async def test_a_recorded_market_is_the_same_by_its_changes_at_less_than_half_the_levels(
    file, venue
):
    feed = RecordedFeed([CAPTURES / file], venue)
    books = [o async for batch in feed.observations() for o in batch if isinstance(o, Book)]

    told = Deltas(LONG_NS).of(books)

    assert list(applied(told)) == list(changed(books))
    assert levels_of(told) * 2 < levels_of(books)


def levels_of(books):
    return sum(len(one.bids) + len(one.asks) for one in books)
