"""A replay that runs: sessions told again at their pace, and commands obeyed in between."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from typing import Final, Literal, Protocol

from producers.lanes import Lanes
from producers.publisher import Publisher, partition_of
from producers.recorder import Identity
from producers.replay.ahead import Ahead
from producers.replay.inbox import Inbox
from producers.replay.moments import Entry, merged
from producers.replay.obedience import obey
from producers.replay.playhead import Playhead
from producers.replay.standing import describe
from producers.replay.telling import Mark, Place, Published, Telling
from producers.replay.timing import Timing
from producers.sessions import Catalogue
from schemas import metrics
from schemas.codec import encode
from schemas.errors import DataError, TickerplantError
from schemas.events import NS_PER_MS, NS_PER_S, CandleRules, Event, SessionRecord
from schemas.health import Health
from schemas.replay_control import ReplayStatus, Stop
from schemas.settings import Settings
from schemas.topics import CONTROL_REPLAY, INPUTS

log = logging.getLogger(__name__)

SHOWN_NS: Final = NS_PER_S // 4
TOLD_NS: Final = NS_PER_S
GOODBYE_S_MAX: Final = 2.0

now_ns = time.monotonic_ns


class Recordings(Protocol):
    """What is replayed, wherever it is kept."""

    @property
    def first(self) -> int:
        """Moment of the first tick of all sessions."""
        ...

    @property
    def last(self) -> int: ...

    @property
    def rules(self) -> Mapping[str, CandleRules]:
        """By session."""
        ...

    def events(self, session: str) -> Iterator[Event]:
        """Yield a session in the order of ``seq``; called in a thread, once for each turn."""
        ...


@dataclass(frozen=True, slots=True)
class Before:
    """What an earlier process of the run has left: how it stood, and what it has published."""

    status: ReplayStatus
    last: dict[Place, Mark]
    """The last record of the epoch in each partition of the input topics."""


class Replay:
    """One run in this process. ``show`` is told how it stands, a few times a second."""

    def __init__(
        self,
        settings: Settings,
        recordings: Recordings,
        before: Before,
        *,
        inbox: Inbox,
        show: Callable[[ReplayStatus], None],
    ) -> None:
        self.status = before.status
        self._settings = settings
        self._recordings = recordings
        self._inbox = inbox
        self._show = show
        self._before = before
        self._head = Playhead(before.status.speed, paused=before.status.paused)
        self._timing = Timing()
        self._entries: list[Entry] = []
        self._over = False
        self._shown_at = self._told_at = 0
        self._told = ""

    async def run(self, health: Health) -> None:
        """Publish until all is told or it is stopped.

        Raises ``DataError`` for what is no recording, ``UnavailableError`` and whatever reading
        raises; the same run can then go on from where it was.
        """
        async with Publisher(self._settings, health, stage="replay") as self._publisher:
            self._partitions = await self._publisher.partitions()
            self._catalogue = Catalogue(self._publisher, self._settings.namespace, self._partitions)
            if self.status.target:
                self._head.seek(self.status.target)
            if self.status.plan.step and not self._before.last:
                self._head.count_down(self.status.plan.step)
            try:
                await self._begin(Published(self._before.last))
                while not self._over:
                    await self._obey()
                    if not self._over:
                        await self._go_on()
                await self._tell("ended")
            except TickerplantError as error:
                await self._fail(error)
                raise
            finally:
                await self._ahead.close()

    async def _begin(self, published: Published) -> None:
        """Begin a turn: all sessions from their beginning, in one epoch."""
        plan, recordings = self.status.plan, self._recordings
        entries = merged(
            {name: recordings.events(name) for name in plan.sessions}, plan.instruments
        )
        if plan.until is not None:
            until = plan.until
            entries = takewhile(lambda entry: entry[0] <= until, entries)
        self._ahead, self._entries = Ahead(entries), []
        identities = [
            Identity(session=name, epoch=self.status.epoch, origin="replay", rules=rules)
            for name, rules in recordings.rules.items()
        ]
        count = self._partitions
        new_lanes = partial(
            Lanes, self._settings.namespace, count, partial(partition_of, partitions=count)
        )
        self._telling = Telling(identities, new_lanes, published)
        self._timing = Timing()
        await self._tell()
        await self._catalogued("active")

    async def _go_on(self) -> None:
        self._entries = self._entries or await self._ahead.next()
        if not self._entries:
            await self._turn_over()
            return
        if self._telling.catching_up:
            await self._catch_up()
        else:
            await self._advance()
        await self._report()

    async def _catch_up(self) -> None:
        """Pass over what is there already, and publish what of it is missing."""
        records, place = [], 0
        while self._telling.catching_up and place < len(self._entries):
            records += self._telling.tell(self._entries[place : place + 1])
            place += 1
        self._head.pass_over(self._entries[:place])
        del self._entries[:place]
        await self._publisher.publish(records)

    async def _advance(self) -> None:
        """Publish what may go now, or wait for the next event or command."""
        now = now_ns()
        count = self._head.release(self._entries, now)
        if count:
            await self._release(count, now)
        else:
            wait_ns = self._head.wait_ns(self._entries[0][0], now)
            await self._inbox.listen(SHOWN_NS if wait_ns is None else min(wait_ns, SHOWN_NS))

    async def _release(self, count: int, now: int) -> None:
        entries = self._entries[:count]
        del self._entries[:count]
        if self._head.due(entries[0][0]) is not None:
            self._timing.late([now - (self._head.due(moment) or 0) for moment, _, _ in entries])
        await self._publisher.publish(self._telling.tell(entries))
        self._timing.went(count, entries[-1][0], now)

    async def _turn_over(self) -> None:
        if self._telling.catching_up:
            raise DataError(
                "what the run has published is not what is stored now",
                f"run {self.status.run}",
                "replay it under another --run",
            )
        await self._end("the replay ends here")
        if self.status.plan.loop:
            await self._again(self.status.plan.since or 0)
        else:
            self._over = True

    async def _end(self, reason: str) -> None:
        """End the sessions that have not told their end."""
        await self._publisher.publish(self._telling.end(reason))
        await self._publisher.flush()
        await self._catalogued("completed")

    async def _again(self, target: int) -> None:
        """Begin a new epoch: all is published at once up to a moment."""
        await self._ahead.close()
        self._head.rewind()
        self._head.seek(target)
        self.status.epoch += 1
        await self._begin(Published({}))

    async def _obey(self) -> None:
        """Take the commands that have come; what follows from them is told before it is done."""
        while item := self._inbox.take():
            offset, command = item
            self.status.commands = max(self.status.commands, offset + 1)
            if isinstance(command, Stop):
                self.status.refused, self._over = None, True
                await self._end("the replay was stopped")
                return
            target = obey(command, self._head, self.status, self._rules(), now_ns())
            if target is not None:
                await self._again(target)
            else:
                await self._tell()

    def _rules(self) -> list[CandleRules]:
        return list(self._recordings.rules.values())

    async def _report(self) -> None:
        now, told = now_ns(), self._told
        if now - self._shown_at < SHOWN_NS:
            return
        self._look(now)
        self._show(self.status)
        if self.status.state != told or (now - self._told_at >= TOLD_NS and told != "paused"):
            await self._tell()

    def _look(self, now: int) -> None:
        """Bring the status up to date."""
        self._shown_at, status, head = now, self.status, self._head
        due = head.due(self._entries[0][0]) if self._entries and not head.paused else None
        overloaded = status.overload
        describe(status, head, self._timing, due, now)
        if status.overload and not overloaded:
            log.warning("replay cannot keep the pace behind_ms=%.0f", status.behind_ms)
        metrics.REPLAY_POSITION.set(status.position / NS_PER_S)
        metrics.REPLAY_BEHIND.set(status.behind_ms / 1e3)

    async def _tell(self, state: Literal["ended", "failed"] | None = None) -> None:
        """Write how it stands, and return when that is acknowledged."""
        self._told_at = now_ns()
        self._look(self._told_at)
        self.status.state = self._told = state or self.status.state
        self._show(self.status)
        topic = CONTROL_REPLAY.full_name(self._settings.namespace)
        time_ms = time.time_ns() // NS_PER_MS
        await self._publisher.publish([(topic, 0, None, encode(self.status), time_ms)])
        await self._publisher.flush(topic)

    async def _fail(self, error: TickerplantError) -> None:
        """Say why it ends, if that can be said."""
        self.status.reason = " ".join(str(error).split())[:500]
        try:
            async with asyncio.timeout(GOODBYE_S_MAX):
                await self._tell("failed")
        except (TickerplantError, TimeoutError):
            log.warning("the end could not be told run=%s", self.status.run)

    async def _catalogued(self, state: Literal["active", "completed"]) -> None:
        """Write the entries of the sessions, as a recorder does."""
        now = time.time_ns()
        for session, rules in self._recordings.rules.items():
            lanes = self._telling.lanes(session)
            entry = SessionRecord(
                session=session,
                epoch=self.status.epoch,
                state=state,
                origin="replay",
                owner=self._settings.namespace,
                started_ns=now,
                heartbeat_ns=now,
                heartbeat_timeout_ms=self._settings.produce.heartbeat_timeout_ms,
                topics=tuple(topic.name for topic in INPUTS),
                instruments=tuple(lanes.instruments),
                rules=rules,
                counts=lanes.counts,
            )
            await self._catalogue.put(entry)
