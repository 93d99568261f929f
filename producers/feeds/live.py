"""A venue, live: connected again whenever it is lost, its books asked for anew when they break."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from producers.capture import LOST_MARK, RESTORED_MARK
from producers.connection import Frame, connected
from producers.conversation import ConnectionLostError, Conversation
from producers.feed import Elapsed, Lost, Note, Observation, Rejected, Restored
from producers.feeds.source import RefusedError, Source
from producers.raw_frames import RawFrames
from producers.reconnect import delays_s
from schemas.codec import DECODE_ERRORS
from schemas.errors import DataError, SettingsError, StackError
from schemas.events import NS_PER_S
from schemas.instruments import instrument_of
from schemas.metrics import ERRORS
from schemas.sections import Capture

log = logging.getLogger(__name__)
ELAPSED_S: Final = 0.1
BATCH_MAX: Final = 1_000
REJECTED_BYTES_MAX: Final = 65_536
HEALTHY_S: Final = 30.0
"""A connection that lasted so long has earned a short delay again."""


class LiveFeed:
    """Records symbols of one venue over one connection at a time. Each start is a new recording."""

    origin = "live"
    repeatable = False
    wall_clock = True

    def __init__(
        self,
        source: Source,
        symbols: Sequence[str],
        settings: Capture,
        *,
        depth: int,
        raw_folder: Path | None = None,
    ) -> None:
        if len(symbols) > source.symbols_max:
            many = f"{len(symbols)}, at most {source.symbols_max} on one connection"
            raise SettingsError("too many instruments", many, "record them in several sessions")
        began = datetime.fromtimestamp(time.time_ns() // NS_PER_S, UTC)
        name = source.venue.lower()
        self.session = f"{name}-{began:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
        self.instruments = tuple(instrument_of(symbol, source.venue) for symbol in symbols)
        self.skipped: Counter[str] = Counter()
        self._source = source
        self._symbols = tuple(symbols)
        self._settings = settings
        self._depth = depth
        self._raw: RawFrames | None = None
        if raw_folder is not None:
            self._raw = RawFrames(raw_folder / self.session, settings.raw_file_bytes_max)
        self._newest = 0
        self._lost = False
        self._notes: list[Observation] = []
        self._url = endpoint(settings.endpoints, source.venue) or source.url
        self._rest_url = endpoint(settings.rest_endpoints, source.venue) or source.rest_url

    async def observations(self) -> AsyncIterator[list[Observation]]:
        loop = asyncio.get_running_loop()
        delays = self._delays()
        try:
            while True:
                began, reason = loop.time(), ""
                try:
                    async with aclosing(self._connected()) as batches:
                        async for batch in batches:
                            yield batch
                except ConnectionLostError as error:
                    if not self._newest:
                        raise
                    reason = str(error)
                    log.warning("venue lost session=%s why=%s", self.session, reason)
                if not self._lost:
                    self._lost = True
                    lost = Lost(ts_recv=self._now(), reason=reason)
                    self._store(lost.ts_recv, LOST_MARK + reason.encode())
                    yield [lost]
                if loop.time() - began > HEALTHY_S:
                    delays = self._delays()
                again_at = loop.time() + next(delays)
                while loop.time() < again_at:
                    await asyncio.sleep(min(ELAPSED_S, again_at - loop.time()))
                    yield [Elapsed(ts_recv=self._now())]
        finally:
            if self._raw is not None:
                self._raw.close()

    def _delays(self) -> Iterator[float]:
        shortest, longest = self._settings.reconnect_ms_min, self._settings.reconnect_ms_max
        return delays_s(shortest / 1000, longest / 1000, secrets.SystemRandom())

    async def _connected(self) -> AsyncGenerator[list[Observation], None]:
        """Yield what one connection gives, until it is lost."""
        settings, clock = self._settings, asyncio.get_running_loop().time
        talk = Conversation(
            self._source, self._symbols, settings, depth=self._depth, rest_url=self._rest_url
        )
        receive = partial(self._receive, talk)
        async with connected(self._url, settings, self._now, receive) as connection:
            await talk.begin(connection, clock())
            heard_at = clock()
            while True:
                frames = await connection.frames(ELAPSED_S, BATCH_MAX)
                if frames:
                    heard_at = clock()
                elif clock() - heard_at > settings.silence_s_max:
                    silence = f"nothing for {settings.silence_s_max:g} s"
                    raise ConnectionLostError("the venue is silent", silence)
                batch = self._read(talk, frames)
                await talk.keep_up(connection, clock())
                yield [*batch, *self._told()] or [Elapsed(ts_recv=self._now())]

    def _read(self, talk: Conversation, frames: list[Frame]) -> list[Observation]:
        observations: list[Observation] = []
        for ts_recv, frame in frames:
            if frame == RESTORED_MARK:
                observations.append(Restored(ts_recv=ts_recv, reason="connected again"))
                continue
            try:
                observations += talk.read(ts_recv, frame)
            except RefusedError as error:
                # Before all is subscribed it is what was asked for that is wrong.
                if not talk.complete:
                    raise
                observations.append(self._rejected(ts_recv, frame, error))
            except (DataError, *DECODE_ERRORS) as error:
                observations.append(self._rejected(ts_recv, frame, error))
        return observations

    def _rejected(self, ts_recv: int, frame: bytes, error: Exception) -> Rejected:
        self.skipped["foreign frame"] += 1
        value, reason = frame[:REJECTED_BYTES_MAX], f"{type(error).__name__}: {error}"[:300]
        return Rejected(ts_recv=ts_recv, value=value, reason=reason)

    def _receive(self, talk: Conversation, ts_recv: int, frame: bytes) -> list[bytes]:
        """Store a frame, and behind the last answer a mark that nothing is missing any more."""
        self._store(ts_recv, frame)
        if not (talk.hear(frame) and self._lost):
            return [frame]
        self._lost = False
        self._store(ts_recv, RESTORED_MARK)
        return [frame, RESTORED_MARK]

    def _store(self, ts_recv: int, frame: bytes) -> None:
        """Store a frame as received; without room the recording goes on, and says so."""
        if self._raw is not None:
            try:
                self._raw.append(ts_recv, frame)
            except StackError as error:
                self._without_raw(error)

    def _without_raw(self, error: StackError) -> None:
        log.error("raw frames are stored no more session=%s why=%s", self.session, error)
        ERRORS.labels("produce", "raw").inc()
        self._raw = None
        self._notes.append(Note(ts_recv=self._newest, reason=f"raw frames end: {error}"[:300]))

    def _told(self) -> list[Observation]:
        """Return what is to be said beside, and let the operating system have the raw frames."""
        if self._raw is not None:
            try:
                self._raw.flush()
            except StackError as error:
                self._without_raw(error)
        notes, self._notes = self._notes, []
        return notes

    def _now(self) -> int:
        """Return the time, which never falls."""
        self._newest = max(self._newest, time.time_ns())
        return self._newest


def endpoint(endpoints: Sequence[str], venue: str) -> str:
    """Find ``VENUE=url``; empty if there is none."""
    for text in endpoints:
        name, sign, url = text.partition("=")
        if not (sign and url):
            raise SettingsError("endpoint cannot be read", repr(text), "write it as VENUE=url")
        if name.upper() == venue:
            return url
    return ""
