"""The catalogue of recordings: whose epoch it is, who lives, and the end of those who died."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final, Protocol

from msgspec import structs

from producers.recorder import Record
from schemas.codec import DECODE_ERRORS, encode, session_decoder
from schemas.errors import FencedError
from schemas.events import NS_PER_MS, End, SessionRecord
from schemas.topics import SESSIONS, topic_of

log = logging.getLogger(__name__)

TAKE_OVER_SEQ: Final = 2**52
"""Above any publisher's: the end that a successor writes is the last event of its epoch."""


class Log(Protocol):
    """What the catalogue needs of Kafka; ``producers.publisher`` has it."""

    async def read(self, topic: str) -> list[tuple[bytes | None, bytes | None]]: ...
    async def publish(self, records: Iterable[Record]) -> float: ...
    async def flush(self, topic: str | None = None) -> None: ...


class Catalogue:
    """The topic ``sessions`` of a namespace."""

    def __init__(self, log_: Log, namespace: str, partitions: int) -> None:
        self._log = log_
        self._namespace = namespace
        self._partitions = partitions
        self._topic = SESSIONS.full_name(namespace)

    async def known(self) -> dict[str, SessionRecord]:
        """Return the newest record of each session."""
        return newest(value for _, value in await self._log.read(self._topic))

    async def claim(self, mine: SessionRecord) -> SessionRecord:
        """End what the owner's predecessor and the silent left open; return mine with its epoch.

        Raises ``FencedError`` if somebody else is recording the same session right now.
        """
        known, now_ns = await self.known(), mine.heartbeat_ns
        before = known.get(mine.session)
        if before is not None and before.owner != mine.owner and alive(before, now_ns):
            raise FencedError(
                "session is being recorded by another process",
                f"session {mine.session}, owner {before.owner}",
                "wait until it ends; if it was killed, until its heartbeat has expired",
            )
        for entry in orphans(known.values(), mine, now_ns):
            await self.fail(entry, now_ns)
        claimed = structs.replace(mine, epoch=before.epoch + 1 if before else 1)
        await self.put(claimed)
        return claimed

    async def delete(self, entry: SessionRecord, now_ns: int) -> SessionRecord:
        """Say that a session which nobody records is deleted; return its last entry.

        The epoch stays: fed again, with the next one, it is back.
        """
        if entry.state == "active":
            entry = await self.fail(entry, now_ns)
        gone = structs.replace(entry, state="deleted", heartbeat_ns=now_ns)
        await self.put(gone)
        log.info("session deleted session=%s", gone.session)
        return gone

    async def fail(self, entry: SessionRecord, now_ns: int) -> SessionRecord:
        """Take a session over and end it: readers drop what its publisher may still write."""
        reason = f"its recorder {entry.owner} died; ended by a successor"
        failed = structs.replace(
            entry, epoch=entry.epoch + 1, state="failed", reason=reason, heartbeat_ns=now_ns
        )
        end = End(
            session=failed.session,
            epoch=failed.epoch,
            seq=TAKE_OVER_SEQ + failed.epoch,
            source_time=0,
            state="failed",
            reason=reason,
        )
        key, value = failed.session.encode(), encode(end)
        await self._log.publish(
            (topic_of(topic, self._namespace).full_name(self._namespace), n, key, value, 0)
            for topic in entry.topics
            for n in range(self._partitions)
        )
        await self._log.flush()
        await self.put(failed)
        log.warning("session ended as failed session=%s owner=%s", entry.session, entry.owner)
        return failed

    async def put(self, entry: SessionRecord) -> None:
        """Write a record and return when it is acknowledged."""
        time_ms = entry.heartbeat_ns // NS_PER_MS
        await self._log.publish([(self._topic, 0, entry.session.encode(), encode(entry), time_ms)])
        await self._log.flush(self._topic)


def newest(values: Iterable[bytes | None]) -> dict[str, SessionRecord]:
    """Return the newest record of each session: the last of the highest epoch."""
    known: dict[str, SessionRecord] = {}
    for value in values:
        try:
            entry = session_decoder.decode(value or b"")
        except DECODE_ERRORS as error:
            log.warning("record of the catalogue skipped why=%s", error)
            continue
        before = known.get(entry.session)
        if before is None or entry.epoch >= before.epoch:
            known[entry.session] = entry
    return known


def alive(entry: SessionRecord, now_ns: int) -> bool:
    """Tell whether its recorder has been heard of within its own time limit."""
    silent_ns = now_ns - entry.heartbeat_ns
    return entry.state == "active" and silent_ns <= entry.heartbeat_timeout_ms * NS_PER_MS


def orphans(
    known: Iterable[SessionRecord], mine: SessionRecord, now_ns: int
) -> list[SessionRecord]:
    """Return the active sessions of the same owner and the silent ones, without one's own."""
    return [
        entry
        for entry in known
        if entry.state == "active"
        and entry.session != mine.session
        and (entry.owner == mine.owner or not alive(entry, now_ns))
    ]
