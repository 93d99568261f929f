"""A venue, live: connected again whenever it is lost, its books asked for anew when they break.

What may be missing, and what is said of it:

* From a loss until all subscriptions are confirmed again nothing is told. Then the venue's history
  is asked for the trades of that time, before anything else is read; they are marked ``filled``.
* If that history has the last trade that was known, it has all: the gap names ``quotes`` only,
  which have no history. Otherwise it names ``trades`` too.
* A number that is missing between two trades is a gap of ``trades`` of that instrument, unless
  another connection or the history has it.
* A book that was lost with its connection, or whose chain broke, is silent until its next snapshot:
  a gap of ``books`` of that instrument, from its last good update to the first that is told again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from secrets import SystemRandom, token_hex
from typing import Final

import aiohttp
from msgspec import structs

from producers.feed import Elapsed, Note, Observation, Rejected
from producers.feeds.source import RefusedError, Source
from producers.live.connection import fetch, http_session
from producers.live.conversation import ConnectionLostError
from producers.live.link import Link, Venue
from producers.live.links import Links
from producers.live.mending import Mending
from producers.live.reconnect import delays_s
from producers.live.refill import Refill
from producers.live.selection import Selection
from producers.raw.capture import FILLED_MARK, LEAD_MARK, LOST_MARK, RESTORED_MARK
from producers.raw.raw_store import RawStore
from producers.session_names import new_session
from schemas.calendars import UTC_DAYS, Calendar
from schemas.codec import DECODE_ERRORS, encode
from schemas.errors import DataError, SettingsError
from schemas.events import Trade
from schemas.instruments import instrument_of
from schemas.metrics import ERRORS
from schemas.sections import Capture

log = logging.getLogger(__name__)
ELAPSED_S: Final = 0.1
BATCH_MAX: Final = 1_000
REJECTED_BYTES_MAX: Final = 65_536
DAMAGED: Final = "a frame cannot be read"


class LiveFeed:
    """Records symbols of one venue. Each start is a new recording."""

    origin = "live"
    repeatable = False
    wall_clock = True

    def __init__(  # noqa: PLR0913 - what a recording is made of
        self,
        source: Source,
        symbols: Sequence[str],
        settings: Capture,
        *,
        depth: int,
        raw_folder: Path | None = None,
        calendar: Calendar = UTC_DAYS,
    ) -> None:
        if len(symbols) > source.symbols_max:
            many = f"{len(symbols)}, at most {source.symbols_max} on one connection"
            raise SettingsError("too many instruments", many, "record them in several sessions")
        self.session = new_session(source.venue.lower(), time.time_ns(), token_hex(3))
        self.instruments = tuple(instrument_of(symbol, source.venue) for symbol in symbols)
        self.skipped: Counter[str] = Counter()
        self._source = source
        self._settings = settings
        self._raw = RawStore.of(self.session, raw_folder, settings.raw_file_bytes_max)
        self._now_ns = 0
        self._ever_opened = False
        self._venue = Venue(
            source=source,
            symbols=tuple(symbols),
            depth=depth,
            url=endpoint(settings.endpoints, source.venue) or source.url,
            rest_url=endpoint(settings.rest_endpoints, source.venue) or source.rest_url,
            settings=settings,
            spill_folder=raw_folder,
            now_ns=self._now,
            opened=lambda ns: calendar.place(ns)[1] is not None,
        )

    async def observations(self) -> AsyncIterator[list[Observation]]:
        wake, clock = asyncio.Event(), asyncio.get_running_loop().time
        async with http_session() as http:
            new_link = partial(
                Link,
                venue=self._venue,
                http=http,
                received=self._received,
                confirmed=self._confirmed,
                wake=wake.set,
            )
            self._links = Links(new_link, self._delays, self._settings)
            self._mending = self._new_mending(http)
            self._selection = Selection(
                self._links,
                self._mending,
                self._mark_lead,
                numbered=self._source.numbered,
                overlap_s_max=self._settings.overlap_s_max,
            )
            try:
                while True:
                    self._links.tend(clock())
                    if not any(link.queue for link in self._links.all):
                        await _wait(wake, self._links.idle_s(clock(), ELAPSED_S))
                    wake.clear()
                    batch = await self._turn(clock)
                    yield batch or [Elapsed(ts_recv=self._now())]
            finally:
                await self._links.close()
                self._raw.close()

    def _new_mending(self, http: aiohttp.ClientSession) -> Mending:
        history, settings = self._source.history, self._settings
        refill = None
        if history is not None and settings.history_s_max:
            rest_url = self._venue.rest_url

            async def ask(path: str) -> bytes:
                return await fetch(http, rest_url + path, settings)

            refill = Refill(history, ask, self._delays, settings)
        clock, numbered = asyncio.get_running_loop().time, self._source.numbered
        return Mending(self.instruments, settings, refill, clock, numbered=numbered)

    async def _turn(self, clock: Callable[[], float]) -> list[Observation]:
        """Read what waits, and drop the connections that are lost."""
        links, batch = self._links, []
        for link, frames in links.take(BATCH_MAX):
            for ts_recv, frame in frames:
                batch += await self._told(link, ts_recv, frame)
            if link.joins:
                links.joined(link, clock())
                if self._mending.lost:
                    batch += await self._restored(link)
        for link in [link for link in links.all if link.over]:
            batch += self._drop(link, clock())
        batch += [Note(ts_recv=self._now(), reason=fault) for fault in self._raw.flush()]
        return batch

    async def _restored(self, link: Link) -> list[Observation]:
        """Return what was missed, then what has come since the connection is whole again."""
        ts_recv = link.confirmed_at
        found = await self._mending.ask()
        since: list[Observation] = []
        damaged = False
        for _ in range(min(len(link.queue), self._settings.frames_max)):
            for received in link.take(1):
                since += await self._told(link, *received)
            # What a damaged frame held is asked for once more, behind what is known before it.
            damaged = bool(since) and isinstance(since[-1], Rejected)
            if damaged:
                break
        live = [observation for observation in since if isinstance(observation, Trade)]
        told = [*self._kept(self._mending.restore(ts_recv, found, live)), *since]
        if damaged:
            told += await self._mending.suspect(since[-1].ts_recv, self._selection.newest, DAMAGED)
        return told

    async def _told(self, link: Link, ts_recv: int, frame: bytes) -> list[Observation]:
        """Return what a frame tells, and what is to be said of what is missing before it."""
        try:
            seen = self._selection.of(link, link.talk.read(ts_recv, frame))
        except RefusedError as error:
            return self._refused(link, ts_recv, frame, error)
        except (DataError, *DECODE_ERRORS) as error:
            rejected = self._rejected(ts_recv, frame, error)
            return [
                rejected,
                *await self._mending.suspect(ts_recv, self._selection.newest, rejected.reason),
            ]
        if not self._mending.torn:
            return seen
        joined = [other.number for other in self._links.all if other.joined]
        mended = await self._mending.mend(ts_recv, joined)
        before = [observation for part in mended for observation in part.before]
        return [*self._kept(before), *seen, *(o for part in mended for o in part.after)]

    def _refused(
        self, link: Link, ts_recv: int, frame: bytes, error: RefusedError
    ) -> list[Observation]:
        """Before anything is subscribed it is what was asked for that is wrong."""
        if not link.talk.complete:
            if self._links.lead is None and not self._mending.lost:
                raise error
            link.leave(ConnectionLostError(error.what, error.detail))
        return [self._rejected(ts_recv, frame, error)]

    def _rejected(self, ts_recv: int, frame: bytes, error: Exception) -> Rejected:
        self.skipped["foreign frame"] += 1
        value, reason = frame[:REJECTED_BYTES_MAX], f"{type(error).__name__}: {error}"[:300]
        return Rejected(ts_recv=ts_recv, value=value, reason=reason)

    def _drop(self, link: Link, now: float) -> list[Observation]:
        """Let go of a connection that is over; tell of the loss if it leaves none that is whole."""
        links, led = self._links, link is self._links.lead
        links.drop(link, now)
        self._mending.gone(link.number)
        if link.retired:
            return []
        self._ever_opened |= link.opened
        if not self._ever_opened:
            raise link.loss
        log.warning("connection lost session=%s why=%s", self.session, link.loss)
        ERRORS.labels("produce", "connection").inc()
        ts_recv, reason = self._now(), str(link.loss)
        if links.lead is not None:
            if led:
                self._mark_lead(ts_recv)
            return [Note(ts_recv=ts_recv, reason=f"one of two connections lost: {reason}"[:300])]
        if self._mending.lost:
            return []
        self._raw.mark(ts_recv, LOST_MARK + reason.encode())
        lost = self._mending.lose(ts_recv, self._selection.newest, reason)
        return [*lost, *self._selection.await_books(ts_recv)]

    def _kept(self, observations: list[Observation]) -> list[Observation]:
        """Store the trades of history among the frames."""
        for observation in observations:
            if isinstance(observation, Trade):
                named = structs.replace(observation, session=self.session)
                self._raw.mark(observation.ts_recv, FILLED_MARK + encode(named))
        return observations

    def _received(self, link: Link, ts_recv: int, frame: bytes) -> None:
        self._raw.frame(link.number, ts_recv, frame)

    def _confirmed(self, ts_recv: int) -> None:
        if self._mending.lost:
            self._raw.mark(ts_recv, RESTORED_MARK)

    def _mark_lead(self, ts_recv: int) -> None:
        if self._links.lead is not None:
            self._raw.mark(ts_recv, LEAD_MARK + b"%d" % self._links.lead.number)

    def _delays(self) -> Iterator[float]:
        shortest, longest = self._settings.reconnect_ms_min, self._settings.reconnect_ms_max
        return delays_s(shortest / 1000, longest / 1000, SystemRandom())

    def _now(self) -> int:
        """Return the time, which never falls."""
        self._now_ns = max(self._now_ns, time.time_ns())
        return self._now_ns


async def _wait(wake: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await wake.wait()


def endpoint(endpoints: Sequence[str], venue: str) -> str:
    """Find ``VENUE=url``; empty if there is none."""
    for text in endpoints:
        name, sign, url = text.partition("=")
        if not (sign and url):
            raise SettingsError("endpoint cannot be read", repr(text), "write it as VENUE=url")
        if name.upper() == venue:
            return url
    return ""
