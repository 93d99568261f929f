"""A TCP proxy before a server, for faults on demand: away, silent, or answers lost on the way."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Literal, Self

Mode = Literal["pass", "refuse", "silent", "lose_answers"]


class FaultyProxy:
    """Forwards to ``port`` on loopback; a change of ``mode`` also cuts what is connected."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._mode: Mode = "pass"
        self._writers: set[asyncio.StreamWriter] = set()
        self._released = asyncio.Event()
        self.lost = 0
        """Answers that the server gave and nobody got."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.become("refuse")
        self._server.close()
        await self._server.wait_closed()

    def become(self, mode: Mode) -> None:
        self._mode = mode
        self._released.set()
        self._released = asyncio.Event()
        for writer in self._writers:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            if self._mode == "silent":
                await self._released.wait()
            elif self._mode != "refuse":
                await self._forward(reader, writer)
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, there = await asyncio.open_connection("127.0.0.1", self._target)
        pumps = [
            asyncio.create_task(self._pump(reader, there, answers=False)),
            asyncio.create_task(self._pump(back, writer, answers=True)),
        ]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        there.close()
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65_536):
                if answers and self._mode == "lose_answers":
                    self.lost += 1
                    return
                sink.write(data)
                await sink.drain()
