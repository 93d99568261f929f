"""The store stage on a real Kafka and a real QuestDB, with faults between them."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import TopicPartition

from builders import clock, end, numbered, start, trade
from consumers import log as consumer_log
from consumers.consume import consume
from consumers.store import reader
from consumers.store.sql import database
from consumers_builders import book, candle
from faulty_proxy import FaultyProxy
from schemas.codec import encode
from schemas.events import Quote
from schemas.health import Health
from schemas.sections import Consume
from schemas.settings import Settings

pytestmark = pytest.mark.stack
WAIT_S = 60


class MemoryLetters:
    def __init__(self):
        self.letters = []

    async def dead_letter(self, letter):
        self.letters.append(letter)


async def until(condition, what):
    """Wait for a condition, which may be a coroutine function."""
    deadline = time.monotonic() + WAIT_S
    while True:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return
        assert time.monotonic() < deadline, f"waited {WAIT_S} s for {what}"
        await asyncio.sleep(0.02)


class Stage:
    """A running store stage, and what it left behind."""

    def __init__(self, settings: Settings, letters: MemoryLetters) -> None:
        self.settings = settings
        self.letters = letters
        self.health = Health()
        self._stop = asyncio.Event()
        self.task = asyncio.create_task(consume(settings, letters, self.health, self._stop))

    async def stop(self) -> None:
        self._stop.set()
        await self.task

    async def stored(self, session: str, **expected: int) -> None:
        def counted() -> dict[str, int]:
            with database(self.settings.questdb) as db:
                return reader.counts(db, session)

        async def enough() -> bool:
            assert not self.task.done(), self.task.result()
            counts = await asyncio.to_thread(counted)
            return all(counts[name] >= count for name, count in expected.items())

        await until(enough, f"{expected} rows")
        counts = await asyncio.to_thread(counted)
        assert {name: counts[name] for name in expected} == expected

    async def committed(self, topic: str, end: int) -> None:
        """Wait until the group has committed ``end`` of the partition 0 of a topic."""
        place = TopicPartition(f"{self.settings.namespace}.{topic}", 0)
        group = self.settings.store_group

        async def there() -> bool:
            admin = AIOKafkaAdminClient(bootstrap_servers=self.settings.kafka.servers)
            try:
                await admin.start()
                offsets = await admin.list_consumer_group_offsets(group, partitions=[place])
            finally:
                await admin.close()
            return offsets[place].offset == end

        await until(there, f"offset {end} of {topic}")


@asynccontextmanager
async def running(settings, letters=None):
    stage = Stage(settings, letters or MemoryLetters())
    try:
        yield stage
    finally:
        await stage.stop()


@pytest.fixture
async def send(settings):
    """Put events (or bytes) on partition 0 of a topic of the namespace, in order."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka.servers)
    await producer.start()

    async def send(topic, *values, partition=0):
        for value in values:
            raw = value if value is None or isinstance(value, bytes) else encode(value)
            full_name = f"{settings.namespace}.{topic}"
            await producer.send(full_name, raw, key=b"k", partition=partition)
        await producer.flush()

    yield send
    await producer.stop()


def trades_of(session, count, first=0, **fields):
    return [
        trade(seq * 0.001, seq=seq, session=session, **fields)
        for seq in range(first, first + count)
    ]


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


async def test_batches_are_bounded(settings, send, session):
    small = settings.model_copy(
        update={"consume": Consume(group=settings.consume.group, batch_rows_max=7, poll_ms=50)}
    )
    await send("trades", *trades_of(session, 100))

    async with consumer_log.Log(small, [f"{settings.namespace}.trades"]) as kafka:
        await kafka.join()
        rows = 0
        while rows < 100:
            batch = await kafka.read()
            assert batch.rows <= 7
            rows += batch.rows


async def test_a_backlog_is_read_in_large_batches_and_what_is_live_in_small_ones(
    settings, send, session
):
    topic = f"{settings.namespace}.trades"
    await send("trades", *trades_of(session, 3_000))

    async with consumer_log.Log(settings, [topic]) as kafka:
        await kafka.join()
        backlog = [batch.rows for batch in await read_all(kafka, 3_000)]
        await send("trades", *trades_of(session, 3, first=3_000))
        live = [batch.rows for batch in await read_all(kafka, 3)]

    assert max(backlog) > 1_000
    assert sum(live) == 3


async def read_all(kafka, rows):
    batches = []
    while sum(batch.rows for batch in batches) < rows:
        batches.append(await kafka.read())
    return batches


async def test_quotes_and_late_ticks_are_stored_too(settings, send, session):
    own = {"session": session}
    quote = {"bid_price": 1.0, "bid_size": 1.0, "ask_price": None, "ask_size": None}
    times = {"ts_event": trade().ts_event, "ts_recv": trade().ts_recv}
    quotes = [Quote(epoch=1, seq=n, instrument="A.SIM", **own, **times, **quote) for n in range(9)]
    late = msgspec.to_builtins(trade(seq=3, **own)) | {"type": "late", "missed": {"1s": 10**18}}
    await send("quotes", *quotes)
    await send("late", encode(late), encode(late), b'{"type":"late"}')

    async with running(settings) as stage:
        await stage.committed("quotes", 9)
        await stage.committed("late", 3)

    with database(settings.questdb) as db:
        reader.wait_applied(db, WAIT_S)
        for table, rows in (("tick_quotes", 9), ("late_ticks", 1)):
            query = f"SELECT count() AS n FROM {table} WHERE session = %(session)s"
            assert db.rows(query, session=session)[0]["n"] == rows
    assert [letter.offset for letter in stage.letters.letters] == [2]


@pytest.mark.parametrize("partitions", [1, 4, 100, 1_000, 8_000])
def test_what_is_fetched_is_bounded_whatever_the_number_of_partitions(partitions):
    share = consumer_log._share(partitions)

    assert 65_536 <= share <= 1_048_576
    assert share == 65_536 or share * partitions <= consumer_log.FETCHED_BYTES_MAX
