"""One connection to a venue: what is sent over it, and the frames that come, with their time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import aiohttp

from producers.conversation import ConnectionLostError
from schemas.sections import Capture

Frame = tuple[int, bytes]
"""Receive time and content."""
Receive = Callable[[int, bytes], list[bytes]]
"""Told each frame as it is received, before anything reads it; returns what is to be read."""
HEARTBEAT_S: Final = 20.0
"""Pings of the WebSocket itself; that they are answered says nothing of data."""
GONE: Final = (aiohttp.ClientError, OSError, TimeoutError)


class Connection:
    """Frames wait in a bounded queue; when it is full the venue is made to wait."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        socket: aiohttp.ClientWebSocketResponse,
        settings: Capture,
        now_ns: Callable[[], int],
        receive: Receive,
    ) -> None:
        self._http = http
        self._socket = socket
        self._settings = settings
        self._now_ns = now_ns
        self._receive = receive
        self._frames: asyncio.Queue[Frame] = asyncio.Queue(settings.frames_max)
        self._reading = asyncio.create_task(self._read())
        self._asking: set[asyncio.Task[None]] = set()

    async def send(self, message: bytes) -> None:
        try:
            await self._socket.send_str(message.decode())
        except GONE as error:
            raise _lost(error) from error

    def ask(self, url: str, into_frame: Callable[[bytes], bytes]) -> None:
        """Fetch over HTTP beside; the reply, made into a frame, comes among the others.

        A request that fails comes to nothing: whoever waits for its reply asks again.
        """
        task = asyncio.create_task(self._fetch(url, into_frame))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def frames(self, wait_s: float, count_max: int) -> list[Frame]:
        """Return what has come, nothing after ``wait_s``; raise ``ConnectionLostError``."""
        queue = self._frames
        if queue.empty():
            getting = asyncio.create_task(queue.get())
            try:
                await asyncio.wait(
                    {getting, self._reading},
                    timeout=wait_s,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if getting.done():
                    return [getting.result(), *self._drained(count_max - 1)]
            finally:
                getting.cancel()
            # What came before the end comes before the end is told.
            if queue.empty() and self._reading.done():
                self._reading.result()
        return self._drained(count_max)

    def _drained(self, count_max: int) -> list[Frame]:
        queue = self._frames
        return [queue.get_nowait() for _ in range(min(count_max, queue.qsize()))]

    async def close(self) -> None:
        tasks = [self._reading, *self._asking]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._socket.close()

    async def _read(self) -> None:
        """Store and queue what comes; raises when nothing can come any more."""
        async for message in self._socket:
            if message.type in {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY}:
                data = message.data
                await self._put(data.encode() if isinstance(data, str) else data)
            elif message.type is aiohttp.WSMsgType.ERROR:
                raise _lost(message.data)
        code = self._socket.close_code
        raise ConnectionLostError("the venue closed the connection", f"code {code}")

    async def _put(self, frame: bytes) -> None:
        ts_recv = self._now_ns()
        for part in self._receive(ts_recv, frame):
            await self._frames.put((ts_recv, part))

    async def _fetch(self, url: str, into_frame: Callable[[bytes], bytes]) -> None:
        try:
            async with asyncio.timeout(self._settings.answer_s_max):
                async with self._http.get(url) as reply:
                    body = await reply.read()
                    reply.raise_for_status()
        except GONE:
            return
        await self._put(into_frame(body))


@asynccontextmanager
async def connected(
    url: str, settings: Capture, now_ns: Callable[[], int], receive: Receive
) -> AsyncIterator[Connection]:
    """Connect, or raise ``ConnectionLostError``. Proxies are those of the environment."""
    async with aiohttp.ClientSession(trust_env=True) as http:
        try:
            async with asyncio.timeout(settings.answer_s_max):
                socket = await http.ws_connect(
                    url, heartbeat=HEARTBEAT_S, max_msg_size=settings.frame_bytes_max
                )
        except GONE as error:
            raise _lost(error, url) from error
        connection = Connection(http, socket, settings, now_ns, receive)
        try:
            yield connection
        finally:
            await connection.close()


async def time_to_connect(url: str, settings: Capture) -> float:
    """Connect once; return the seconds it took. Raises ``ConnectionLostError``."""
    clock = asyncio.get_running_loop().time
    began = clock()
    async with connected(url, settings, time.time_ns, lambda _, frame: [frame]):
        return clock() - began


def _lost(error: object, url: str = "") -> ConnectionLostError:
    what = f"{type(error).__name__}: {error}".rstrip(": ")
    return ConnectionLostError(
        "the venue cannot be reached",
        f"{url} {what}".strip()[:300],
        "look at the network and its proxy, or set capture.endpoints to VENUE=url",
    )
