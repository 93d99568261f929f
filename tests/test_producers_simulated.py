"""The simulated market: seeded, and as bad as it is asked to be."""

from __future__ import annotations

from itertools import pairwise

import pytest

from builders import T0
from producers.feed import Elapsed, Lost, Restored
from producers.feeds.simulated import SimulatedFeed, market
from producers.ticks import TickCheck
from producers_builders import events, recorded
from schemas.events import NS_PER_MS, Book, Gap, Trade
from schemas.sections import Simulated

BAD = {
    "late_share": 0.02,
    "duplicate_share": 0.05,
    "out_of_order_share": 0.05,
    "disconnect_every_s": 3,
}


def some(**settings):
    usual = {"rate": 500, "duration_s": 10, "instruments": 3}
    return list(market(Simulated(**usual | settings), T0))


def trades_of(observations):
    return [o for o in observations if isinstance(o, Trade)]


@pytest.mark.parametrize("settings", [{}, BAD, {"seed": 7, "burst_share": 1.0}])
def test_the_same_seed_and_start_give_the_same_market(settings):
    assert some(**settings) == some(**settings)


def test_another_seed_gives_another_market():
    assert some(seed=1) != some(seed=2)


@pytest.mark.parametrize("settings", [{}, BAD])
def test_receive_time_never_falls(settings):
    assert all(a.ts_recv <= b.ts_recv for a, b in pairwise(some(**settings)))


@pytest.mark.parametrize("rate", [1, 200, 5_000])
def test_the_rate_is_kept_on_average(rate):
    duration_s = 20 if rate > 1 else 400

    count = len(trades_of(some(rate=rate, duration_s=duration_s)))

    assert count == pytest.approx(rate * duration_s, rel=0.25)


def test_every_tick_is_exact_and_no_book_crosses():
    check = TickCheck().of
    for observation in some(**BAD, book_levels=20, instruments=8):
        if isinstance(observation, Trade | Book):
            check[type(observation)](observation)
        if isinstance(observation, Book):
            assert len(observation.bids) == len(observation.asks) == 20


def test_time_elapses_in_a_quiet_market():
    quiet = [o for o in some(rate=1, duration_s=20) if isinstance(o, Elapsed)]

    assert all(b.ts_recv - a.ts_recv <= 250 * NS_PER_MS for a, b in pairwise(quiet))
    assert len(quiet) > 100


def test_duplicates_have_the_same_id_and_are_published_once():
    observations = some(duplicate_share=0.2)

    ids = [(t.instrument, t.trade_id) for t in trades_of(observations)]
    published = [e for n in range(2) for e in events(recorded(observations), partition=n)]

    assert len(set(ids)) < len(ids)
    assert len([e for e in published if isinstance(e, Trade)]) == len(set(ids))


def test_late_and_disordered_ticks_come_after_their_time():
    observations = trades_of(some(late_share=0.1, late_ms_max=5_000))

    behind = [t.ts_recv - t.ts_event for t in observations]

    assert max(behind) > 1_000 * NS_PER_MS
    assert any(b.ts_event < a.ts_event for a, b in pairwise(observations))


def test_trades_are_really_missing_during_a_disconnection_and_the_gap_covers_them():
    whole = {(t.instrument, t.trade_id): t for t in trades_of(some(books_share=0))}
    observations = some(books_share=0, disconnect_every_s=3, disconnect_ms=1_500)
    kept = {(t.instrument, t.trade_id) for t in trades_of(observations)}
    gaps = [e for e in events(recorded(observations)) if isinstance(e, Gap)]

    missing = [t for name, t in whole.items() if name not in kept]

    assert len([o for o in observations if isinstance(o, Lost)]) == len(gaps) == 2
    assert len([o for o in observations if isinstance(o, Restored)]) == 2
    assert missing
    assert all(any(g.ts_from <= t.ts_event < g.ts_to for g in gaps) for t in missing)


async def test_a_live_feed_has_a_new_session_at_each_start_and_keeps_its_pace():
    settings = Simulated(rate=2_000, duration_s=0.5)
    feeds = [SimulatedFeed(settings) for _ in range(2)]

    batches = [batch async for batch in feeds[0].observations()]

    assert feeds[0].session != feeds[1].session
    assert len(batches) > 5
    assert len(trades_of([o for batch in batches for o in batch])) > 700
