"""A partition in the hands of a worker, on a real Kafka: saved whole, fenced, never with a hole."""

from __future__ import annotations

import asyncio
import dataclasses
import random
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from builders import clock, end, numbered, records, start, trade
from schemas.codec import candle_decoder, encode
from schemas.errors import FencedError, HoleError, SettingsError, UnavailableError
from schemas.events import Candle, Event
from schemas.settings import Settings
from schemas.topics import STATE_TRADES, TRADES
from streams import flow
from streams.candles.outputs import Outputs
from streams.kafka import OutputLog, read_compacted
from streams.partition import Partition

pytestmark = pytest.mark.stack
EVENTS = numbered(start(), trade(0.5), clock(4), trade(0.6), trade(5), end(400))


@pytest.fixture
async def outputs(settings: Settings) -> AsyncIterator[OutputLog]:
    log = OutputLog(settings)
    await log.start()
    yield log
    await log.stop()


async def publish(settings: Settings, events: list[Event]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka.servers) as producer:
        for event in events:
            topic = TRADES.full_name(settings.namespace)
            await producer.send_and_wait(topic, encode(event), partition=0)


async def opened(settings: Settings, outputs: OutputLog) -> Partition:
    partition = Partition(settings, flow.TRADES, 0, outputs)
    await partition.open()
    return partition


async def save(partition: Partition) -> None:
    capture = partition.capture()
    assert capture is not None
    await partition.save(capture)


def candles(out: Outputs) -> list[Candle]:
    events = [candle_decoder.decode(value) for _, value in out.candles]
    return [event for event in events if isinstance(event, Candle)]


async def test_a_successor_goes_on_where_the_saved_state_stands(
    settings: Settings, outputs: OutputLog
) -> None:
    await publish(settings, EVENTS)
    log = records(EVENTS)
    first = await opened(settings, outputs)
    await first.send(first.fold(log[:3]))
    await save(first)
    await first.send(first.fold(log[3:4]))  # folded, and lost with the process

    second = await opened(settings, outputs)
    assert second.position == second.saved == 3
    out = second.fold(log)

    assert [(c.interval, c.trades_count, c.revision) for c in candles(out)] == [
        ("1s", 2, 1),
        ("1s", 1, 0),
        ("1m", 3, 0),
        ("5m", 3, 0),
    ]
    await second.close()
    await first.close()


async def test_whoever_held_the_partition_before_cannot_save_any_more(
    settings: Settings, outputs: OutputLog
) -> None:
    await publish(settings, EVENTS)
    zombie = await opened(settings, outputs)
    zombie.fold(records(EVENTS)[:2])
    successor = await opened(settings, outputs)

    with pytest.raises(FencedError):
        await save(zombie)

    successor.fold(records(EVENTS))
    await save(successor)
    await successor.close()
    await zombie.close()


async def test_nothing_is_saved_before_its_outputs_are_acknowledged(
    settings: Settings, outputs: OutputLog
) -> None:
    await publish(settings, EVENTS)
    first = await opened(settings, outputs)
    first.fold(records(EVENTS)[:3])
    capture = first.capture()
    assert capture is not None
    lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    lost.set_exception(ConnectionError("the candles never arrived"))

    with pytest.raises(ConnectionError):
        await first.save(dataclasses.replace(capture, acks=[lost]))

    second = await opened(settings, outputs)
    assert (first.saved, second.position) == (0, 0)
    await second.close()
    await first.close()


async def test_state_and_position_are_written_together_or_not_at_all(
    settings: Settings, outputs: OutputLog
) -> None:
    await publish(settings, EVENTS)
    first = await opened(settings, outputs)
    first.fold(records(EVENTS)[:2])
    await save(first)
    first.fold(records(EVENTS)[2:5])
    capture = first.capture()
    assert capture is not None
    too_large = (random.randbytes(4_000_000), b"")

    with pytest.raises(UnavailableError):
        await first.save(dataclasses.replace(capture, items=[*capture.items, too_large]))

    second = await opened(settings, outputs)
    out = second.fold(records(EVENTS)[2:])
    assert second.saved == 2
    assert [c.trades_count for c in candles(out) if c.interval == "1m"] == [3]
    await second.close()
    await first.close()


async def test_skipped_records_are_an_error_and_repeated_ones_are_not(
    settings: Settings, outputs: OutputLog
) -> None:
    partition = await opened(settings, outputs)
    log = records(EVENTS)
    partition.fold(log[:2])

    assert partition.fold(log[:2]).candles == []
    with pytest.raises(HoleError, match=r"expected=2 got=3"):
        partition.fold(log[3:])
    await partition.close()


async def test_records_that_expired_unread_become_a_gap(
    settings: Settings, outputs: OutputLog
) -> None:
    await publish(settings, EVENTS)
    log = records(EVENTS)
    first = await opened(settings, outputs)
    first.fold(log[:2])
    await save(first)
    await first.close()
    place = TopicPartition(TRADES.full_name(settings.namespace), 0)
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka.servers)
    await admin.start()
    await admin.delete_records({place: RecordsToDelete(before_offset=4)})
    await admin.close()

    second = await opened(settings, outputs)
    out = second.fold(log[4:])

    assert {(c.interval, c.flags) for c in candles(out)} == {
        ("1s", ("gap",)),
        ("1m", ("gap",)),
        ("5m", ("gap",)),
    }
    await second.close()


async def test_an_input_topic_that_was_created_anew_is_refused(
    settings: Settings, outputs: OutputLog
) -> None:
    first = await opened(settings, outputs)
    first.fold(records(EVENTS))  # never published: the log is shorter than the position
    await save(first)
    await first.close()

    with pytest.raises(SettingsError, match="created anew"):
        await opened(settings, outputs)


async def test_another_number_of_partitions_is_refused(
    settings: Settings, outputs: OutputLog
) -> None:
    await publish(settings, EVENTS)
    first = await opened(settings, outputs)
    first.fold(records(EVENTS))
    await save(first)
    await first.close()
    kafka = settings.kafka.model_copy(update={"partitions": 8})

    with pytest.raises(SettingsError, match="another layout"):
        await opened(settings.model_copy(update={"kafka": kafka}), outputs)


async def test_the_state_of_an_ended_session_is_deleted(
    settings: Settings, outputs: OutputLog
) -> None:
    await publish(settings, EVENTS)
    partition = await opened(settings, outputs)
    for record in records(EVENTS):
        partition.fold([record])
        await save(partition)
    await partition.close()

    place = TopicPartition(STATE_TRADES.full_name(settings.namespace), 0)
    left = await read_compacted(settings.kafka.servers, place)
    assert sorted(left) == [b'["position"]', b'["session","sim-1"]']
