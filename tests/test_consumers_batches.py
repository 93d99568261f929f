"""What a batch holds: bounded, large when much waits, and of every kind of tick."""

from __future__ import annotations

import msgspec
import pytest

from builders import trade
from consumers import log as consumer_log
from consumers.store import reader
from consumers.store.sql import database
from consumers_stage import WAIT_S, running, sending, trades_of
from schemas.codec import encode
from schemas.events import Quote
from schemas.sections import Consume

pytestmark = pytest.mark.stack


@pytest.fixture
async def send(settings):
    async with sending(settings) as send:
        yield send


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
