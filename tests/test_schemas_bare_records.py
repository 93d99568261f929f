"""Records that are not dressed hold what dressed ones hold, whatever kind of batch they were in."""

from __future__ import annotations

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from schemas.bare_records import hand_out_bare
from schemas.topics import TRADES

pytestmark = pytest.mark.stack
RECORDS = 5_000
"""That are compressed, in batches of many."""
FIELDS = ("offset", "timestamp", "timestamp_type", "key", "value")


async def fill(servers, topic):
    """Leave plain, compressed, keyless, empty, committed and aborted records."""
    async with AIOKafkaProducer(bootstrap_servers=servers) as plain:
        headers = [("reason", b"a test")]
        await plain.send_and_wait(topic, b"plain", b"key", partition=0, headers=headers)
        await plain.send_and_wait(topic, None, b"only a key", partition=0)
        await plain.send_and_wait(topic, b"", None, partition=0)
    async with AIOKafkaProducer(bootstrap_servers=servers, compression_type="lz4") as fast:
        for number in range(RECORDS):
            await fast.send(topic, b"%d" % number, b"key", partition=0)
    async with AIOKafkaProducer(bootstrap_servers=servers, transactional_id=topic) as careful:
        await careful.begin_transaction()
        await careful.send(topic, b"aborted", b"key", partition=0)
        await careful.abort_transaction()
        async with careful.transaction():
            await careful.send(topic, b"committed", b"key", partition=0)


async def read(servers, place, *, bare, first=0, most=999):
    found = []
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, isolation_level="read_committed")
    async with consumer:
        if bare:
            hand_out_bare(consumer)
        consumer.assign([place])
        consumer.seek(place, first)
        while not found or found[-1].value != b"committed":
            fetched = await consumer.getmany(place, timeout_ms=500, max_records=most)
            found += fetched.get(place, [])
            assert len(fetched.get(place, [])) <= (most or RECORDS)
            assert not found or await consumer.position(place) > found[-1].offset
    return found


async def test_a_bare_record_holds_what_a_dressed_one_holds(settings):
    servers = settings.kafka.servers
    place = TopicPartition(TRADES.full_name(settings.namespace), 0)
    await fill(servers, place.topic)

    dressed, bare = [await read(servers, place, bare=bare) for bare in (False, True)]

    assert len(bare) == RECORDS + 4
    assert not hasattr(bare[0], "topic")
    for field in FIELDS:
        assert [getattr(r, field) for r in bare] == [getattr(r, field) for r in dressed]
    assert [list(r.headers) for r in bare] == [list(r.headers) for r in dressed]


@pytest.mark.parametrize(("first", "most"), [(2_500, 1), (3_000, 700), (4_999, None), (7, None)])
async def test_reading_begins_and_pauses_anywhere_in_a_batch(settings, first, most):
    servers = settings.kafka.servers
    place = TopicPartition(TRADES.full_name(settings.namespace), 0)
    await fill(servers, place.topic)

    found = await read(servers, place, bare=True, first=first, most=most)

    assert [record.offset for record in found[:-1]] == list(range(first, RECORDS + 3))
