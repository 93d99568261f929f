from __future__ import annotations

import json
import signal
import subprocess
from time import monotonic, time_ns

import pytest
from msgspec import structs

from builders import at, clock, end, start, trade
from conftest import CLI
from consumers.store.content import content_hash
from consumers.store.sinks.bars import BarSink
from consumers.store.sinks.books import BookSink
from consumers.store.sinks.candles import CandleSink
from consumers.store.sinks.feed_events import FeedEventSink
from consumers.store.sinks.late import LateSink
from consumers.store.sinks.quotes import QuoteSink
from consumers.store.sinks.sessions import SessionSink
from consumers.store.sinks.trades import TradeSink
from consumers.store.upkeep.partitions import leftovers, wait_applied
from consumers.store.upkeep.purge import plan
from consumers_builders import bar, book, candle
from deploy_builders import entry, run
from producers.publisher import Publisher
from producers.sessions import Catalogue
from schemas.events import Late, Quote
from schemas.health import Health
from schemas.settings import as_environment, child_environment
from schemas.tables import (
    AGGREGATED_OHLCV,
    FEED_EVENTS,
    LATE_TICKS,
    MARKET_BARS,
    TICK_ORDERBOOK,
    TICK_PRICES,
    TICK_QUOTES,
    TIMES,
)

pytestmark = pytest.mark.stack

DAY_S = 86_400
ROWS = 30
FAR_S = 77 * DAY_S
FAR_DAY = "2025-12-25"
"""A day of which nothing else is stored."""
DISK_S_MAX = 60.0
FILLED = {
    *(TICK_PRICES, TICK_ORDERBOOK, TICK_QUOTES, LATE_TICKS),
    *(AGGREGATED_OHLCV, MARKET_BARS, FEED_EVENTS),
}


def record(client, session: str, instrument: str, days: int = 2) -> None:
    """Store a session as its sinks would: something in every table, over some days."""
    ticks = [
        trade(day * DAY_S + 60 * n, session=session, instrument=instrument, seq=day * ROWS + n)
        for day in range(days)
        for n in range(ROWS)
    ]
    own = {"session": session, "instrument": instrument}
    TradeSink(client).write(ticks)
    late = structs.asdict(ticks[0]) | {"missed": {"1m": at(0)}}
    LateSink(client).write([Late(**late)])
    BookSink(client).write([book(60 * n, seq=1_000 + n, **own) for n in range(ROWS)])
    times = {"ts_event": at(1), "ts_recv": at(1), "epoch": 1, "seq": 2_000}
    sides = {"bid_price": 1.0, "bid_size": 2.0, "ask_price": None, "ask_size": None}
    QuoteSink(client).write([Quote(**own, **times, **sides)])
    BarSink(client).write([bar(60 * n, seq=3_000 + n, **own) for n in range(ROWS)])
    minutes = [candle(60 * n, interval="1m", ts_close=at(60 * n + 60), **own) for n in range(ROWS)]
    CandleSink(client).write(minutes)
    told = start(session=session, seq=4_000), clock(60 * ROWS, session=session, seq=4_001)
    FeedEventSink(client).write([*told, end(60 * ROWS, session=session, seq=4_002)])
    counts = {"trades": days * ROWS, "books": ROWS, "quotes": 1, "bars": ROWS}
    SessionSink(client).write(
        [entry(session=session, instruments=(instrument,), counts=counts, source_time=at(1_800))]
    )


def applied(db) -> None:
    for table in TIMES:
        wait_applied(db, table)


def hashes(db, names: list[str]) -> dict[str, str]:
    applied(db)
    return {name: content_hash(db, name) for name in names}


def listed(settings, *options: str) -> list[str]:
    done = run(
        settings, "sessions", "ls", "--text", settings.namespace, "--format", "json", *options
    )
    assert done.returncode == 0, done.stderr
    return sorted(row["session"] for row in json.loads(done.stdout))


def folders(settings, table: str) -> set[str]:
    """Return the partitions of a table that are on the disk, by their first day."""
    found = (settings.home / "data/questdb/db").glob(f"{table}~*")
    (folder,) = (path for path in found if path.is_dir())
    return {path.name[:10] for path in folder.glob("20*")}


async def catalogued(settings, *entries) -> None:
    async with Publisher(settings, Health("kafka")) as publisher:
        catalogue = Catalogue(publisher, settings.namespace, await publisher.partitions())
        for one in entries:
            await catalogue.put(one)


async def test_of_ten_sessions_three_are_deleted_and_seven_hash_as_before(
    settings, client, db, instrument
):
    names = [f"{settings.namespace}-{number}" for number in range(10)]
    gone, kept = names[2:5], [*names[:2], *names[5:]]
    for name in names:
        record(client, name, instrument)
    TradeSink(client).write([trade(FAR_S, session=name) for name in gone])
    await catalogued(settings, *(entry(session=name) for name in names))
    before = hashes(db, kept)
    assert {part.table for part in plan(db, gone)} == FILLED
    assert FAR_DAY in folders(settings, "tick_prices")

    deleted = run(settings, "sessions", "rm", *gone, "--yes")

    assert deleted.returncode == 0, deleted.stderr
    assert "rows gone" in deleted.stderr
    assert plan(db, gone) == []
    assert hashes(db, kept) == before
    assert listed(settings) == kept
    deadline = monotonic() + DISK_S_MAX
    while FAR_DAY in folders(settings, "tick_prices"):
        assert monotonic() < deadline, "its partition is still on the disk"
    again = run(settings, "sessions", "rm", gone[0], "--yes")
    assert again.returncode == 2
    assert "unknown session" in again.stderr


