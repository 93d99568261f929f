"""A recording served from the command line, and its troubles on command."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from subprocess import PIPE, Popen

import aiohttp
import orjson
import pytest

from builders import T0
from conftest import CLI
from schemas.events import NS_PER_MS
from test_producers_live import match

SUBSCRIBE = '{"type":"subscribe","product_ids":["BTC-USD"],"channels":["matches"]}'
WAIT_S = 30


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """Return a minute of trades, one in 5 ms."""
    path = tmp_path / "capture"
    lines = (b"%d %s\n" % (T0 + n * 5 * NS_PER_MS, match(n)) for n in range(1, 12_001))
    path.write_bytes(b"".join(lines))
    return path


class Served:
    """A venue in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, http: aiohttp.ClientSession) -> None:
        assert process.stdin
        assert process.stdout
        self.process, self.http = process, http
        self.stdin, self.stdout = process.stdin, process.stdout
        self.url = ""
        self.told = 0
        """Frames, as the last answer says."""

    async def line(self) -> str:
        async with asyncio.timeout(WAIT_S):
            return (await self.stdout.readline()).decode().strip()

    async def order(self, text: str) -> str:
        """Write a line; return the answer without the count of frames."""
        self.stdin.write(f"{text}\n".encode())
        said = re.fullmatch(r"told ([\d,]+) frames: (.+)", await self.line())
        assert said
        self.told = int(said[1].replace(",", ""))
        return said[2]

    async def listen(self) -> aiohttp.ClientWebSocketResponse:
        client = await self.http.ws_connect(self.url)
        await client.send_str(SUBSCRIBE)
        assert orjson.loads(await client.receive_str(timeout=WAIT_S))["type"] == "subscriptions"
        return client

    async def ended(self) -> tuple[int, str]:
        async with asyncio.timeout(WAIT_S):
            _, stderr = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, stderr.decode()


@asynccontextmanager
async def served(capture: Path) -> AsyncIterator[Served]:
    command = (*CLI, "venue", "serve", str(capture), "--venue", "coinbase")
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=PIPE)
    async with aiohttp.ClientSession() as http:
        venue = Served(process, http)
        try:
            venue.url = await venue.line()
            assert (await venue.line()).startswith("record it: ")
            yield venue
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()


async def numbers(client: aiohttp.ClientWebSocketResponse, count: int) -> list[int]:
    return [
        orjson.loads(await client.receive_str(timeout=WAIT_S))["trade_id"] for _ in range(count)
    ]


async def test_troubles_come_on_command(capture: Path) -> None:
    async with served(capture) as venue:
        client = await venue.listen()
        assert await venue.order('drop "trade_id":100,') == (
            "the next frame that holds '\"trade_id\":100,' is lost"
        )
        assert await venue.order('double "trade_id":120,')
        assert await venue.order('swap "trade_id":140,')
        first, *told = await numbers(client, 150)
        expected = [*range(first + 1, 100), *range(101, 121), *range(120, 140), 141, 140]
        assert told[: len(expected)] == expected
        assert await venue.order("cut") == "the next frame ends in its middle"
        cut = ""
        while cut.endswith("}") or not cut:
            cut = await client.receive_str(timeout=WAIT_S)
        with pytest.raises(orjson.JSONDecodeError):
            orjson.loads(cut)

        (before,) = await numbers(client, 1)
        assert await venue.order("silent") == "no frame is told"
        silent_from = venue.told
        while venue.told < silent_from + 20:
            assert await venue.order("delay 0") == "frames come in time"
        assert await venue.order("silent off") == "frames are told"
        told = [before, *await numbers(client, silent_from - before + 20)]
        assert max(after - before for before, after in pairwise(told)) > 20

        assert await venue.order("http 503") == "HTTP answers 503"
        url = venue.url.replace("ws://", "http://").replace("/ws", "/products/BTC-USD/trades")
        async with venue.http.get(url) as reply:
            assert reply.status == 503
        assert await venue.order("http ok") == "HTTP answers again"
        async with venue.http.get(url) as reply:
            assert (await reply.json())[0]["trade_id"] > 140

        assert await venue.order("refuse") == "connections are refused"
        assert await venue.order("close") == "1 connection closed"
        async for message in client:
            assert message.type is aiohttp.WSMsgType.TEXT
        assert client.closed
        with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
            await venue.listen()
        assert await venue.order("refuse off") == "connections are taken"
        await numbers(await venue.listen(), 5)


async def test_what_is_no_order_is_answered_with_what_can_be_written(capture: Path) -> None:
    async with served(capture) as venue:
        assert "did you mean close?" in await venue.order("clsoe")
        assert "write delay SECONDS" in await venue.order("delay a while")
        venue.stdin.write(b"\n\xff\xfe\0\x1b[2J" + b"x" * 2_000_000 + b"\n")
        answer = await venue.line()
        assert "unknown order" in answer
        assert "\x1b" not in answer
        assert len(answer) < 1_000
        assert await venue.order("mute") == "subscriptions are not confirmed"
        venue.stdin.write(b"mute off")
        venue.stdin.close()
        assert (await venue.line()).endswith("subscriptions are confirmed")


async def test_it_serves_on_when_nobody_writes_or_reads_and_two_interrupts_end_it(
    capture: Path,
) -> None:
    async with served(capture) as venue:
        client = await venue.listen()
        # Whoever read what it says is gone, as head -2 is.
        venue.process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]
        venue.stdin.write(b"close\nhelp\n")
        async for message in client:
            assert message.type is aiohttp.WSMsgType.TEXT
        client = await venue.listen()
        venue.stdin.write(b"drop\n")
        venue.stdin.close()
        await numbers(client, 200)

        venue.process.send_signal(signal.SIGINT)
        venue.process.send_signal(signal.SIGINT)
        assert await venue.ended() == (0, "")


def test_a_job_in_the_background_of_a_terminal_is_not_stopped(capture: Path) -> None:
    """Reading from the terminal would stop it."""
    command = (*CLI, "venue", "serve", str(capture), "--venue", "coinbase")
    here, there = pty.openpty()
    inner = (
        "import fcntl, os, subprocess, sys, termios\n"
        "os.setsid()\n"
        "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
        "served = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, process_group=0)\n"
        "print(served.stdout.readline().decode(), end='', flush=True)\n"
        "served.stdout.readline()\n"
        "served.terminate()\n"
        "print(served.stdout.readline().decode(), served.wait(), flush=True)\n"
    )
    shell = (sys.executable, "-c", inner, *command)
    with Popen(shell, stdin=there, stdout=PIPE, text=True) as process:
        os.close(there)
        out, _ = process.communicate(timeout=WAIT_S)
    os.close(here)

    assert out.splitlines()[0].startswith("ws://")
    assert out.splitlines()[1:] == ["told 0 frames", " 0"]
