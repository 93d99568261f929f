"""A link to a venue: one connection from its dialing to its loss, and the frames that wait."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from producers.feeds.source import Source
from producers.live.connection import Connection, connected
from producers.live.conversation import ConnectionLostError, Conversation
from producers.live.frame_queue import Frame, FrameQueue
from producers.live.silence import Silence
from schemas.errors import StackError
from schemas.metrics import ERRORS
from schemas.sections import Capture

log = logging.getLogger(__name__)
TICK_S: Final = 0.1
"""How often a link looks after itself."""
PATIENCE_S: Final = 1.0
"""How long a venue is made to wait before frames go to a file: a reader that is merely slow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Venue:
    """Where all links of a recording lead, and what they ask for."""

    source: Source
    symbols: Sequence[str]
    depth: int
    url: str
    rest_url: str
    settings: Capture
    spill_folder: Path | None
    now_ns: Callable[[], int]
    opened: Callable[[int], bool]
    """Whether there is a market at a time: where there is none, silence is no fault."""


class Link:
    """Lives in a task of its own, so that a feed that is blocked loses nothing.

    ``received`` is told each frame before anything reads it, ``confirmed`` when all is confirmed.
    """

    def __init__(  # noqa: PLR0913 - what it needs of its surroundings
        self,
        number: int,
        *,
        venue: Venue,
        http: aiohttp.ClientSession,
        received: Callable[[Link, int, bytes], None],
        confirmed: Callable[[int], None],
        wake: Callable[[], None],
    ) -> None:
        self.number = number
        self.opened = self.retired = False
        self.joined = False
        """Whether the frame that confirms the last subscription has been read."""
        self.loss = ConnectionLostError("the connection was left")
        """Why it is over, if it is."""
        self.lost_at = 0
        self.talk = Conversation(
            venue.source, venue.symbols, venue.settings, depth=venue.depth, rest_url=venue.rest_url
        )
        settings = venue.settings
        self.queue = FrameQueue(settings.frames_max, settings.spill_bytes_max, venue.spill_folder)
        self._clock = asyncio.get_running_loop().time
        self.began = self._clock()
        self._silence = Silence(settings, self.began)
        self._venue = venue
        self._http = http
        self._received = received
        self._confirmed = confirmed
        self._wake = wake
        self._room = asyncio.Event()
        self._put = self._taken = 0
        self._confirmed_after: int | None = None
        self.confirmed_at = 0
        """Receive time of the last confirmation; 0 while there is none."""
        self._task = asyncio.create_task(self._live())

    @property
    def whole(self) -> bool:
        """Whether it tells everything: subscriptions confirmed, no book broken."""
        return self.joined and not self.talk.broken

    @property
    def over(self) -> bool:
        """Whether nothing comes any more, and all that came was taken. Raises what was no loss."""
        if not self._task.done() or self.queue:
            return False
        self._task.result()
        return True

    def take(self, count_max: int) -> list[Frame]:
        """Return the next frames; what confirms the last subscription ends a list."""
        if self._confirmed_after is not None and self._taken < self._confirmed_after:
            count_max = min(count_max, self._confirmed_after - self._taken)
        frames = self.queue.take(count_max)
        self._taken += len(frames)
        self._room.set()
        return frames

    @property
    def joins(self) -> bool:
        """Whether what was just taken ended with the last confirmation."""
        return not self.joined and self._taken == self._confirmed_after

    def heard_data(self) -> None:
        self._silence.heard(self._clock())

    def leave(self, why: ConnectionLostError) -> None:
        """Give the connection up."""
        self.loss = why
        self._task.cancel()

    def retire(self) -> None:
        """Close the connection; what it told is still read."""
        self.retired = True
        self._task.cancel()

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self.queue.close()

    async def _live(self) -> None:
        venue = self._venue
        try:
            async with connected(
                self._http, venue.url, venue.settings, self._receive
            ) as connection:
                self.opened = True
                await self._keep(connection)
        except ConnectionLostError as error:
            self.loss = error
        except asyncio.CancelledError:
            log.debug("connection left number=%d", self.number)
        finally:
            self.lost_at = venue.now_ns()
            self._wake()

    async def _keep(self, connection: Connection) -> None:
        """Talk, and listen, until the connection is lost."""
        venue, clock = self._venue, self._clock
        await self.talk.begin(connection, clock())
        reading = asyncio.create_task(connection.read())
        try:
            while not reading.done():
                await self.talk.keep_up(connection, clock())
                # What waits to be read may be data.
                if self.queue or not venue.opened(venue.now_ns()):
                    self._silence.pardon(clock())
                elif self._silence.over(clock()):
                    limit = f"no data for {self._silence.limit_s:g} s"
                    raise ConnectionLostError("the venue is silent", limit)
                await asyncio.wait({reading}, timeout=TICK_S)
            reading.result()
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _receive(self, frame: bytes) -> None:
        ts_recv = self._venue.now_ns()
        if len(self.queue) == self._venue.settings.frames_max:
            await self._patience()
        try:
            room = self.queue.put(ts_recv, frame)
        except StackError as error:
            ERRORS.labels("produce", "spill").inc()
            raise ConnectionLostError(error.what, error.detail, error.hint) from error
        if not room:
            log.error("frames are dropped connection=%d why=no room to wait", self.number)
            ERRORS.labels("produce", "spill").inc()
            raise ConnectionLostError(
                "frames come faster than they are taken",
                f"{len(self.queue)} wait, in memory and in a file that is full",
                "raise capture.spill_bytes_max, or look why Kafka is slow",
            )
        self._put += 1
        self._received(self, ts_recv, frame)
        if self.talk.hear(frame):
            self._confirmed_after, self.confirmed_at = self._put, ts_recv
            self._confirmed(ts_recv)
        self._wake()

    async def _patience(self) -> None:
        """Wait a moment for room in memory, once before frames begin to go to the file."""
        self._room.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                await self._room.wait()
