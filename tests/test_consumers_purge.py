from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from builders import clock, start, trade
from consumers.store import tallies
from consumers.store.client import IngestClient
from consumers.store.content import content_hash
from consumers.store.sinks.bars import BarSink
from consumers.store.sinks.books import BookSink
from consumers.store.sinks.feed_events import FeedEventSink
from consumers.store.sinks.trades import TradeSink
from consumers.store.sql import Database, database
from consumers.store.upkeep.lease import Gate, held, look
from consumers.store.upkeep.partitions import leftovers, rewrite, settle, wait_applied
from consumers.store.upkeep.purge import Turn, plan, purge, resume
from consumers_builders import bar, book
from schemas.errors import FencedError, UnavailableError
from schemas.tables import MARKET_BARS, TICK_PRICES

pytestmark = pytest.mark.stack

DAY_S = 86_400
TERM_MS = 2_000
TURN = Turn(holder="test", term_ms=TERM_MS)


class Killed(BaseException):
    """What no code catches, as SIGKILL."""


class Dying(Database):
    """A connection whose owner dies at a statement that writes, before it or right after."""

    def __init__(self, db: Database, at: int, *, after: bool) -> None:
        self._db = db
        self._left = at
        self._after = after
        self.rows = db.rows
        self.stream = db.stream

    def execute(self, statement: str, **parameters: object) -> None:
        if self._left == 0 and not self._after:
            raise Killed
        self._db.execute(statement, **parameters)
        if self._left == 0:
            raise Killed
        self._left -= 1


def fill(client: IngestClient, session: str, days: int = 1, rows: int = 40) -> None:
    """Write some of everything, the same for every session."""
    step = DAY_S / rows
    ticks = [
        trade(day * DAY_S + n * step, session=session, seq=day * rows + n)
        for day in range(days)
        for n in range(rows)
    ]
    TradeSink(client).write(ticks)
    BookSink(client).write([book(n, session=session, seq=10_000 + n) for n in range(rows)])
    BarSink(client).write([bar(60 * n, session=session, seq=20_000 + n) for n in range(rows)])
    FeedEventSink(client).write([start(session=session), clock(1, session=session, seq=1)])


def seen(db: Database, session: str) -> tuple[object, ...]:
    for table in (TICK_PRICES, MARKET_BARS, "tick_orderbook", "feed_events"):
        wait_applied(db, table)
    return content_hash(db, session), tallies.rows(db, session)


@pytest.fixture
def db(settings) -> Iterator[Database]:
    with database(settings.questdb) as db:
        yield db


@pytest.fixture
def two(client, session, db) -> tuple[str, str]:
    """Two sessions that share every partition."""
    names = f"{session}-gone", f"{session}-kept"
    for name in names:
        fill(client, name)
    for name in names:
        seen(db, name)
    return names


def test_a_purged_session_is_in_no_table_and_the_others_are_as_before(settings, db, two):
    gone, kept = two
    before = seen(db, kept)
    planned = plan(db, [gone])

    done = list(purge(settings.questdb, [gone], TURN, lambda: None))

    assert [part for part, _ in done] == planned
    assert sum(rows for _, rows in done) == 40 * 3 + 2
    assert plan(db, [gone]) == []
    assert seen(db, kept) == before
    assert not leftovers(db)


STEPS = ("create", "copy", "drop", "put back", "drop the copy")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", range(len(STEPS)), ids=STEPS)
def test_a_rewriting_killed_at_any_step_is_finished_by_the_next(settings, db, two, step, after):
    gone, kept = two
    before = seen(db, kept)
    part = next(part for part in plan(db, [gone]) if part.table == TICK_PRICES)
    with held(settings.questdb, "killed", TERM_MS) as lease, pytest.raises(Killed):
        rewrite(Dying(db, step, after=after), lease, part, "session = %(name)s", name=gone)

    with held(settings.questdb, "next", TERM_MS) as lease:
        settle(db)
        assert seen(db, kept) == before
        rewrite(db, lease, part, "session = %(name)s", name=gone)

    assert seen(db, kept) == before
    assert part not in plan(db, [gone])
    assert not leftovers(db)


