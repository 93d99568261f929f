"""Delete sessions for good: out of sight at once, then out of every table and off the disk."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from consumers.store.client import IngestClient
from consumers.store.reading import catalogue as stored
from consumers.store.sinks.sessions import SessionSink
from consumers.store.sql import database
from consumers.store.upkeep.partitions import Part
from consumers.store.upkeep.purge import Turn, deleted, plan, purge
from deploy import kafka_admin
from deploy.local.progress import Progress
from deploy.stored import wait_taken
from deploy.times import iso
from producers.publisher import Publisher
from producers.sessions import Catalogue, alive
from schemas.errors import AlreadyRunningError, FencedError
from schemas.events import CandleRules, SessionRecord
from schemas.health import Health
from schemas.settings import Settings
from schemas.topics import INPUTS

STALL_S_MAX = 60.0


def planned(settings: Settings, names: Sequence[str]) -> list[Part]:
    """Return the partitions that have rows of sessions, or raise ``UnknownNameError``."""
    with database(settings.questdb) as db:
        for name in names:
            stored.session(db, name)
        return plan(db, names)


async def remove(settings: Settings, names: Sequence[str], progress: Progress) -> int:
    """Delete sessions and return how many rows went.

    Raises ``UnknownNameError``, ``AlreadyRunningError`` for one that is being recorded, and
    ``FencedError`` if one is fed again meanwhile. Killed anywhere, ``resume`` finishes it.
    """
    async with _catalogue(settings) as catalogue:
        entries = await _entries(settings, catalogue, names)
        for entry in entries:
            if alive(entry, time.time_ns()):
                raise AlreadyRunningError(
                    "session is being recorded",
                    f"{entry.session}, by {entry.owner}",
                    "end its recorder first: Ctrl-C its feed, or tickerplant down",
                )
        gone = [await catalogue.delete(entry, time.time_ns()) for entry in entries]
        await asyncio.to_thread(_hide, settings, gone)
        progress.say("out of sight; now its rows leave every table")
        await _caught_up(settings, progress)
        return await _purge(settings, catalogue, names, progress)


async def resume(settings: Settings, progress: Progress) -> int:
    """Finish what killed removals left, and return how many rows went."""
    async with _catalogue(settings) as catalogue:
        known = await catalogue.known()
        with database(settings.questdb) as db:
            names = [
                name for name in deleted(db) if name not in known or known[name].state == "deleted"
            ]
        await _caught_up(settings, progress)
        return await _purge(settings, catalogue, names, progress)


def turn(settings: Settings) -> Turn:
    """Return who this process is to others that rewrite partitions."""
    holder = f"{socket.gethostname()}-{os.getpid()}-{time.time_ns()}"
    return Turn(holder=holder, term_ms=settings.retention.lease_ms)


@asynccontextmanager
async def _catalogue(settings: Settings) -> AsyncIterator[Catalogue]:
    async with Publisher(settings, Health("kafka")) as publisher:
        yield Catalogue(publisher, settings.namespace, await publisher.partitions())


async def _entries(
    settings: Settings, catalogue: Catalogue, names: Sequence[str]
) -> list[SessionRecord]:
    """Return the entries of sessions; what the topic has forgotten, the store has not."""
    known = await catalogue.known()
    with database(settings.questdb) as db:
        return [known.get(name) or _entry(stored.session(db, name)) for name in names]


def _entry(info: stored.SessionInfo) -> SessionRecord:
    return SessionRecord(
        session=info.session,
        epoch=info.epoch,
        state="completed",
        origin=info.origin or "",
        owner=info.owner or "",
        started_ns=info.started,
        heartbeat_ns=info.updated or 0,
        heartbeat_timeout_ms=0,
        topics=info.topics,
        instruments=info.instruments,
        rules=info.rules or CandleRules(intervals=(), grace_ms=0, horizon_ms=0),
        source_time=info.source_time or 0,
        counts={name: getattr(info, name) for name in ("trades", "books", "quotes", "bars")},
        gaps=info.gaps,
        reason=info.reason,
    )


def _hide(settings: Settings, gone: list[SessionRecord]) -> None:
    """Write to the store what its worker will: nobody may be running to do so."""
    client = IngestClient(settings.questdb)
    try:
        SessionSink(client).write(gone)
    finally:
        client.close()


async def _caught_up(settings: Settings, progress: Progress) -> None:
    """Wait until the workers have written what there is of the sessions: later it would come back.

    A session that is deleted has ended, so nothing more is coming.
    """
    topics = [topic.full_name(settings.namespace) for topic in INPUTS]
    ends = await kafka_admin.log_ends(settings, topics)
    progress.begin("waiting for stream and store")
    await wait_taken(settings, ends, seconds=STALL_S_MAX)
    progress.done("waiting for stream and store")


async def _purge(
    settings: Settings, catalogue: Catalogue, names: Sequence[str], progress: Progress
) -> int:
    loop = asyncio.get_running_loop()

    async def check() -> None:
        known = await catalogue.known()
        for name in names:
            if name in known and known[name].state != "deleted":
                raise FencedError(
                    "session is being fed again",
                    f"{name}, by {known[name].owner}",
                    "it comes back whole; delete it again when it has ended",
                )

    def still_deleted() -> None:
        asyncio.run_coroutine_threadsafe(check(), loop).result()

    def run() -> int:
        with database(settings.questdb) as db:
            progress.begin("deleting", sum(part.gone for part in plan(db, names)))
        gone = 0
        for part, rows in purge(settings.questdb, names, turn(settings), still_deleted):
            progress.say(f"{part.table} {iso(part.since)}: {rows} of {part.rows} rows gone")
            progress.advance("deleting", rows)
            gone += rows
        progress.done("deleting", f"{gone} rows")
        return gone

    return await asyncio.to_thread(run)
