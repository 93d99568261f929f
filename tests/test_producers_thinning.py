"""Of many books in a moment the newest is told, and none is forgotten."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from consumers_builders import book
from producers.feed import Elapsed, Lost
from producers.order_books.thinning import Thinning
from schemas.events import NS_PER_MS, Book

INTERVAL_NS = 100 * NS_PER_MS


def at(ms, name="AAA.SIM"):
    one = book(instrument=name, update_id=ms * NS_PER_MS)
    one.ts_recv = ms * NS_PER_MS
    return one


def told(*observations):
    thinning = Thinning(INTERVAL_NS)
    found = [o for each in observations for o in thinning.of([each])]
    return [(o.ts_recv // NS_PER_MS, o.update_id // NS_PER_MS) for o in found if type(o) is Book]


def elapsed(ms):
    return Elapsed(ts_recv=ms * NS_PER_MS)


def test_a_book_after_a_while_is_told_at_once():
    assert told(at(0), at(100), at(350)) == [(0, 0), (100, 100), (350, 350)]


def test_of_those_that_come_too_soon_the_newest_is_told_when_it_is_due():
    assert told(at(0), at(30), at(60), elapsed(99), elapsed(130)) == [(0, 0), (100, 60)]


def test_instruments_do_not_wait_for_each_other():
    assert told(at(0), at(10, "B.SIM"), at(20), at(30, "B.SIM"), elapsed(115)) == [
        (0, 0),
        (10, 10),
        (100, 20),
        (110, 30),
    ]


def test_the_last_book_before_a_loss_is_told_before_it():
    thinning = Thinning(INTERVAL_NS)
    lost = Lost(ts_recv=70 * NS_PER_MS, reason="gone")

    found = thinning.of([at(0), at(30), lost])

    assert [type(o) for o in found] == [Book, Book, Lost]
    assert found[1].ts_recv == lost.ts_recv


@given(st.lists(st.tuples(st.integers(0, 60), st.sampled_from("AB"))))
def test_every_state_that_lasts_is_told_once_in_order_and_never_too_often(steps):
    ms, given_books = 0, []
    for step, name in steps:
        ms += step
        given_books.append(at(ms, f"{name}.SIM"))
    thinning = Thinning(INTERVAL_NS)
    found = [o for one in given_books for o in thinning.of([structs.replace(one)])]
    found += thinning.rest(ms * NS_PER_MS)

    assert [o.ts_recv for o in found] == sorted(o.ts_recv for o in found)
    for name in ("A.SIM", "B.SIM"):
        own = [o for o in found if o.instrument == name]
        made = [o for o in given_books if o.instrument == name]
        times = [o.ts_recv for o in own[:-1]]
        assert all(b - a >= INTERVAL_NS for a, b in pairwise(times))
        assert [o.update_id for o in own][-1:] == [o.update_id for o in made][-1:]
        ends = [*(o.update_id for o in made[1:]), None]
        lasting = {
            one.update_id
            for one, end in zip(made, ends, strict=False)
            if end is not None and end - one.update_id >= INTERVAL_NS
        }
        assert lasting <= {o.update_id for o in own}