def test_a_correction_that_comes_after_a_kill_outlives_the_putting_back(settings, client, db, two):
    gone, kept = two
    part = next(part for part in plan(db, [gone]) if part.table == MARKET_BARS)
    with held(settings.questdb, "killed", TERM_MS) as lease, pytest.raises(Killed):
        rewrite(Dying(db, 2, after=True), lease, part, "session = %(name)s", name=gone)

    client.close()
    BarSink(client).write([bar(0, session=kept, seq=99_999, close=77.0)])
    assert resume(settings.questdb, TURN) == [MARKET_BARS]

    wait_applied(db, MARKET_BARS)
    rows = db.rows("SELECT seq, close FROM market_bars WHERE session = %(s)s ORDER BY seq", s=kept)
    assert len(rows) == 40
    assert rows[-1] == {"seq": 99_999, "close": 77.0}


def test_a_holder_that_slept_through_its_lease_drops_nothing(settings, db, two):
    gone, kept = two
    before = seen(db, kept)
    part = next(part for part in plan(db, [gone]) if part.table == TICK_PRICES)

    with held(settings.questdb, "sleeper", TERM_MS) as lease:
        lease.stop()  # nobody renews it
        until_over(db)
        with pytest.raises(FencedError, match="nothing is lost"):
            rewrite(db, lease, part, "session = %(name)s", name=gone)

    assert leftovers(db) == [TICK_PRICES]
    resume(settings.questdb, TURN)
    assert seen(db, kept) == before


def test_what_is_written_while_a_lease_is_held_counts_as_not_written(settings, client, session):
    gate = Gate(settings.questdb)
    gate.enter()
    with held(settings.questdb, "somebody", TERM_MS):
        with pytest.raises(UnavailableError, match="being rewritten"):
            gate.leave()
        with pytest.raises(UnavailableError, match="somebody"):
            TradeSink(client).write([trade(session=session)])
    gate.enter()
    with held(settings.questdb, "somebody else", TERM_MS):
        pass

    with pytest.raises(UnavailableError, match="while rows came in"):
        gate.leave()
    gate.close()


def test_a_lease_is_had_by_one_at_a_time_and_outlived_by_none_that_died(settings, db):
    with (
        held(settings.questdb, "one", TERM_MS),
        pytest.raises(UnavailableError, match="somebody else"),
        held(settings.questdb, "another", 100),
    ):
        pass
    with held(settings.questdb, "dead", TERM_MS) as lease:
        lease.stop()
        with held(settings.questdb, "heir", TERM_MS):
            assert look(db)["holder"] == "heir"
        assert not look(db)["alive"]


def test_a_session_that_is_fed_again_stops_its_purge(settings, db, two):
    gone, _ = two

    def fed_again() -> None:
        raise FencedError("session is being fed again")

    with pytest.raises(FencedError):
        list(purge(settings.questdb, [gone], TURN, fed_again))

    assert tallies.rows(db, gone)["trades"] == 40


def test_who_writes_during_a_purge_loses_nothing(settings, client, db, session):
    """A writer as the store's worker: what is not acknowledged comes again."""
    gone, growing, days = f"{session}-gone", f"{session}-growing", 6
    fill(client, gone, days)
    seen(db, gone)
    over, written, retried = threading.Event(), [], []

    def write() -> None:
        own = IngestClient(settings.questdb)
        while not over.is_set() or not retried:
            seq = len(written)
            tick = trade(seq % days * DAY_S + seq * 1e-3, session=growing, seq=seq)
            try:
                TradeSink(own).write([tick])
            except UnavailableError as error:
                retried.append(error)
            else:
                written.append(tick)
        own.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        list(purge(settings.questdb, [gone], TURN, lambda: None))
    finally:
        over.set()
        writer.join()

    wait_applied(db, TICK_PRICES)
    query = "SELECT seq FROM tick_prices WHERE session = %(s)s ORDER BY seq"
    assert [row["seq"] for row in db.rows(query, s=growing)] == [t.seq for t in written]
    assert tallies.rows(db, gone)["trades"] == 0
    assert len(written) > days


def until_over(db: Database) -> None:
    while look(db)["alive"]:
        pass
