"""What is said over one connection: subscriptions, their answers, pings, books asked for anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Protocol

from producers.feed import Observation
from producers.feeds.source import Source
from schemas.errors import UnavailableError
from schemas.sections import Capture

PING_INTERVAL_S: Final = 15.0


class ConnectionLostError(UnavailableError):
    """The venue is gone, or as good as gone."""


class Voice(Protocol):
    """What a conversation needs of a connection."""

    async def send(self, message: bytes) -> None: ...

    def ask(self, url: str, into_frame: Callable[[bytes], bytes]) -> None: ...


class Conversation:
    """One connection's worth of talk with a venue. Times are seconds of any steady clock."""

    def __init__(
        self,
        source: Source,
        symbols: Sequence[str],
        settings: Capture,
        *,
        depth: int,
        rest_url: str,
    ) -> None:
        self._source = source
        self._symbols = symbols
        self._settings = settings
        self._depth = depth
        self._rest_url = rest_url
        self._parser = source.parser(source.venue, depth)
        self._requests = source.subscribe(symbols, depth)
        self._unanswered = sum(request.answers for request in self._requests)
        self._resync_at: dict[str, float] = {}
        self._began = self._pinged = 0.0

    @property
    def complete(self) -> bool:
        """Whether every subscription is confirmed: from then on nothing is missing."""
        return self._unanswered <= 0

    @property
    def broken(self) -> set[str]:
        """Symbols whose book waits for a snapshot."""
        return self._parser.broken

    async def begin(self, voice: Voice, now: float) -> None:
        """Ask for everything."""
        self._began = self._pinged = now
        for request in self._requests:
            await voice.send(request.message)

    def hear(self, frame: bytes) -> bool:
        """Count the answers as frames are received; tell whether this one was the last of them."""
        if not self._unanswered or self._source.answer not in frame[:1_000]:
            return False
        self._unanswered -= 1
        return self.complete

    def read(self, ts_recv: int, frame: bytes) -> list[Observation]:
        """Read a frame; raises what parsers raise."""
        return self._parser.parse(ts_recv, frame)

    async def keep_up(self, voice: Voice, now: float) -> None:
        """Ping, and ask for the books that wait for a snapshot; raise ``ConnectionLostError``."""
        source, settings = self._source, self._settings
        if not self.complete and now - self._began > settings.answer_s_max:
            silence = f"{self._unanswered} unanswered after {settings.answer_s_max:g} s"
            raise ConnectionLostError("the venue does not confirm subscriptions", silence)
        if source.ping is not None and now - self._pinged > PING_INTERVAL_S:
            self._pinged = now
            await voice.send(source.ping)
        broken = self._parser.broken
        due = [symbol for symbol in broken if now >= self._resync_at.get(symbol, 0.0)]
        for symbol in due:
            self._resync_at[symbol] = now + settings.resync_ms_min / 1000
            await self._resync(voice, symbol)

    async def _resync(self, voice: Voice, symbol: str) -> None:
        source = self._source
        if source.resubscribe is not None:
            for request in source.resubscribe([symbol], self._depth):
                await voice.send(request.message)
        elif source.snapshot_path is not None and source.snapshot_frame is not None:
            url = self._rest_url + source.snapshot_path(symbol)
            voice.ask(url, partial(source.snapshot_frame, symbol))
