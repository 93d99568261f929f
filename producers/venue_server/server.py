"""A venue on a local port: recorded frames, told to whoever subscribes, at any pace.

As at a real venue, who is not connected misses what is told meanwhile, its history over HTTP has
it, and who subscribes gets the books as they stand. On command it closes connections, refuses new
ones, falls silent, lags, fails over HTTP, or spoils frames.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, web

from producers.live.frame_queue import Frame
from producers.venue_server.asked_books import AskedBooks
from producers.venue_server.faults import Faults
from producers.venue_server.protocols import answers, text_of
from producers.venue_server.sent_books import SentBooks
from producers.venue_server.trade_history import TradeHistory
from schemas.errors import DataError
from schemas.events import NS_PER_S

HOST: Final = "127.0.0.1"
CLOSE_S_MAX: Final = 1.0
"""Time for a client to say goodbye."""
LOOK_S: Final = 0.1
"""How soon a delay that is changed is heeded."""
SUBSCRIBING_S: Final = 0.05
"""From the first subscription to the first frame: the others of that client come meanwhile."""


class VenueServer:
    """Tells frames at ``speed`` times the pace at which they were received; None: at once."""

    def __init__(self, venue: str, frames: Iterable[Frame], *, speed: float | None = 1.0) -> None:
        self.silent = False
        """Tells nothing while True; what would be told meanwhile is lost."""
        self.refusing = False
        """Takes no connection while True."""
        self.mute_answers = False
        """Confirms nothing while True."""
        self.delay_s = 0.0
        """By which each frame comes late."""
        self.http_trouble: tuple[int, str] | None = None
        """Status and body of every reply over HTTP while the venue has troubles."""
        self.faults = Faults()
        """Of the frames that are told."""
        self.snapshots: dict[str, bytes] = {}
        """Replies over HTTP, by path or by symbol in capitals."""
        self.not_found = 0
        """Requests over HTTP that could not be answered."""
        self.told = 0
        """Frames so far, to anybody or nobody."""
        self.over = asyncio.Event()
        self._venue = venue
        self._frames = frames
        self._speed = speed
        self.clients: set[web.WebSocketResponse] = set()
        """Who has subscribed."""
        self._subscribed = asyncio.Event()
        self._history = TradeHistory(venue)
        self._sent_books = SentBooks(venue)
        self._asked_books = AskedBooks(venue)
        self._in_order = asyncio.Lock()
        """No frame comes between a book as it stands and the answers before it."""

    @asynccontextmanager
    async def serve(self, port: int = 0) -> AsyncIterator[int]:
        """Listen on loopback; give the port. Frames begin when the first client has subscribed."""
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, HOST, port)
        await site.start()
        telling = asyncio.create_task(self._tell())
        try:
            yield runner.addresses[0][1]
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
            await self.disconnect()
            await runner.cleanup()

    async def disconnect(self) -> None:
        """Close all connections."""
        closing = [client.close(code=WSCloseCode.GOING_AWAY) for client in self.clients]
        await asyncio.gather(*closing)

    async def say(self, frame: bytes) -> None:
        """Tell a frame to everybody, as text, or as binary if it is no text."""
        text = text_of(frame)
        for client in list(self.clients):
            # Who has just gone is taken off the list by its handler.
            with suppress(ConnectionError):
                await (client.send_bytes(frame) if text is None else client.send_str(text))

    async def tell(self, frame: bytes) -> list[bytes]:
        """Let a frame happen; return what was said of it to those who hear."""
        async with self._in_order:
            self.told += 1
            for memory in (self._history, self._sent_books, self._asked_books):
                memory.keep(frame)
            if self.silent or not self.clients:
                return []
            spoiled = self.faults.spoiled(frame)
            for part in spoiled:
                await self.say(part)
            return spoiled

    async def _tell(self) -> None:
        await self._subscribed.wait()
        await asyncio.sleep(SUBSCRIBING_S)
        clock = asyncio.get_running_loop().time
        began, first = clock(), None
        for ts_recv, frame in self._frames:
            first = ts_recv if first is None else first
            if self._speed is None:
                due = began
            else:
                due = began + (ts_recv - first) / NS_PER_S / self._speed
                await asyncio.sleep(0)
            while (wait_s := due + self.delay_s - clock()) > 0:  # noqa: ASYNC110 - it may be changed
                await asyncio.sleep(min(wait_s, LOOK_S))
            await self.tell(frame)
        self.over.set()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if self.refusing:
            return web.Response(status=503, text="maintenance")
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return self._over_http(request)
        client = web.WebSocketResponse(timeout=CLOSE_S_MAX)
        await client.prepare(request)
        try:
            async for message in client:
                if message.type is WSMsgType.TEXT:
                    await self._hear(client, message.data)
        finally:
            self.clients.discard(client)
        return client

    async def _hear(self, client: web.WebSocketResponse, message: str) -> None:
        try:
            said = answers(self._venue, message)
        except DataError as error:
            await client.send_str(f'{{"error":"{error.what}"}}')
            return
        async with self._in_order:
            # From the first answer on nothing that is told is missed.
            self.clients.add(client)
            said += self._sent_books.opening(message)
            for frame in said if not self.mute_answers else ():
                await client.send_str(frame.decode())
        self._subscribed.set()

    def _over_http(self, request: web.Request) -> web.Response:
        if self.http_trouble is not None:
            status, text = self.http_trouble
            return web.Response(status=status, text=text, content_type="text/html")
        try:
            body = self._history.reply(request.path, request.query)
            body = body or self._asked_books.reply(request.path, request.query)
        except ValueError as error:
            return web.Response(status=400, text=str(error))
        if body is None:
            named = request.query.get("symbol", "").upper()
            body = self.snapshots.get(request.path) or self.snapshots.get(named)
        if body is None:
            self.not_found += 1
            return web.Response(status=404, text="no such symbol")
        return web.Response(body=body, content_type="application/json")
