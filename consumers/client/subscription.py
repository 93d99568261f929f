"""A subscription as it runs: the store up to the seam, then the topics from there on."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from itertools import islice
from typing import Any, Final, TypeVar

from consumers.client.history import History
from consumers.client.merge import STORED, Merge, too_far_apart
from consumers.client.place import Place
from consumers.client.seam import Known, behind, places_of
from consumers.client.sources import Sources
from consumers.client.wanted import Wanted, since_ns
from consumers.log import Position, Tail
from consumers.origin import Partition
from consumers.places import Places
from consumers.store.reading import Store
from schemas.errors import SettingsError, UnavailableError, UnknownNameError
from schemas.events import Event
from schemas.replay_control import PREFIX, replay_namespace
from schemas.settings import Settings, load_settings
from schemas.topics import TRADES

log = logging.getLogger(__name__)
T = TypeVar("T")
EVENTS_MAX: Final = 100_000
"""Of a partition, which wait for other topics."""
STORED_AT_ONCE: Final = 5_000
POLL_MS: Final = 250
COMMIT_S: Final = 1.0
CLOSE_S_MAX: Final = 5.0
LOOK_S: Final = 1.0
"""Between two looks whether a run is still there, when nothing comes."""
SEAM_S_MAX: Final = 5.0
SEAM_POLL_S: Final = 0.05


def subscribe(  # noqa: PLR0913 - the options of a subscription
    instruments: str | Iterable[str],
    kinds: str | Iterable[str],
    *,
    since: Any = None,
    settings: Settings | None = None,
    group: str | None = None,
    run: str | None = None,
    gaps: bool = True,
    events_max: int = EVENTS_MAX,
) -> AsyncGenerator[Event, None]:
    """Iterate over events of ``schemas.events``, each session in its order over all topics.

    ``kinds`` are ``trades``, ``books``, ``quotes``, ``bars``, ``candles.INTERVAL``,
    ``candles.quotes.INTERVAL`` and ``control``; a ``Gap`` that touches what is asked for is told
    unless ``gaps`` is off. A candle comes directly after what closed it, and an event when all
    topics that are asked for have passed it: at most a clock later, with one topic at once.

    With ``since`` (``-1d``, a time, ns) what is stored comes first, session by session, then
    everything from the topics, nothing twice; without it, what comes from now on. Events of the
    store have the epoch 0. ``run`` names a replay, which is read from its beginning until it is
    removed.

    A ``group`` remembers what was given: the next start goes on there, at least once. An event is
    done with when the next one is asked for.

    Raises ``SettingsError``, ``UnknownNameError``, ``DataError``, and ``UnavailableError`` if Kafka
    or, with ``since``, the store does not answer.
    """
    wanted = Wanted.of(instruments, kinds, gaps=gaps)
    settings = settings or load_settings()
    if run is not None:
        if since is not None:
            raise SettingsError("a replay has no history", f"run={run}", "leave since out")
        settings = settings.model_copy(update={"namespace": replay_namespace(run)})
    begin = None if since is None else since_ns(since, time.time_ns())
    return _Subscription(settings, wanted, begin, group, events_max, replayed=run is not None).run()


class _Subscription:
    def __init__(  # noqa: PLR0913 - as above
        self,
        settings: Settings,
        wanted: Wanted,
        since: int | None,
        group: str | None,
        events_max: int,
        *,
        replayed: bool,
    ) -> None:
        self._settings = settings
        self._wanted = wanted
        self._since = since
        self._group = f"{group}.{settings.namespace}" if group else None
        self._events_max = events_max
        self._replayed = replayed
        self._next: dict[Partition, int] = {}
        self._looked_at = 0.0
        self._committed_at = 0.0
        self._committed: dict[Partition, Position] = {}

    async def run(self) -> AsyncGenerator[Event, None]:
        # Made here, in whatever loop it is that iterates.
        async with Tail(self._settings, self._group) as self._tail:
            self._sources = await self._find_sources()
            self._merge = Merge(self._sources, self._wanted.__contains__)
            resumed = await self._resume()
            if not resumed and self._since is not None:
                async for event in self._history(self._since):
                    yield event
            elif not resumed:
                joined = () if self._replayed else self._sources.inputs
                self._merge = Merge(self._sources, self._wanted.__contains__, joined)
                await self._begin(dict.fromkeys(self._sources, -1), at_end=not self._replayed)
            try:
                async for event in self._live():
                    yield event
            finally:
                await self._commit(last=True)

    async def _live(self) -> AsyncGenerator[Event, None]:
        merge = self._merge
        while True:
            while (event := merge.next()) is not None:
                yield event
                await self._commit()
            full = merge.full(self._events_max)
            open_sources = [source for source in self._sources if source not in full]
            fetched = await self._tail.read(open_sources, POLL_MS)
            for source, records in fetched.items():
                for offset, event in self._sources.decoded(source, records):
                    merge.take(source, offset, event)
                self._next[source] = records[-1].offset + 1
            if self._replayed and not fetched and await self._is_over():
                return
            await self._commit()

    async def _is_over(self) -> bool:
        """Tell whether the run has been removed, which is how a replay ends."""
        now = time.monotonic()
        if now - self._looked_at < LOOK_S:
            return False
        self._looked_at = now
        topics = await self._tail.topics()
        return any(topic not in topics for topic, _ in self._sources)

    async def _find_sources(self) -> Sources:
        topics, namespace = await self._tail.topics(), self._settings.namespace
        missing = {t.full_name(namespace) for t in self._wanted.topics.values()} - topics.keys()
        if not missing:
            return Sources(self._wanted, namespace, topics)
        if not self._replayed:
            detail = f"{', '.join(sorted(missing))} on {self._settings.kafka.servers}"
            raise SettingsError("topics are missing", detail, "create them: tickerplant up")
        found = {name.partition(".")[0] for name in topics if name.startswith(PREFIX)}
        runs = {name.removeprefix(PREFIX) for name in found}
        raise UnknownNameError.of("run", namespace.removeprefix(PREFIX), runs)

    async def _resume(self) -> bool:
        """Go on where the group has left off; False if it has not begun."""
        if self._group is None:
            return False
        found = await self._tail.committed(self._group, self._sources)
        missing = [source for source, (offset, _) in found.items() if offset < 0]
        if len(missing) == len(found):
            return False
        if missing:
            raise SettingsError(
                "the group has read something else before",
                f"{self._group} has no place in {', '.join(f'{t}-{p}' for t, p in missing)}",
                "subscribe to the same, or as another group",
            )
        notes = {source: Places(note) for source, (_, note) in found.items()}
        for session in dict.fromkeys(name for noted in notes.values() for name in noted.sessions()):
            places = {source: Place(noted.order(session)) for source, noted in notes.items()}
            self._merge.begin(session, places)
        await self._begin({source: at for source, (at, _) in found.items()})
        return True

    async def _history(self, since: int) -> AsyncGenerator[Event, None]:
        """Give what is stored, and leave the topics where they go on from there."""
        async with AsyncExitStack() as opened:
            thread = opened.enter_context(ThreadPoolExecutor(1, "history"))
            loop = asyncio.get_running_loop()

            async def away(call: Callable[..., T], *args: Any) -> T:
                return await loop.run_in_executor(thread, call, *args)

            store = Store(self._settings.questdb)
            opened.push_async_callback(away, store.close)
            history = History(self._settings.questdb, store, self._wanted, since)
            silence_ms = self._settings.produce.heartbeat_timeout_ms
            known = await away(history.known, time.time_ns(), silence_ms)
            positions, notes = await self._stored(known)
            last = await away(history.last)
            named = {name for seqs in last.values() for _, name in seqs}
            named.update(*(entry.instruments for entry in known.values()))
            await away(history.check_known, named)
            noted = dict.fromkeys(name for places in notes.values() for name in places.sessions())
            some = {name for name, entry in known.items() if entry.listed}
            names = [name for name in known if name in last or name in some or name in noted]
            for session in dict.fromkeys([*names, *last, *noted]):
                places = places_of(
                    session,
                    known.get(session),
                    notes,
                    self._sources.last(last.get(session, {})),
                    self._sources.candles,
                )
                self._merge.begin(session, places)
                if session not in last and session not in some:
                    continue
                events = history.events(session)
                while stored := await away(_some, events):
                    for event in stored:
                        self._merge.recall(self._sources.source_of(event), event)
                        while (ready := self._merge.next()) is not None:
                            yield ready
                    if self._merge.full(self._events_max):
                        raise too_far_apart(self._events_max)
        await self._begin(positions)

    async def _stored(
        self, known: dict[str, Known]
    ) -> tuple[dict[Partition, int], dict[Partition, Places]]:
        """Return up to which offset all is stored, and how far the sessions had come there."""
        trades = self._sources.partitions_of(TRADES)
        deadline = time.monotonic() + SEAM_S_MAX
        while True:
            group = self._settings.store_group
            found = await self._tail.committed(group, {*self._sources, *trades})
            notes = {place: Places(note) for place, (_, note) in found.items()}
            active = [name for name, it in known.items() if not (it.ended or it.silent)]
            told = self._wanted.gaps or self._wanted.control
            waits = behind(self._sources, trades, notes, active) if told else []
            if not waits or time.monotonic() > deadline:
                break
            await asyncio.sleep(SEAM_POLL_S)
        if waits:
            log.warning("control events may not be stored yet sessions=%s", ",".join(waits[:9]))
        positions = {source: found[source][0] for source in self._sources}
        return positions, {source: notes[source] for source in self._sources}

    async def _begin(self, positions: dict[Partition, int], *, at_end: bool = False) -> None:
        self._next = await self._tail.begin(positions, at_end=at_end)

    async def _commit(self, *, last: bool = False) -> None:
        now = time.monotonic()
        if self._group is None or not (last or now - self._committed_at >= COMMIT_S):
            return
        self._committed_at = now
        positions = {}
        for source in self._sources:
            first = self._merge.position(source)
            offset = self._next[source] if first is None else first
            if offset == STORED:
                return  # what is stored would not be read again
            positions[source] = offset, self._merge.note(source)
        if positions == self._committed:
            return
        if last:
            # Whoever leaves does not wait for a Kafka that is away: the next start tells it again.
            with suppress(TimeoutError, UnavailableError):
                async with asyncio.timeout(CLOSE_S_MAX):
                    await self._tail.commit(positions)
            return
        await self._tail.commit(positions)
        self._committed = positions


def _some(events: Iterator[Event]) -> list[Event]:
    return list(islice(events, STORED_AT_ONCE))
