"""Topics of a namespace: created once, compared ever after, never silently wrong."""

from __future__ import annotations

import asyncio

import pytest

from deploy import kafka_admin
from schemas.errors import SettingsError, TimedOutError, UnavailableError
from schemas.settings import Settings
from schemas.topics import TOPICS

NOBODY_LISTENS = Settings().kafka.model_copy(update={"bootstrap": "127.0.0.1:1"})


def states(rows: list[kafka_admin.Provisioned]) -> set[str]:
    return {row.state for row in rows}


@pytest.mark.stack
async def test_provisioning_again_finds_every_topic_as_it_should_be(settings: Settings):
    rows = await kafka_admin.provision(settings)

    assert {row.topic for row in rows} == {
        topic.full_name(settings.namespace) for topic in TOPICS.values()
    }
    assert states(rows) == {"exists"}
    kafka_admin.check(rows)


@pytest.mark.stack
async def test_a_dry_run_creates_nothing(servers: Settings):
    settings = servers.model_copy(update={"namespace": "test-dry"})

    assert states(await kafka_admin.provision(settings, dry_run=True)) == {"would create"}
    assert await kafka_admin.remove(settings) == []


@pytest.mark.stack
async def test_two_that_provision_at_once_do_not_disturb_each_other(servers: Settings):
    settings = servers.model_copy(update={"namespace": "test-twice"})
    try:
        both = await asyncio.gather(*(kafka_admin.provision(settings) for _ in range(2)))
        created = [row.topic for rows in both for row in rows if row.state == "created"]

        assert len(created) == len(set(created)) == len(TOPICS)
    finally:
        await kafka_admin.remove(settings)


@pytest.mark.stack
async def test_other_partitions_and_another_retention_are_a_clear_error(settings: Settings):
    kafka = settings.kafka.model_copy(update={"partitions": 2, "retention_days": 3})

    rows = await kafka_admin.provision(settings.model_copy(update={"kafka": kafka}))

    with pytest.raises(SettingsError, match=r"partitions 4, wanted 2; retention\.ms"):
        kafka_admin.check(rows)


async def test_a_kafka_that_is_not_there_is_unavailable():
    settings = Settings(kafka=NOBODY_LISTENS)

    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:1"):
        await kafka_admin.provision(settings)


async def test_waiting_for_kafka_ends_with_the_reason():
    with pytest.raises(TimedOutError, match=r"waited 0\.3 s: 127\.0\.0\.1:1"):
        await kafka_admin.wait_for_kafka(Settings(kafka=NOBODY_LISTENS), 0.3)
