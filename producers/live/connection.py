"""One connection to a venue: what is sent over it, what comes, and what is asked over HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final

import aiohttp

from producers.live.conversation import ConnectionLostError
from schemas.errors import UnavailableError
from schemas.sections import Capture

Receive = Callable[[bytes], Awaitable[None]]
"""Told each frame as it is received; who lets it wait makes the venue wait."""
HEARTBEAT_S: Final = 20.0
"""Pings of the WebSocket itself; that they are answered says nothing of data."""
GONE: Final = (aiohttp.ClientError, OSError, TimeoutError)
PASSING: Final = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
"""Refusals that are over in a while; any other status from 400 to 499 is not."""
BLOCK_BYTES: Final = 65_536
TEXT: Final = aiohttp.WSMsgType.TEXT
BINARY: Final = aiohttp.WSMsgType.BINARY


class UnansweredError(UnavailableError):
    """Report a request over HTTP that was not answered; ``final``: it never will be."""

    def __init__(
        self, what: str, detail: str = "", *, final: bool = False, wait_s: float = 0.0
    ) -> None:
        super().__init__(what, detail)
        self.final = final
        self.wait_s = wait_s
        """How long the venue wants to be left alone."""


class Connection:
    """An open WebSocket, and requests beside it."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        socket: aiohttp.ClientWebSocketResponse,
        settings: Capture,
        receive: Receive,
    ) -> None:
        self._http = http
        self._socket = socket
        self._settings = settings
        self._receive = receive
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
        task = asyncio.create_task(self._ask(url, into_frame))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def read(self) -> None:
        """Hand on what comes; raises ``ConnectionLostError`` when nothing can come any more."""
        async for message in self._socket:
            kind = message.type
            if kind is TEXT:
                await self._receive(message.data.encode())
            elif kind is BINARY:
                await self._receive(message.data)
            elif kind is aiohttp.WSMsgType.ERROR:
                raise self._broken(message.data)
        code = self._socket.close_code
        raise ConnectionLostError("the venue closed the connection", f"code {code}")

    def _broken(self, error: object) -> ConnectionLostError:
        """Say what ended the connection from this side."""
        if getattr(error, "code", None) == aiohttp.WSCloseCode.MESSAGE_TOO_BIG:
            limit = f"above {self._settings.frame_bytes_max} bytes"
            hint = "raise capture.frame_bytes_max if it is no mistake"
            return ConnectionLostError("the venue sent a frame that is too big", limit, hint)
        return _lost(error)

    async def close(self) -> None:
        tasks = list(self._asking)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._socket.close()

    async def _ask(self, url: str, into_frame: Callable[[bytes], bytes]) -> None:
        try:
            body = await fetch(self._http, url, self._settings)
            await self._receive(into_frame(body))
        except (UnansweredError, ConnectionLostError):
            return


def http_session() -> aiohttp.ClientSession:
    """Return a session for everything that is asked of a venue; proxies are the environment's."""
    return aiohttp.ClientSession(trust_env=True)


async def fetch(http: aiohttp.ClientSession, url: str, settings: Capture) -> bytes:
    """Return the body of a reply over HTTP, or raise ``UnansweredError``."""
    try:
        async with asyncio.timeout(settings.answer_s_max), http.get(url) as reply:
            if reply.status >= HTTPStatus.BAD_REQUEST:
                raise _refused(reply)
            body = bytearray()
            async for block in reply.content.iter_chunked(BLOCK_BYTES):
                body += block
                if len(body) > settings.frame_bytes_max:
                    raise UnansweredError("reply is too big", url, final=True)
            return bytes(body)
    except GONE as error:
        raise UnansweredError("no reply", f"{url} {type(error).__name__}: {error}"[:300]) from error


@asynccontextmanager
async def connected(
    http: aiohttp.ClientSession, url: str, settings: Capture, receive: Receive
) -> AsyncIterator[Connection]:
    """Connect, or raise ``ConnectionLostError``."""
    try:
        async with asyncio.timeout(settings.answer_s_max):
            socket = await http.ws_connect(
                url, heartbeat=HEARTBEAT_S, max_msg_size=settings.frame_bytes_max
            )
    except GONE as error:
        raise _lost(error, url) from error
    connection = Connection(http, socket, settings, receive)
    try:
        yield connection
    finally:
        await connection.close()


async def time_to_connect(url: str, settings: Capture) -> float:
    """Connect once; return the seconds it took. Raises ``ConnectionLostError``."""
    began = time.monotonic()
    async with http_session() as http, connected(http, url, settings, _ignore):
        return time.monotonic() - began


async def _ignore(frame: bytes) -> None:
    pass


def _refused(reply: aiohttp.ClientResponse) -> UnansweredError:
    """Say what a status means: whether to ask again, and when."""
    status = reply.status
    final = status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in PASSING
    after = reply.headers.get("Retry-After", "")
    wait_s = float(after) if after.isdigit() else 0.0
    detail = f"{reply.url.path} status {status}"
    return UnansweredError("the venue refuses", detail, final=final, wait_s=wait_s)


def _lost(error: object, url: str = "") -> ConnectionLostError:
    what = f"{type(error).__name__}: {error}".rstrip(": ")
    return ConnectionLostError(
        "the venue cannot be reached",
        f"{url} {what}".strip()[:300],
        "look at the network and its proxy, or set capture.endpoints to VENUE=url",
    )
