"""Rebuild candles from stored ticks where ticks came after the revision horizon."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Final, NamedTuple

from consumers.store import reader, ticks
from consumers.store.sql import Database, Row, database
from consumers.store.ticks import Told
from deploy import kafka_admin
from deploy.rebuild import Change, change_of, compare, hours_of, rebuild, spans
from deploy.stored import wait_stored
from deploy.times import TIME_NS_MAX, iso
from producers.publisher import Publisher, partition_of
from producers.sessions import newest
from schemas.calendars import GRACE_AFTER_CLOSE_NS
from schemas.codec import encode
from schemas.errors import SettingsError, UnknownNameError
from schemas.events import NS_PER_MS, Candle, SessionRecord
from schemas.health import Health
from schemas.intervals import longest_ns
from schemas.settings import Settings
from schemas.topics import CANDLES, SESSIONS, TRADES

STORED_S_MAX: Final = 60.0
Repaired = list[tuple[Candle, Row | None]]
"""Candles, and what is stored in their places."""


class Request(NamedTuple):
    """Candles with ``since <= ts_open < until`` (ns), of a session or an instrument or both."""

    session: str | None = None
    instrument: str | None = None
    since: int = reader.EARLIEST_NS
    until: int = TIME_NS_MAX


async def repair(settings: Settings, request: Request, *, dry_run: bool = False) -> list[Change]:
    """Publish what stored ticks make of candles that differ; return it once it is stored.

    With ``dry_run`` nothing is published. Raises ``UnknownNameError`` for a session that is not in
    the catalogue, ``SettingsError`` for candles that the stream may still revise, ``DataError`` if
    the store lacks ticks, and ``TimedOutError`` if stream or store do not get on with what is
    already published.
    """
    values = kafka_admin.values(settings, SESSIONS.full_name(settings.namespace))
    catalogue = newest([value async for value in values])
    await wait_stored(settings, await _present_ends(settings), seconds=STORED_S_MAX)
    changes: list[Change] = []
    async with Publisher(settings, Health(), stage="repair") as publisher:
        partitions = await publisher.partitions()
        async with aclosing(_steps(settings, request, catalogue)) as steps:
            async for repaired in steps:
                changes += [change_of(candle, stored) for candle, stored in repaired]
                if not dry_run:
                    await _publish(publisher, settings.namespace, partitions, repaired)
        await publisher.flush()
    if changes and not dry_run:
        await wait_stored(settings, {}, seconds=STORED_S_MAX)
    return changes


async def _publish(
    publisher: Publisher, namespace: str, partitions: int, repaired: Repaired
) -> None:
    topic = CANDLES.full_name(namespace)
    await publisher.publish(
        (
            topic,
            partition_of(key := candle.instrument.encode(), partitions),
            key,
            encode(candle),
            candle.ts_close // NS_PER_MS,
        )
        for candle, _ in repaired
    )


async def _present_ends(settings: Settings) -> dict[str, dict[int, int]]:
    """Return the last record of each partition of trades, for ``wait_stored``."""
    name = TRADES.full_name(settings.namespace)
    ends = await kafka_admin.log_ends(settings, [name])
    return {name: {partition: end - 1 for (_, partition), end in ends.items()}}


async def _steps(
    settings: Settings, request: Request, catalogue: Mapping[str, SessionRecord]
) -> AsyncGenerator[Repaired, None]:
    """Yield what is to be repaired, a bounded number of candles at a time; works in a thread."""
    with database(settings.questdb) as db:
        found = _repairs(db, request, catalogue)
        while (repaired := await asyncio.to_thread(next, found, None)) is not None:
            yield repaired


def _repairs(
    db: Database, request: Request, catalogue: Mapping[str, SessionRecord]
) -> Iterator[Repaired]:
    entries = _entries(db, request, catalogue)
    for entry in entries:
        check_settled(entry, request.until)
    for entry in entries:
        told = ticks.told(db, entry.session)
        if told is None:
            what = f"session {entry.session} cannot be rebuilt"
            raise SettingsError(what, "its start is not stored", "see: tickerplant audit")
        one = request.instrument
        for instrument in [one] if one else ticks.instruments(db, entry.session):
            yield from _of_instrument(db, request, entry, told, instrument)


def _of_instrument(
    db: Database, request: Request, entry: SessionRecord, told: Told, instrument: str
) -> Iterator[Repaired]:
    ending = request.until + max(map(longest_ns, entry.rules.intervals)) + GRACE_AFTER_CLOSE_NS
    until = min(ending, TIME_NS_MAX)
    calendar = hours_of(instrument, entry.rules, told.began)
    minutes = ticks.minutes(db, entry.session, instrument, request.since, until)
    read = partial(ticks.trades, db, entry.session, instrument)
    for candles in rebuild(entry, told, [*spans(minutes, calendar, until)], read):
        asked = [
            candle
            for candle in candles
            if request.since <= candle.ts_open < request.until and candle.ts_close <= settled(entry)
        ]
        yield [*_differing(db, asked, told)]


def _differing(
    db: Database, candles: Sequence[Candle], told: Told
) -> Iterator[tuple[Candle, Row | None]]:
    """Compare candles of one instrument with the last word of the store on each."""
    for interval in dict.fromkeys(candle.interval for candle in candles):
        some = [candle for candle in candles if candle.interval == interval]
        times = [candle.ts_open for candle in some]
        rows = reader.candles(
            db,
            some[0].instrument,
            interval,
            since=min(times),
            until=max(times) + 1,
            session=some[0].session,
        )
        stored = {row["ts_open"]: row for row in rows}
        for candle in some:
            before = stored.get(candle.ts_open)
            repaired = compare(candle, before, told)
            if repaired is not None:
                yield repaired, before


def _entries(
    db: Database, request: Request, catalogue: Mapping[str, SessionRecord]
) -> list[SessionRecord]:
    """Return the sessions that are asked for, or raise ``UnknownNameError``."""
    if request.session is not None:
        names = [request.session]
    elif request.instrument is not None:
        names = ticks.sessions(db, request.instrument, request.since, request.until)
    else:
        raise SettingsError("nothing to repair is named", hint="name a session or --instrument")
    for name in names:
        if name not in catalogue:
            raise _not_in_catalogue(db, name, catalogue)
    known = reader.instruments(db)
    if request.instrument is not None and request.instrument not in known:
        raise UnknownNameError.of("instrument", request.instrument, known)
    return [catalogue[name] for name in names]


def _not_in_catalogue(
    db: Database, name: str, catalogue: Mapping[str, SessionRecord]
) -> UnknownNameError:
    if not ticks.instruments(db, name):
        return UnknownNameError.of("session", name, catalogue)
    return UnknownNameError(
        f"session {name} is not in the catalogue",
        "its ticks are stored, but not the rules of its candles",
        "it is of another namespace, or its topic was deleted: set TICKERPLANT_NAMESPACE",
    )


def settled(entry: SessionRecord) -> int:
    """Return the source time up to which the stream revises no candle any more."""
    if entry.state != "active":
        return TIME_NS_MAX
    return entry.source_time - entry.rules.horizon_ms * NS_PER_MS


def check_settled(entry: SessionRecord, until: int) -> None:
    """Raise ``SettingsError`` if candles up to ``until`` may still be revised."""
    if until > settled(entry):
        raise SettingsError(
            f"session {entry.session} is being recorded",
            f"its stream revises candles until {entry.rules.horizon_ms} ms after their close",
            f"repair it after its end, or --until {iso(max(0, settled(entry)), 0)}",
        )
