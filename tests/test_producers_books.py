"""The levels of a book, and what is told of one that may be wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.feed import Lost, Restored
from producers.order_books.book_builder import BookBuilder, Outcome, Update
from producers.order_books.books import Books, Change
from producers.order_books.order_book import LEVELS_MAX, OrderBook
from producers.venue_times import iso_ns, seconds_ns
from schemas.errors import DataError
from schemas.events import Book


@pytest.mark.parametrize("level", [("nan", 1), (1.0, float("inf")), (-1.0, 1.0), (0.0, 1.0)])
def test_a_level_that_is_none_breaks_the_book_until_it_is_rebuilt(level):
    books = Books(10)

    def told(bids, *, fresh=False):
        change = Change(instrument="A.X", ts_event=1, ts_recv=2, bids=bids, asks=[], fresh=fresh)
        return [type(o) for o in books.change(change)]

    assert told([(1.0, 1.0)], fresh=True) == [Book]
    assert told([level]) == [Lost]
    assert books.broken == {"A.X"}
    assert told([(2.0, 1.0)]) == []
    assert told([(3.0, 1.0)], fresh=True) == [Restored, Book]
    assert not books.broken


def test_a_chain_with_a_level_that_is_none_is_broken_until_the_next_snapshot():
    book = BookBuilder()
    book.reset(1, [(1.0, 1.0)], [])

    assert book.apply(Update(1, 2, 0, [(2.0, 1.0), (float("nan"), 1.0)], [])) is Outcome.BROKEN
    assert book.apply(Update(2, 3, 0, [(3.0, 1.0)], [])) is Outcome.WAITING
    with pytest.raises(DataError):
        book.reset(5, [(float("inf"), 1.0)], [])
    assert not book.synced
    book.reset(5, [(4.0, 1.0)], [])
    assert book.apply(Update(5, 6, 0, [(5.0, 1.0)], [])) is Outcome.APPLIED
    assert book.top(9) == ([(5.0, 1.0), (4.0, 1.0)], [])


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 3)), max_size=60), st.integers(1, 12))
def test_a_book_holds_the_last_size_of_each_price(changes, depth):
    book, plain = OrderBook(), {}
    for price, size in changes:
        book.apply([(price, size)], [(price, size)])
        plain[price] = size

    left = sorted((price, size) for price, size in plain.items() if size)
    assert book.top(depth) == (left[::-1][:depth], left[:depth])


def test_a_book_does_not_grow_without_end():
    book = OrderBook()
    book.apply([(price, 1) for price in range(1, LEVELS_MAX + 2)], [])

    assert book.top(LEVELS_MAX)[0][0] == (LEVELS_MAX + 1, 1)
    assert len(book.top(2 * LEVELS_MAX)[0]) == LEVELS_MAX // 2


def test_times_are_exact_to_the_nanosecond():
    assert seconds_ns("1618678135.000922") == 1_618_678_135_000_922_000
    assert iso_ns("2021-04-17T16:43:37.234123456Z") == 1_618_677_817_234_123_456
    for wrong in (
        "",
        "1e9",
        "-1",
        "2021-04-17",
        "2021-02-30T00:00:00Z",
        "2021-04-17T16:43:37+02:00",
    ):
        with pytest.raises(DataError):
            iso_ns(wrong)
