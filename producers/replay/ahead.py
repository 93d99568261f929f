"""Entries read in a thread while those before them are published: two chunks at most."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import islice
from typing import Final

from producers.replay.moments import Entry

CHUNK: Final = 5_000


class Ahead:
    """Reads entries ahead. Close it, whatever happens."""

    def __init__(self, entries: Iterator[Entry]) -> None:
        self._entries = entries
        self._coming: asyncio.Task[list[Entry]] | None = None

    async def next(self) -> list[Entry]:
        """Return the next entries, none at the end. Raises what reading them raises."""
        entries = await (self._coming or self._read())
        self._coming = asyncio.create_task(self._read()) if entries else None
        return entries

    async def close(self) -> None:
        """Wait for what is being read: a thread cannot be stopped."""
        if self._coming:
            await asyncio.gather(self._coming, return_exceptions=True)

    async def _read(self) -> list[Entry]:
        return await asyncio.to_thread(lambda: list(islice(self._entries, CHUNK)))
