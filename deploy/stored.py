"""Wait until a session that has ended is stored, its candles too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

from consumers.store import reader
from consumers.store.sql import database
from deploy import kafka_admin
from schemas.errors import TimedOutError, UnavailableError
from schemas.settings import Settings
from schemas.topics import BARS, BOOKS, LATE, QUOTES, SESSIONS, TRADES, Topic
from streams.flow import flows_of

POLL_S = 0.1
APPLIED_S_MAX = 60.0


def check_store(settings: Settings) -> None:
    """Raise ``UnavailableError`` if the store does not answer: to say so before, not after."""
    with database(settings.questdb):
        pass


async def wait_stored(
    settings: Settings,
    end_offsets: Mapping[str, Mapping[int, int]],
    *,
    seconds: float,
    tell: Callable[[int], None] = lambda _: None,
) -> None:
    """Return when everything up to the ``end`` records can be read from the store.

    ``end_offsets`` has the offset of ``end`` by topic and partition, ``tell`` is given the number
    of records still to go. Raises ``TimedOutError`` if nothing moves for ``seconds``.
    """
    ends = ends_of(end_offsets)
    await wait_taken(settings, ends, seconds=seconds, tell=tell)
    # Who does not know that it has ended refuses to replay it.
    catalogue = await kafka_admin.log_ends(settings, _full_names(settings, (SESSIONS,)))
    await reach(settings, settings.store_group, catalogue, seconds, tell)
    await asyncio.to_thread(_wait_applied, settings)


def ends_of(end_offsets: Mapping[str, Mapping[int, int]]) -> dict[kafka_admin.Place, int]:
    """Return the offset behind each ``end`` record: who has committed it has read all."""
    return {
        (topic, partition): offset + 1
        for topic, partitions in end_offsets.items()
        for partition, offset in partitions.items()
    }


async def wait_taken(
    settings: Settings,
    ends: Mapping[kafka_admin.Place, int],
    *,
    seconds: float,
    tell: Callable[[int], None] = lambda _: None,
) -> None:
    """Return when the workers have written what is before ``ends``, candles too.

    Raises ``TimedOutError`` if nothing moves for ``seconds``.
    """
    flows = flows_of(settings)
    # What the stream has committed is saved, and it saves only after its candles are acknowledged.
    inputs = _full_names(settings, (flow.input for flow in flows))
    streamed = {place: end for place, end in ends.items() if place[0] in inputs}
    await reach(settings, settings.stream_group, streamed, seconds, tell)
    kept = _full_names(settings, (TRADES, BOOKS, QUOTES, BARS))
    wanted = {place: end for place, end in ends.items() if place[0] in kept}
    wanted |= await kafka_admin.log_ends(
        settings, _full_names(settings, (*(flow.candles for flow in flows), LATE))
    )
    await reach(settings, settings.store_group, wanted, seconds, tell)


def _full_names(settings: Settings, topics: Iterable[Topic]) -> list[str]:
    return [topic.full_name(settings.namespace) for topic in topics]


def _of(
    settings: Settings, ends: Mapping[kafka_admin.Place, int], topics: Iterable[Topic]
) -> dict[kafka_admin.Place, int]:
    names = {topic.full_name(settings.namespace) for topic in topics}
    return {place: end for place, end in ends.items() if place[0] in names}


async def reach(
    settings: Settings,
    group: str,
    wanted: Mapping[kafka_admin.Place, int],
    seconds: float,
    tell: Callable[[int], None],
) -> None:
    """Return when the group has committed all ``wanted`` offsets, as in ``wait_stored``."""
    clock = asyncio.get_running_loop().time
    least, since = -1, clock()
    while True:
        try:
            found = await kafka_admin.committed(settings, group)
        except UnavailableError:  # a cluster just started has nowhere to keep offsets yet
            if clock() - since > seconds:
                raise
            found = {}
        left = sum(max(0, end - found.get(place, 0)) for place, end in wanted.items())
        tell(left)
        if not left:
            return
        if least < 0 or left < least:
            least, since = left, clock()
        if clock() - since > seconds:
            raise TimedOutError(
                f"{group} does not go on",
                f"{left} records to go for {seconds:g} s",
                "see: tickerplant status; tickerplant logs stream; tickerplant logs consume",
            )
        await asyncio.sleep(POLL_S)


def _wait_applied(settings: Settings) -> None:
    with database(settings.questdb) as db:
        reader.wait_applied(db, APPLIED_S_MAX)
