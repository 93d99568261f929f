"""Administration of Kafka, and looking into topics. The one module of ``deploy`` with aiokafka."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final, Literal

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from schemas.errors import SettingsError, TimedOutError, UnavailableError
from schemas.settings import Settings
from schemas.topics import TOPICS, Topic

REQUEST_MS_MAX: Final = 15_000
ANSWER_S_MAX: Final = 8.0
POLL_S: Final = 0.1
IDLE_MS: Final = 1_000
Place = tuple[str, int]
"""Topic and partition."""

# It logs each refused connection as an error; we raise what matters.
logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


@dataclass(slots=True)
class Provisioned:
    """What ``provision`` found or did for one topic."""

    topic: str
    partitions: int
    config: dict[str, str]
    state: Literal["created", "would create", "exists", "differs"] = "exists"
    differences: tuple[str, ...] = ()


@asynccontextmanager
async def admin(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    """Connect for administration; raises ``UnavailableError`` for whatever Kafka refuses."""
    client = AIOKafkaAdminClient(
        bootstrap_servers=settings.kafka.servers, request_timeout_ms=REQUEST_MS_MAX
    )
    try:
        await client.start()
        yield client
    except (KafkaError, OSError, TimeoutError) as error:
        raise _unavailable(settings, error) from error
    finally:
        await client.close()


async def ping(settings: Settings) -> None:
    """Return if Kafka has a broker that answers, otherwise raise ``UnavailableError``."""
    async with admin(settings) as client:
        cluster = await client.describe_cluster()
    if not cluster["brokers"]:
        raise UnavailableError("Kafka does not answer", "no broker has joined yet")


async def wait_for_kafka(settings: Settings, seconds: float) -> None:
    """Return when Kafka answers; raise ``TimedOutError`` when it has not for so long."""
    why = ""
    try:
        async with asyncio.timeout(seconds):
            while True:
                try:
                    return await ping(settings)
                except UnavailableError as error:
                    why = error.detail
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise TimedOutError(
            "Kafka is not ready", f"waited {seconds:g} s: {why}", "see: tickerplant logs kafka"
        ) from None


async def provision(settings: Settings, *, dry_run: bool = False) -> list[Provisioned]:
    """Create the topics of the namespace that do not exist and compare those that do.

    Changes no topic that exists: one with other partitions or another configuration is reported
    as ``differs``. Raises ``UnavailableError``.
    """
    wanted = {topic.full_name(settings.namespace): topic for topic in TOPICS.values()}
    async with admin(settings) as client:
        partitions = await _partitions_of(client, wanted)
        missing = [name for name in wanted if name not in partitions]
        created: set[str] = set()
        if missing and not dry_run:
            created = await _create(client, settings, {name: wanted[name] for name in missing})
            partitions = await _visible(client, wanted)
        configs = await _configs(client, list(partitions))
    rows = []
    for name, topic in wanted.items():
        row = Provisioned(
            name, _partitions(topic, settings), topic.config(settings.kafka.retention_days)
        )
        if name not in partitions:
            row.state = "would create"
        elif name in created:
            row.state = "created"
        elif differences := _differences(row, partitions[name], configs[name]):
            row.state, row.differences = "differs", differences
        rows.append(row)
    return rows


def check(rows: list[Provisioned]) -> None:
    """Raise ``SettingsError`` if a topic is there with another shape than the settings want."""
    wrong = [f"{row.topic}: {'; '.join(row.differences)}" for row in rows if row.differences]
    if wrong:
        raise SettingsError(
            "topics differ from the settings",
            ", ".join(wrong),
            "set kafka.partitions and kafka.retention_days as they are, alter the topics with "
            "Kafka's own tools, or use another TICKERPLANT_NAMESPACE",
        )


async def remove(settings: Settings) -> list[str]:
    """Delete the topics of the namespace and what is on them; return those that were there."""
    async with admin(settings) as client:
        existing = set(await client.list_topics())
        full = (topic.full_name(settings.namespace) for topic in TOPICS.values())
        names = [name for name in full if name in existing]
        if names:
            _check(await client.delete_topics(names), "topic_error_codes")
    return names


async def committed(settings: Settings, group: str) -> dict[Place, int]:
    """Return the offset that a consumer group goes on from, by topic and partition."""
    async with admin(settings) as client:
        found = await client.list_consumer_group_offsets(group)
    return {(place.topic, place.partition): entry.offset for place, entry in found.items()}


async def log_ends(settings: Settings, topics: Iterable[str]) -> dict[Place, int]:
    """Return the offset after the last record, by topic and partition.

    Raises ``UnavailableError``, also for a topic that is not there.
    """
    wanted = set(topics)
    async with admin(settings) as client:
        partitions = await _partitions_of(client, wanted)
    if missing := wanted - partitions.keys():
        raise UnavailableError("topics are not there", ", ".join(sorted(missing)), "provision them")
    places = [TopicPartition(name, n) for name, count in partitions.items() for n in range(count)]
    async with _consumer(settings) as consumer:
        ends = await consumer.end_offsets(places)
    return {(place.topic, place.partition): end for place, end in ends.items()}


async def values(settings: Settings, topic: str) -> AsyncIterator[bytes | None]:
    """Give the value of every record that is on a topic now, each partition in order."""
    async for records in read(settings, topic):
        for record in records:
            yield record.value


async def read(
    settings: Settings, topic: str, since_ms: int = 0, *, follow: bool = False, last: int = 0
) -> AsyncGenerator[list[Any], None]:
    """Give batches of the committed records whose time is not before ``since_ms``.

    With ``last``, only so many of each partition, and what comes after them. They end where the
    topic ends now, unless they ``follow``. A batch goes by time, and each partition keeps its
    order. Raises ``UnavailableError``, also if Kafka goes away meanwhile.
    """
    try:
        ends = await asyncio.wait_for(log_ends(settings, [topic]), ANSWER_S_MAX)
    except TimeoutError as error:
        raise _unavailable(settings, error) from error
    places = {TopicPartition(*place): end for place, end in ends.items()}
    async with _consumer(settings, isolation_level="read_committed") as consumer:
        consumer.assign(list(places))
        found = await consumer.offsets_for_times(dict.fromkeys(places, since_ms))
        for place, end in places.items():
            since = found[place].offset if found.get(place) else end
            consumer.seek(place, max(since, end - last) if last else since)
        while follow or any([await consumer.position(place) < places[place] for place in places]):
            if fetched := await consumer.getmany(timeout_ms=IDLE_MS):
                yield list(heapq.merge(*fetched.values(), key=attrgetter("timestamp")))
            else:  # a silence may be an absence
                await asyncio.wait_for(consumer.end_offsets(list(places)), ANSWER_S_MAX)


@asynccontextmanager
async def _consumer(settings: Settings, **options: str) -> AsyncIterator[AIOKafkaConsumer]:
    """Connect for reading as a member of no group; raises ``UnavailableError``."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka.servers,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        **options,
    )
    try:
        await consumer.start()
        yield consumer
    except (KafkaError, TimeoutError) as error:
        raise _unavailable(settings, error) from error
    finally:
        await consumer.stop()