async def test_a_deletion_that_is_killed_is_finished_by_resume(settings, client, db, instrument):
    gone, kept = (f"{settings.namespace}-{what}" for what in ("gone", "kept"))
    for name in (gone, kept):
        record(client, name, instrument, days=6)
    await catalogued(settings, entry(session=gone), entry(session=kept))
    before = hashes(db, [kept])
    quick = settings.model_copy(
        update={"retention": settings.retention.model_copy(update={"lease_ms": 2_000})}
    )
    for lines in (1, 4):
        command = ("rm", gone, "--yes") if lines == 1 else ("rm", "--resume")
        killed = subprocess.Popen(  # noqa: ASYNC220 - nothing else is to go on here
            (*CLI, "sessions", *command),
            env=child_environment(**as_environment(quick)),
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(lines):
            next(line for line in killed.stderr if "rows gone" in line)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        killed.stderr.close()
        assert listed(settings) == [kept], "invisible at once"

    finished = run(quick, "sessions", "rm", "--resume")

    assert finished.returncode == 0, finished.stderr
    assert plan(db, [gone]) == []
    assert leftovers(db) == []
    assert hashes(db, [kept]) == before


async def test_a_session_that_is_being_recorded_is_not_deleted(settings, client, db, instrument):
    name = settings.namespace
    record(client, name, instrument)
    alive = entry(
        session=name,
        state="active",
        owner="recorder-7",
        heartbeat_ns=time_ns(),
        heartbeat_timeout_ms=600_000,
    )
    await catalogued(settings, alive)
    applied(db)

    refused = run(settings, "sessions", "rm", name, "--yes")

    assert refused.returncode == 1
    assert "recorder-7" in refused.stderr
    assert "end its recorder first" in refused.stderr
    assert listed(settings) == [name]


async def test_a_session_that_is_deleted_and_fed_again_is_back(settings, client, db, instrument):
    name = settings.namespace
    record(client, name, instrument)
    await catalogued(settings, entry(session=name, state="failed"))
    applied(db)

    assert run(settings, "sessions", "rm", name, "--yes").returncode == 0
    assert listed(settings) == []

    async with Publisher(settings, Health("kafka")) as publisher:
        catalogue = Catalogue(publisher, settings.namespace, await publisher.partitions())
        claimed = await catalogue.claim(entry(session=name, state="active", epoch=0))
    assert claimed.epoch == 2
    SessionSink(client).write([structs.replace(claimed, state="completed")])
    applied(db)
    assert listed(settings) == [name]


def test_what_users_write_of_a_session_is_found_and_shown(settings, client, db, instrument):
    name = settings.namespace
    record(client, name, instrument)
    applied(db)

    for words in (
        ("rename", name, "opening of the market"),
        ("tag", name, "btc", "draft"),
        ("tag", name, "good", "--", "-draft"),
        ("note", name, "recorded by hand"),
    ):
        done = run(settings, "sessions", *words)
        assert done.returncode == 0, done.stderr
        applied(db)
    record(client, name, instrument)  # as a heartbeat would
    applied(db)

    shown = json.loads(run(settings, "sessions", "show", name, "--json").stdout)
    assert shown["name"] == "opening of the market"
    assert shown["tags"] == ["btc", "good"]
    assert shown["notes"] == "recorded by hand"
    assert shown["statistics"][0]["trades"] == 2 * ROWS
    assert listed(settings, "--tag", "good", "--instrument", instrument) == [name]
    assert listed(settings, "--tag", "draft") == []
    assert listed(settings, "--state", "failed") == []
    wrong = run(settings, "sessions", "tag", name, "a,b")
    assert wrong.returncode == 2
    assert "without a comma" in wrong.stderr


def test_a_session_that_lacks_ticks_is_not_whole(settings, client, db, instrument):
    name = settings.namespace
    record(client, name, instrument, days=1)
    applied(db)

    whole = run(settings, "sessions", "check", name, "--json")
    found = json.loads(whole.stdout)
    assert (whole.returncode, found["faults"]) == (0, []), whole.stdout + whole.stderr
    assert (found["present"], found["coverage"]) == (ROWS, 1.0)
    assert found["content_hash"] == content_hash(db, name)

    more = {"trades": ROWS + 1, "books": ROWS, "quotes": 1, "bars": ROWS}
    SessionSink(client).write([entry(session=name, instruments=(instrument,), counts=more)])
    applied(db)
    lacking = run(settings, "sessions", "check", name)
    assert lacking.returncode == 1
    assert f"{ROWS} stored of {ROWS + 1} counted" in lacking.stdout
    remembered = json.loads(run(settings, "sessions", "show", name, "--json").stdout)
    assert remembered["content_hash"] == found["content_hash"]
    assert remembered["coverage"] == 1.0
