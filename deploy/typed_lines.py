"""Lines of standard input, whatever it is: a terminal, a pipe, a file, or nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

LINE_BYTES_MAX: Final = 1_000
"""What is longer is cut."""
BLOCK_BYTES: Final = 4_096


async def typed_lines() -> AsyncIterator[str]:
    """Yield lines as they come, until input ends."""
    if sys.stdin is None:
        return
    # A job in the background would be stopped where it reads from its terminal; so reading fails.
    signal.signal(signal.SIGTTIN, signal.SIG_IGN)
    place, loop = sys.stdin.fileno(), asyncio.get_running_loop()
    blocks: asyncio.Queue[bytes] = asyncio.Queue()
    wanted = threading.Semaphore(0)

    def read() -> None:
        block = b"-"
        # The loop may be closed while nothing is typed.
        with suppress(RuntimeError):
            while block:
                wanted.acquire()
                block = _block(place)
                loop.call_soon_threadsafe(blocks.put_nowait, block)

    threading.Thread(target=read, name="stdin", daemon=True).start()
    rest = b""
    while True:
        wanted.release()
        block = await blocks.get()
        *lines, rest = (rest + block).split(b"\n")
        rest = rest[:LINE_BYTES_MAX]
        if not block and rest:
            lines.append(rest)
        for line in lines:
            yield line[:LINE_BYTES_MAX].decode(errors="replace")
        if not block:
            return


def _block(place: int) -> bytes:
    try:
        return os.read(place, BLOCK_BYTES)
    except OSError:
        return b""