def _unavailable(settings: Settings, error: Exception) -> UnavailableError:
    return UnavailableError(
        "Kafka does not answer",
        f"{settings.kafka.servers}: {type(error).__name__}: {error}"[:300],
        "start it with: tickerplant up; if it runs, see: tickerplant logs kafka",
    )


def _partitions(topic: Topic, settings: Settings) -> int:
    return settings.kafka.partitions if topic.partitioned else 1


async def _partitions_of(client: AIOKafkaAdminClient, names: Iterable[str]) -> dict[str, int]:
    """Return the partition count of those that exist and have a leader everywhere."""
    wanted = set(names)
    return {
        topic["topic"]: len(topic["partitions"])
        for topic in await client.describe_topics()
        if topic["topic"] in wanted and not any(p["error_code"] for p in topic["partitions"])
    }


async def _visible(client: AIOKafkaAdminClient, names: Collection[str]) -> dict[str, int]:
    """Wait until all topics can be used: creating returns a moment before that."""
    async with asyncio.timeout(REQUEST_MS_MAX / 1000):
        while True:
            found = await _partitions_of(client, names)
            if len(found) == len(names):
                return found
            await asyncio.sleep(POLL_S)


async def _create(
    client: AIOKafkaAdminClient, settings: Settings, topics: dict[str, Topic]
) -> set[str]:
    """Return those that we created; another process may have been quicker with some."""
    new = [
        NewTopic(
            name,
            _partitions(topic, settings),
            settings.kafka.replication,
            topic_configs=topic.config(settings.kafka.retention_days),
        )
        for name, topic in topics.items()
    ]
    response = await client.create_topics(new)
    return _check(response, "topic_errors", allowed=(TopicAlreadyExistsError,))


def _check(response: Any, errors: str, allowed: tuple[type[KafkaError], ...] = ()) -> set[str]:
    """Raise the first error of a response about topics; return the names without one."""
    good = set()
    for name, code, *message in getattr(response, errors):
        kind = for_code(code)
        if code and kind not in allowed:
            raise kind(f"{name}: {message[0] if message else kind.description}")
        if not code:
            good.add(name)
    return good


async def _configs(client: AIOKafkaAdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    found = {}
    for response in await client.describe_configs(resources):
        for _error, _message, _kind, name, entries in response.resources:
            found[name] = {entry[0]: entry[1] for entry in entries}
    return found


def _differences(row: Provisioned, partitions: int, config: dict[str, str]) -> tuple[str, ...]:
    found = {"partitions": str(partitions), **config}
    wanted = {"partitions": str(row.partitions), **row.config}
    return tuple(
        f"{name} {found.get(name)}, wanted {value}"
        for name, value in wanted.items()
        if found.get(name) != value
    )
