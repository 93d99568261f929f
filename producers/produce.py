"""The producing process: one feed, recorded and published until it ends or is stopped."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Any, Final, Literal

from msgspec import Struct, structs

from producers.feed import Feed, Observation
from producers.lanes import Lanes
from producers.publisher import Publisher, partition_of
from producers.recorder import Identity, Output, Recorder
from producers.retelling import Retelling
from producers.sessions import Catalogue
from schemas import metrics
from schemas.errors import FencedError, UnavailableError
from schemas.events import NS_PER_MS, NS_PER_S, CandleRules, SessionRecord
from schemas.health import Health
from schemas.settings import Settings
from schemas.topics import BARS, BOOKS, INPUTS, QUOTES, TRADES

log = logging.getLogger(__name__)

STOP_S_MAX: Final = 10.0
"""How long stopping waits for Kafka; what is not acknowledged then is ended by a successor."""


class Summary(Struct, kw_only=True):
    """What was recorded."""

    session: str
    epoch: int
    trades: int
    books: int
    quotes: int
    bars: int
    duplicates: int
    rejected: int
    gaps: int
    skipped: dict[str, int]
    """What the feed could not read, by reason."""
    end_offsets: dict[str, dict[int, int]]
    """Where the ``end`` is, by topic and partition."""


async def produce(
    feed: Feed,
    settings: Settings,
    health: Health,
    stop: asyncio.Event,
    retold: CandleRules | None = None,
) -> Summary:
    """Publish a feed until it is exhausted or stopped; return what was recorded.

    With the rules of a recording that is told again, its events keep their order and no control
    event is added (``producers.retelling``). A feed that raises ends its session as failed.
    Raises ``UnavailableError`` if Kafka is away when it is stopped, ``FencedError`` if the
    session belongs to somebody else.
    """
    async with Publisher(settings, health) as publisher:
        partitions = await publisher.partitions()
        return await _Recording(feed, settings, publisher, partitions, retold).run(stop)


class _Recording:
    """One feed, from its claim on the session to its end."""

    def __init__(
        self,
        feed: Feed,
        settings: Settings,
        publisher: Publisher,
        partitions: int,
        retold: CandleRules | None,
    ) -> None:
        self._feed = feed
        self._retold = retold
        self._settings = settings
        self._publisher = publisher
        self._lanes = Lanes(
            settings.namespace, partitions, partial(partition_of, partitions=partitions)
        )
        self._catalogue = Catalogue(publisher, settings.namespace, partitions)
        self._counted: Counter[tuple[str, str]] = Counter()
        self._ended = False

    async def run(self, stop: asyncio.Event) -> Summary:
        self._entry = await self._catalogue.claim(self._new_entry())
        identity = Identity(
            session=self._entry.session,
            epoch=self._entry.epoch,
            origin=self._feed.origin,
            rules=self._entry.rules,
        )
        settings, lanes = self._settings, self._lanes
        self._recorder: Recorder | Retelling = (
            Retelling(identity, lanes)
            if self._retold
            else Recorder(identity, settings.produce, settings.namespace, lanes)
        )
        log.info("session started session=%s epoch=%d", self._entry.session, self._entry.epoch)
        feeding = asyncio.create_task(self._publish_feed(stop))
        beating = asyncio.create_task(self._beat())
        try:
            await _first(feeding, beating, stop)
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
            if not feeding.done():
                feeding.cancel()
                await asyncio.gather(feeding, return_exceptions=True)
        return self._summary()

    def _new_entry(self) -> SessionRecord:
        now_ns, produce = time.time_ns(), self._settings.produce
        return SessionRecord(
            session=self._feed.session,
            epoch=0,
            state="active",
            origin=self._feed.origin,
            owner=produce.owner,
            started_ns=now_ns,
            heartbeat_ns=now_ns,
            heartbeat_timeout_ms=produce.heartbeat_timeout_ms,
            topics=tuple(topic.name for topic in INPUTS),
            instruments=self._feed.instruments,
            rules=self._retold or self._settings.stream.rules,
        )

    async def _publish_feed(self, stop: asyncio.Event) -> None:
        try:
            async with aclosing(_until(stop, self._feed.observations())) as batches:
                async for observations in batches:
                    blocked_s = await self._publish(self._recorder.record(observations))
                    if blocked_s and self._feed.wall_clock:
                        self._recorder.stop_time(int(blocked_s * NS_PER_S))
        except (FencedError, UnavailableError):
            raise
        except Exception as error:
            await self._end("failed", f"{type(error).__name__}: {error}"[:500])
            raise
        await self._end("completed")

    async def _end(self, state: Literal["completed", "failed"], reason: str | None = None) -> None:
        await self._publish(self._recorder.end(state, reason))
        await self._publisher.flush()
        self._ended = True
        await self._catalogue.put(self._now(state, reason))
        log.info("session ended session=%s state=%s", self._entry.session, state)

    async def _publish(self, output: Output) -> float:
        blocked_s = await self._publisher.publish(output.records)
        if output.letters:
            for letter in output.letters[:3]:
                log.warning("tick refused %s", letter)
            await self._publisher.dead_letters(output.letters)
        if blocked_s:
            metrics.FEED_BLOCKED.inc(blocked_s)
        self._count()
        return blocked_s

    async def _beat(self) -> None:
        """Say at intervals that the session lives; find out if it was taken over meanwhile."""
        beat_s = self._settings.produce.heartbeat_ms / 1000
        while True:
            await asyncio.sleep(beat_s)
            silent_ms = (time.time_ns() - self._entry.heartbeat_ns) // NS_PER_MS
            if silent_ms > self._entry.heartbeat_timeout_ms and not await self._still_ours():
                raise FencedError("session was taken over", self._entry.session, "start a new one")
            if not self._ended:
                self._entry = self._now("active")
                await self._catalogue.put(self._entry)

    async def _still_ours(self) -> bool:
        """Ask the catalogue, until it answers: Kafka may be what was away so long."""
        while True:
            try:
                known = (await self._catalogue.known()).get(self._entry.session)
            except UnavailableError as error:
                log.warning("kafka is waited for session=%s why=%s", self._entry.session, error)
                await asyncio.sleep(self._settings.produce.heartbeat_ms / 1000)
            else:
                return known is None or known.epoch <= self._entry.epoch

    def _now(
        self, state: Literal["active", "completed", "failed"], reason: str | None = None
    ) -> SessionRecord:
        return structs.replace(
            self._entry,
            state=state,
            reason=reason,
            heartbeat_ns=time.time_ns(),
            instruments=tuple(dict.fromkeys((*self._entry.instruments, *self._lanes.instruments))),
            source_time=self._recorder.source_time,
            counts=self._lanes.counts,
            gaps=self._recorder.gaps,
        )

    def _count(self) -> None:
        """Bring the metrics up to date."""
        recorder, counted = self._recorder, self._counted
        now = Counter({("taken", topic): n for topic, n in self._lanes.counts.items()})
        now.update({(reason, topic): n for (topic, reason), n in recorder.dropped.items()})
        for (what, topic), count in (now - counted).items():
            metrics.RECEIVED.labels("produce", topic).inc(count)
            if what != "taken":
                metrics.DROPPED.labels("produce", topic, what).inc(count)
        metrics.FEED_GAPS.labels(self._feed.origin).inc(recorder.gaps - counted["gaps", ""])
        metrics.FEED_LAST_TICK.set(recorder.ts_recv / NS_PER_S)
        self._counted = now + Counter({("gaps", ""): recorder.gaps})

    def _summary(self) -> Summary:
        counts, dropped = self._lanes.counts, self._recorder.dropped
        totals: Counter[str] = Counter()
        for (_, reason), count in dropped.items():
            totals[reason] += count
        offsets: dict[str, dict[int, int]] = {
            topic.full_name(self._settings.namespace): {} for topic in INPUTS
        }
        for (topic, partition), offset in sorted(self._publisher.offsets.items()):
            if topic in offsets:
                offsets[topic][partition] = offset
        return Summary(
            session=self._entry.session,
            epoch=self._entry.epoch,
            trades=counts[TRADES.name],
            books=counts[BOOKS.name],
            quotes=counts[QUOTES.name],
            bars=counts[BARS.name],
            duplicates=totals["duplicate"],
            rejected=totals["rejected"],
            gaps=self._recorder.gaps,
            skipped=dict(self._feed.skipped),
            end_offsets=offsets,
        )


async def _first(
    feeding: asyncio.Task[None], beating: asyncio.Task[None], stop: asyncio.Event
) -> None:
    """Wait for the feed to end; raise what either task raises."""
    stopping = asyncio.create_task(stop.wait())
    try:
        waiting: set[asyncio.Task[Any]] = {feeding, beating, stopping}
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if stopping in done and not done & {feeding, beating}:
            done, _ = await asyncio.wait(
                {feeding, beating}, timeout=STOP_S_MAX, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                raise UnavailableError(
                    "kafka did not take the last events",
                    f"waited {STOP_S_MAX:g} s",
                    "the session is ended as failed by the next recorder",
                )
    finally:
        stopping.cancel()
    for task in (beating, feeding):
        if task in done:
            task.result()


async def _until(
    stop: asyncio.Event, batches: AsyncIterator[list[Observation]]
) -> AsyncGenerator[list[Observation], None]:
    """Give batches until stopped, interrupting the feed only between them."""
    stopping = asyncio.create_task(stop.wait())
    try:
        while True:
            batch = asyncio.ensure_future(anext(batches))
            await asyncio.wait({batch, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not batch.done():
                batch.cancel()
                await asyncio.gather(batch, return_exceptions=True)
                return
            try:
                yield batch.result()
            except StopAsyncIteration:
                return
            if stop.is_set():
                return
    finally:
        stopping.cancel()
