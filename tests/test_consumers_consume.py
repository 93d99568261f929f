"""The store stage on a real Kafka and a real QuestDB, with faults between them."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from builders import clock, end, numbered, start, trade
from consumers.store import reader
from consumers.store.sql import database
from consumers_builders import book, candle
from consumers_stage import WAIT_S, MemoryLetters, running, sending, trades_of, until
from faulty_proxy import FaultyProxy

pytestmark = pytest.mark.stack


@pytest.fixture
async def send(settings):
    async with sending(settings) as send:
        yield send


async def test_trades_books_and_candles_are_stored_and_then_committed(settings, send, session):
    own = {"session": session}
    await send("trades", start(**own), *trades_of(session, 100, 1), clock(1, seq=101, **own))
    await send("trades", start(**own), clock(1, seq=101, counts=5, **own), partition=1)
    await send("books", start(**own), *(book(seq, seq=seq + 1, **own) for seq in range(30)))
    await send("candles", *(candle(seq, **own) for seq in range(20)))

    async with running(settings) as stage:
        await stage.stored(session, trades=100, books=30, candles=20)
        await stage.committed("trades", 102)
        await stage.committed("candles", 20)
        await until(lambda: stage.health.ready, "readiness")

    with database(settings.questdb) as db:
        reader.wait_applied(db, WAIT_S)
        kept = db.rows("SELECT seq FROM feed_events WHERE session = %(session)s", session=session)
    assert sorted(row["seq"] for row in kept) == [0, 101]
    assert stage.letters.letters == []


async def test_garbled_and_poison_records_are_dead_letters_and_neighbours_are_stored(
    settings, send, session
):
    good = trades_of(session, 50)
    too_precise = trade(seq=100, session=session, price=0.1234567890123)
    beyond_questdb = trade(seq=101, session=session, ts_event=2**63 - 1)
    bad = [b"garbage", None, b"\xff", too_precise, beyond_questdb]
    await send("trades", *good[:25], *bad, *good[25:])

    async with running(settings) as stage:
        # The last ones follow the poison in seq, as duplicates would: they go by what was taken.
        await send("trades", *trades_of(session, 10, 200))
        await stage.stored(session, trades=35)
        await stage.committed("trades", 65)

    assert sorted(letter.offset for letter in stage.letters.letters) == [25, 26, 27, 28, 29]
    assert {letter.topic for letter in stage.letters.letters} == {f"{settings.namespace}.trades"}


@pytest.mark.parametrize("mode", ["refuse", "silent", "lose_answers"])
async def test_nothing_is_lost_or_doubled_while_questdb_is_away(
    settings, send, session, monkeypatch, mode
):
    monkeypatch.setattr("consumers.store.client.REQUEST_TIMEOUT_MS", 500)
    consume_settings = settings.consume.model_copy(update={"retry_ms_max": 100})
    async with FaultyProxy(settings.questdb.http_port) as proxy:
        questdb = settings.questdb.model_copy(update={"http_port": proxy.port})
        proxied = settings.model_copy(update={"questdb": questdb, "consume": consume_settings})
        async with running(proxied) as stage:
            await send("trades", *trades_of(session, 100))
            await stage.stored(session, trades=100)
            await stage.committed("trades", 100)

            proxy.become(mode)
            await send("trades", *trades_of(session, 100, 100))
            await until(lambda: "questdb" in stage.health.faults, "a red check")
            if mode == "lose_answers":
                await stage.stored(session, trades=200)
            await stage.committed("trades", 100)

            proxy.become("pass")
            await stage.stored(session, trades=200)
            await stage.committed("trades", 200)
            await until(lambda: stage.health.ready, "readiness")

    assert stage.letters.letters == []


async def test_a_stage_that_waits_for_questdb_stops_when_told(settings, send, session):
    async with FaultyProxy(settings.questdb.http_port) as proxy:
        questdb = settings.questdb.model_copy(update={"http_port": proxy.port})
        async with running(settings.model_copy(update={"questdb": questdb})) as stage:
            await until(lambda: stage.health.ready, "readiness")
            proxy.become("refuse")
            await send("trades", *trades_of(session, 10))
            await until(lambda: "questdb" in stage.health.faults, "a red check")
            await asyncio.wait_for(stage.stop(), WAIT_S)

    async with running(settings) as stage:
        await stage.stored(session, trades=10)


async def test_order_survives_a_restart_with_the_offset(settings, send, session):
    own = {"session": session}
    letters = MemoryLetters()
    async with running(settings, letters) as stage:
        await send("trades", *numbered(start(**own), trade(**own), end(1, **own)))
        await stage.committed("trades", 3)

    async with running(settings, letters) as stage:
        await send("trades", trade(5, seq=9, **own), trade(6, seq=1, **own))
        await stage.committed("trades", 5)
        await stage.stored(session, trades=1)

    assert [letter.offset for letter in letters.letters] == [3]
    assert "after the end" in letters.letters[0].reason


async def test_the_same_recording_fed_again_changes_no_row(settings, send, session):
    events = trades_of(session, 20)
    async with running(settings) as stage:
        await send("trades", *events)
        await stage.stored(session, trades=20)
        await send("trades", *(msgspec.structs.replace(event, epoch=2) for event in events))
        await stage.committed("trades", 40)
        await stage.stored(session, trades=20)


async def test_members_share_the_partitions_and_none_is_stored_twice_or_never(
    settings, send, session
):
    async with running(settings) as first:
        await send("trades", *trades_of(session, 50))
        await first.stored(session, trades=50)
        async with running(settings) as second:
            for part in range(1, 5):
                for partition in range(settings.kafka.partitions):
                    fields = {"instrument": f"P{partition}.SIM", "first": 1_000 * part}
                    events = trades_of(f"{session}-{partition}", 50, **fields)
                    await send("trades", *events, partition=partition)
            for partition in range(settings.kafka.partitions):
                await first.stored(f"{session}-{partition}", trades=200)
            assert not second.task.done()
        await send("trades", *trades_of(session, 50, 50))
        await first.stored(session, trades=100)


async def test_a_stage_started_before_kafka_waits_and_says_so(settings):
    nowhere = settings.kafka.model_copy(update={"bootstrap": "127.0.0.1:1"})

    async with running(settings.model_copy(update={"kafka": nowhere})) as stage:
        await until(
            lambda: "does not answer" in stage.health.faults.get("kafka", ""), "a red check"
        )
        assert not stage.task.done()
