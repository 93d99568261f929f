"""Wait until a session that has ended is stored, its candles too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from consumers.store import reader
from consumers.store.sql import database
from deploy import kafka_admin
from schemas.errors import TimedOutError
from schemas.settings import Settings
from schemas.topics import BARS, BOOKS, CANDLES, TRADES

POLL_S = 0.1
APPLIED_S_MAX = 60.0


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
    ends = {
        (topic, partition): offset + 1
        for topic, partitions in end_offsets.items()
        for partition, offset in partitions.items()
    }
    trades, books, bars, candles = (
        topic.full_name(settings.namespace) for topic in (TRADES, BOOKS, BARS, CANDLES)
    )
    # What the stream has committed is saved, and it saves only after its candles are acknowledged.
    of_trades = {place: end for place, end in ends.items() if place[0] == trades}
    await _reach(settings, settings.stream_group, of_trades, seconds, tell)
    wanted = {place: end for place, end in ends.items() if place[0] in (trades, books, bars)}
    wanted |= await kafka_admin.log_ends(settings, [candles])
    await _reach(settings, settings.store_group, wanted, seconds, tell)
    await asyncio.to_thread(_wait_applied, settings)


async def _reach(
    settings: Settings,
    group: str,
    wanted: Mapping[kafka_admin.Place, int],
    seconds: float,
    tell: Callable[[int], None],
) -> None:
    clock = asyncio.get_running_loop().time
    least, since = -1, clock()
    while True:
        found = await kafka_admin.committed(settings, group)
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
