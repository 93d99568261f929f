"""Subscriptions to a market that is running: at the seam, again by group, slowly, in a notebook."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import aclosing
from functools import partial
from itertools import count, islice
from random import Random

import pytest
from msgspec.structs import replace

from builders import at, clock, end, numbered, start, trade
from conftest import CLI
from consumers.client import subscribe, subscribe_sync
from consumers.log import partition_of
from consumers.store.reading import Store
from consumers.store.sql import database
from consumers_builders import catalogued
from consumers_stage import running, sending, until
from deploy import kafka_admin
from schemas.errors import SettingsError
from schemas.events import Candle, Control, End, Trade
from schemas.settings import as_environment, child_environment

pytestmark = pytest.mark.stack
MOMENTS = 10
INSTRUMENTS = ("SIM000.SIM", "SIM001.SIM", "SIM002.SIM")
KINDS = ("trades", "books", "candles.1s", "control")


def named(event):
    """Return what names an event, wherever it came from."""
    if isinstance(event, Candle):
        return event.seq, event.instrument, event.ts_open, event.revision
    return event.seq, type(event).__name__


def plain(event):
    """Leave out what the store does not keep."""
    unkept = {"counts": 0} if isinstance(event, Control) else {}
    return replace(event, epoch=0, **unkept)


async def follow(found, session, *args, **kwargs):
    async with aclosing(subscribe(*args, **kwargs)) as events:
        async for event in events:
            if event.session == session:
                found.append(event)


def stored(settings, session):
    """Return the names of what the store holds, by other means than a subscription."""
    with Store(settings.questdb) as store, database(settings.questdb) as db:
        ticks = [named(event) for event in store.events(session)]
        candles = db.rows(
            "SELECT seq, instrument, ts_open::long AS ts_open, revision FROM aggregated_ohlcv"
            " WHERE session = %(session)s AND interval = '1s'",
            session=session,
        )
    return Counter([*ticks, *(tuple(row.values()) for row in candles)])


async def test_from_any_moment_on_everything_comes_once_and_in_order(pipeline):
    simulated = pipeline.simulated.model_copy(
        update={
            "rate": 400.0,
            "duration_s": 8.0,
            "disconnect_every_s": 3.0,
            "disconnect_ms": 400,
            "late_share": 0.05,
        }
    )
    settings = pipeline.model_copy(update={"simulated": simulated})
    feed = await asyncio.create_subprocess_exec(
        *(*CLI, "feed", "simulated", "--wait", "--json"),
        env=child_environment(**as_environment(settings)),
        stdout=asyncio.subprocess.PIPE,
    )
    live = subscribe(INSTRUMENTS, KINDS, settings=settings)
    async with aclosing(live) as events:
        first = await anext(events)
        session = first.session
        moments = sorted(Random(7).sample(range(200, 3_000), MOMENTS))
        followers, tasks = [[] for _ in moments], []
        async with asyncio.TaskGroup() as group:
            trades = 0
            async for event in events:
                trades += isinstance(event, Trade)
                if len(tasks) < MOMENTS and trades >= moments[len(tasks)]:
                    found = followers[len(tasks)]
                    following = follow(
                        found, session, INSTRUMENTS, KINDS, since="-1h", settings=settings
                    )
                    tasks.append(group.create_task(following))
                if isinstance(event, End):
                    break
            await feed.communicate()
            kept = await asyncio.to_thread(stored, settings, session)
            await until(
                lambda: all(len(found) >= kept.total() for found in followers), "all events"
            )
            for task in tasks:
                task.cancel()

    assert feed.returncode == 0
    assert len(tasks) == MOMENTS
    for found in followers:
        assert Counter(map(named, found)) == kept
        assert [*map(plain, found)] == [*map(plain, followers[0])]
    seqs = [event.seq for event in followers[0]]
    assert seqs == sorted(seqs)


@pytest.fixture
async def send(settings, instrument, place):
    """Send to the partition of an instrument, under its name."""
    async with sending(settings) as send:
        yield partial(send, key=instrument.encode(), partition=place)


@pytest.fixture
def place(settings, instrument):
    """The partition of the instrument."""
    return partition_of(instrument.encode(), settings.kafka.partitions)


@pytest.fixture
async def replayed(settings):
    """Settings of the namespace of a run."""
    run = settings.model_copy(update={"namespace": f"replay-{settings.namespace}"})
    await kafka_admin.provision(run)
    yield run
    await kafka_admin.remove(run)


@pytest.fixture
async def play(replayed, instrument, place):
    """Send to the run."""
    async with sending(replayed) as send:
        yield partial(send, key=instrument.encode(), partition=place)


@pytest.fixture
def run(replayed):
    """What names the run to a subscription."""
    return {"settings": replayed, "run": replayed.namespace.removeprefix("replay-")}


async def first_of(events, sent):
    """Return the first event of a subscription that begins now; send until there is one."""
    coming = asyncio.create_task(anext(events))
    for _ in range(200):
        if coming.done():
            break
        await sent()
        await asyncio.wait([coming], timeout=0.05)
    return await coming


def counting(send, instrument, session):
    """Give what sends the next trade of a session."""
    seqs = count(1)

    async def sent():
        await send("trades", trade(0, seq=next(seqs), session=session, instrument=instrument))

    return sent


async def test_a_group_goes_on_where_it_was_left(settings, send, instrument, session):
    sent = counting(send, instrument, session)
    group = {"settings": settings, "group": session}
    async with aclosing(subscribe(instrument, "trades", **group)) as events:
        seqs = [(await first_of(events, sent)).seq]
        for _ in range(20):
            await sent()
        seqs += [(await anext(events)).seq for _ in range(9)]
    async with aclosing(subscribe(instrument, "trades", **group)) as events:
        again = [(await anext(events)).seq for _ in range(11)]

    # The one that was being worked on when it was left comes again.
    assert seqs == list(range(seqs[0], seqs[0] + 10))
    assert again == list(range(seqs[-1], seqs[-1] + 11))


async def test_a_group_that_has_read_something_else_is_told_so(settings, send, instrument, session):
    group = {"settings": settings, "group": session}
    async with aclosing(subscribe(instrument, "trades", **group)) as events:
        await first_of(events, counting(send, instrument, session))

    with pytest.raises(SettingsError, match="another group"):
        await anext(subscribe(instrument, ["trades", "books"], **group))


async def test_a_topic_that_is_ahead_is_held_back_and_nothing_is_lost(
    play, run, instrument, session
):
    own = {"session": session}
    of = own | {"instrument": instrument}
    market = numbered(start(**own), *(trade(n, **of) for n in range(1_000)), end(2_000, **own))
    few = run["settings"].consume.model_copy(update={"batch_rows_max": 50})
    run["settings"] = run["settings"].model_copy(update={"consume": few})
    await play("trades", *market)
    await play("books", market[0])

    events = subscribe(instrument, ["trades", "books"], events_max=100, **run)
    async with aclosing(events):
        coming = asyncio.create_task(anext(events))
        await asyncio.wait([coming], timeout=0.5)
        assert not coming.done()
        await play("books", market[-1])
        found = [await coming] + [await anext(events) for _ in range(999)]

    assert [event.seq for event in found] == list(range(1, 1_001))


async def test_a_replay_is_read_from_its_beginning_by_the_same_code(play, run, instrument, session):
    own = {"session": session}
    market = numbered(start(**own), trade(1, instrument=instrument, **own), end(2, **own))
    await play("trades", *market)

    def read():
        return list(islice(subscribe_sync(instrument, ["trades", "control"], **run), 3))

    assert await asyncio.to_thread(read) == market


def test_the_loop_of_a_notebook_ends_when_nothing_comes(settings, instrument):
    assert not list(subscribe_sync(instrument, "trades", settings=settings, timeout_s=0.5))


async def test_history_is_what_was_committed_and_the_topic_the_rest(
    settings, send, place, instrument, session
):
    own = {"session": session}
    of = own | {"instrument": instrument}
    market = numbered(start(**own), *(trade(n, **of) for n in range(30)), clock(40, **own))
    async with running(settings) as stage:
        await send("sessions", catalogued(session, state="active"), partition=0)
        await send("trades", *market)
        await stage.committed("trades", len(market), place)
    more = numbered(*(trade(50 + n, **of) for n in range(10)), end(70, **own), first=32)
    await send("trades", *more)

    found = []
    asked = {"since": at(0), "settings": settings}
    following = follow(found, session, instrument, ["trades", "control"], **asked)
    task = asyncio.create_task(following)
    await until(lambda: len(found) >= len(market) + len(more), "all events")
    task.cancel()

    assert [event.seq for event in found] == list(range(43))
    assert [event.epoch for event in found] == [0] * 32 + [1] * 11


async def test_a_subscription_ends_with_the_run_that_it_reads(play, run, instrument, session):
    await play("trades", trade(1, seq=1, session=session, instrument=instrument))
    found = []
    async for event in subscribe(instrument, "trades", **run):
        found.append(event.seq)
        await kafka_admin.remove(run["settings"])

    assert found == [1]


async def test_garbage_and_what_others_are_told_is_passed_over(play, run, instrument, session):
    other = trade(1, seq=1, session=session)
    bad = [b"garbage", None, b"\xff", b'{"type":"auction"}', b'{"type":"trade","seq":1}']
    await play("trades", other, *bad, trade(2, seq=2, session=session, instrument=instrument))

    async with aclosing(subscribe(instrument, "trades", **run)) as events:
        assert (await anext(events)).seq == 2
