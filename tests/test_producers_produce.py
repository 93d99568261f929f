"""Producing on a real Kafka: order, nothing lost, nothing doubled, whoever dies."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time

import pytest
from aiokafka import TopicPartition

from producers.feeds.simulated import SimulatedFeed
from producers.produce import produce
from producers.publisher import LETTER_BYTES_MAX, Publisher, partition_of
from producers.sessions import TAKE_OVER_SEQ, newest
from producers_builders import ListFeed, seen_trade
from producers_topics import T0, WAIT_S, batches, check_lane, events_of, ids_of, lanes_of, until
from schemas.codec import input_decoder
from schemas.dead_letters import DeadLetter
from schemas.errors import FencedError, SettingsError, UnavailableError
from schemas.events import Clock, End, Trade
from schemas.health import Health
from schemas.sections import Simulated
from schemas.settings import Settings

pytestmark = pytest.mark.stack


async def test_a_feed_is_published_in_order_and_its_summary_tells_where_it_ends(settings):
    summary = await produce(ListFeed(batches(5_000)), settings, Health(), asyncio.Event())

    lanes = await events_of(settings)
    assert (summary.trades, summary.epoch, summary.rejected) == (5_000, 1, 0)
    assert len(lanes) == settings.kafka.partitions
    for partition, lane in lanes.items():
        check_lane(lane)
        assert summary.end_offsets[f"{settings.namespace}.trades"][partition] == len(lane) - 1
    assert len(ids_of(lanes)) == len(set(ids_of(lanes))) == 5_000


async def test_an_instrument_is_where_every_client_of_kafka_looks_for_it(settings):
    await produce(ListFeed(batches(100)), settings, Health(), asyncio.Event())

    for partition, records in (await lanes_of(settings, "trades")).items():
        for record in records:
            if input_decoder.decode(record.value).__class__ is Trade:
                assert partition_of(record.key, settings.kafka.partitions) == partition
    # The value that Kafka's own Utils.murmur2 gives for its test vector "21".
    assert partition_of(b"21", 2**31) == -973932308 & 0x7FFFFFFF


async def test_a_file_fed_again_gives_the_same_events_in_the_next_epoch(settings):
    for _ in range(2):
        await produce(ListFeed(batches(300)), settings, Health(), asyncio.Event())

    for lane in (await events_of(settings)).values():
        first = [e for e in lane if e.epoch == 1]
        second = [e for e in lane if e.epoch == 2]
        assert lane == first + second
        for event in first:
            event.epoch = 2
        assert first == second


async def test_a_feed_that_fails_ends_its_session_as_failed(settings):
    feed = ListFeed(batches(100), error=ValueError("the venue is gone"))

    with pytest.raises(ValueError, match="the venue is gone"):
        await produce(feed, settings, Health(), asyncio.Event())

    for lane in (await events_of(settings)).values():
        check_lane(lane)
        assert (lane[-1].state, lane[-1].reason) == ("failed", "ValueError: the venue is gone")
    [entry] = await catalogue(settings)
    assert (entry.state, entry.counts["trades"]) == ("failed", 100)


async def catalogue(settings: Settings) -> list:
    lanes = await lanes_of(settings, "sessions")
    return list(newest(record.value for record in lanes[0]).values())


async def test_a_stopped_session_is_completed_and_has_all_that_was_given(settings):
    stop, feed = asyncio.Event(), ListFeed(batches(500), endless=True)
    task = asyncio.create_task(produce(feed, settings, Health(), stop))
    await until(lambda: feed.given == 500, "the feed")

    stop.set()
    summary = await task

    assert summary.trades == 500
    [entry] = await catalogue(settings)
    assert (entry.state, entry.counts["trades"]) == ("completed", 500)


async def test_clocks_and_heartbeats_go_on_while_the_market_is_quiet(settings):
    quick = settings.model_copy(
        update={
            "produce": settings.produce.model_copy(
                update={"heartbeat_ms": 100, "heartbeat_timeout_ms": 500}
            )
        }
    )
    stop = asyncio.Event()
    feed = SimulatedFeed(Simulated(rate=2, instruments=1, books_share=0))
    task = asyncio.create_task(produce(feed, quick, Health(), stop))
    lanes: dict[int, list] = {}
    deadline = time.monotonic() + WAIT_S
    while not lanes or min(sum(type(e) is Clock for e in lane) for lane in lanes.values()) < 8:
        assert time.monotonic() < deadline
        lanes = await events_of(settings)

    stop.set()
    await task

    lane = (await lanes_of(settings, "sessions"))[0]
    assert len(lane) > 4


async def test_bad_ticks_are_dead_letters_on_their_topic(settings):
    bad = seen_trade(0.05, price=-1.0)
    some = batches(100)
    some[0].insert(50, bad)

    summary = await produce(ListFeed(some), settings, Health(), asyncio.Event())

    assert (summary.trades, summary.rejected) == (100, 1)
    [letter] = (await lanes_of(settings, "dead-letters"))[0]
    headers = dict(letter.headers)
    assert b"price is not positive" in headers["reason"]
    assert headers["topic"] == f"{settings.namespace}.trades".encode()


async def test_a_dead_letter_that_is_too_long_is_cut_and_says_so(settings):
    letter = DeadLetter(b"x" * 3_000_000, "any", 3, 7, "too long", "tests", b"key")

    async with Publisher(settings, Health()) as publisher:
        await publisher.dead_letter(letter)

    [record] = (await lanes_of(settings, "dead-letters"))[0]
    assert len(record.value) == LETTER_BYTES_MAX
    assert dict(record.headers)["cut"] == b"3000000"
    assert record.key == b"key"


async def test_a_killed_recorder_is_ended_as_failed_by_its_successor(settings):
    code = (
        "import asyncio, sys, msgspec\n"
        "from producers.feeds.simulated import SimulatedFeed\n"
        "from producers.produce import produce\n"
        "from schemas.health import Health\n"
        "from schemas.settings import Settings\n"
        "settings = Settings.model_validate_json(sys.argv[1])\n"
        "feed = SimulatedFeed(settings.simulated)\n"
        "asyncio.run(produce(feed, settings, Health(), asyncio.Event()))\n"
    )
    plain = settings.model_dump_json(exclude={"questdb"})
    victim = subprocess.Popen((sys.executable, "-c", code, plain))  # noqa: ASYNC220 - at once
    try:
        deadline = time.monotonic() + WAIT_S
        while not any(
            type(e) is Clock for some in (await events_of(settings)).values() for e in some
        ):
            assert time.monotonic() < deadline
    finally:
        victim.kill()
        victim.wait()
    killed = (await catalogue(settings))[0].session

    await produce(ListFeed(batches(10)), settings, Health(), asyncio.Event())

    states = {entry.session: entry.state for entry in await catalogue(settings)}
    assert states == {killed: "failed", "list-1": "completed"}
    for lane in (await events_of(settings)).values():
        last = [e for e in lane if e.session == killed][-1]
        assert isinstance(last, End)
        assert (last.state, last.seq, last.epoch) == ("failed", TAKE_OVER_SEQ + 2, 2)


async def test_a_session_that_somebody_else_records_right_now_is_refused(settings):
    other = settings.model_copy(
        update={"produce": settings.produce.model_copy(update={"owner": "somebody else"})}
    )
    stop, feed = asyncio.Event(), ListFeed(batches(10), endless=True)
    task = asyncio.create_task(produce(feed, other, Health(), stop))
    await until(lambda: feed.given == 10, "the first recorder")

    with pytest.raises(FencedError, match="somebody else"):
        await produce(ListFeed(batches(10)), settings, Health(), asyncio.Event())

    stop.set()
    await task


async def test_topics_that_are_missing_or_differ_are_named(settings):
    elsewhere = settings.model_copy(update={"namespace": "test-nowhere"})

    with pytest.raises(SettingsError, match=r"test-nowhere\.trades"):
        await produce(ListFeed([]), elsewhere, Health(), asyncio.Event())


async def test_no_kafka_at_all_is_said_clearly(settings):
    kafka = settings.kafka.model_copy(update={"port": 1})

    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:1"):
        await produce(
            ListFeed([]), settings.model_copy(update={"kafka": kafka}), Health(), asyncio.Event()
        )


async def test_sequence_numbers_wrap_as_kafka_wants_it(settings):
    topic = f"{settings.namespace}.trades"
    async with Publisher(settings, Health()) as publisher:
        place = TopicPartition(topic, 0)
        publisher._producer._txn_manager._sequence_numbers[place] = 2**31 - 5
        for n in range(20):
            await publisher.publish([(topic, 0, b"k", b"%d" % n, T0 // 10**6)])
            await publisher.flush()

    assert [int(r.value) for r in (await lanes_of(settings, "trades"))[0]] == list(range(20))
