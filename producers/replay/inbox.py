"""Commands on their way to a replay, from wherever they come."""

from __future__ import annotations

import asyncio
from collections import deque

from schemas.events import NS_PER_S
from schemas.replay_control import Command


class Inbox:
    """Commands that wait to be obeyed."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, Command | str]] = deque()
        self._filled = asyncio.Event()

    def put(self, command: Command | str, offset: int = -1) -> None:
        """Add a command, or why a record is none; an offset below 0 is of no record."""
        self._waiting.append((offset, command))
        self._filled.set()

    def take(self) -> tuple[int, Command | str] | None:
        """Return the next one."""
        if self._waiting:
            return self._waiting.popleft()
        self._filled.clear()
        return None

    async def listen(self, ns: int) -> None:
        """Wait so long, but not longer than until there is one."""
        try:
            async with asyncio.timeout(ns / NS_PER_S):
                await self._filled.wait()
        except TimeoutError:
            return
