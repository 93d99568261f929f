"""What the store soak does to QuestDB and to the sinks, and what mends it."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from consumers.store.sql import database
from deploy.local.probe import answers
from deploy.local.stack import Stack
from deploy.soak.second_worker import second_worker
from deploy.soak.small_disk import SmallDisk
from schemas.errors import TimedOutError
from schemas.tables import TICK_PRICES

POLL_S: Final = 0.1
TURN_S_MAX: Final = 120.0
RED_S_MAX: Final = 20.0
FULL_S: Final = 3.0
RESUME: Final = re.compile(r"ALTER TABLE \w+ RESUME WAL")
SUSPEND: Final = f"ALTER TABLE {TICK_PRICES} SUSPEND WAL"
ALWAYS: Final = (
    *("server killed", "sink killed", "second sink comes"),
    *("server killed", "sink killed", "second sink killed"),
)
"""In turn, again and again."""
ONCE: Final = ("table suspended", "disk full", "server paused")
"""Spread over the run."""
Harm = Callable[[], Awaitable[None]]


def plan(faults: int, left_out: tuple[str, ...]) -> list[str]:
    """Return the faults in order: those of ``ONCE`` that are not left out, and the others."""
    once = [name for name in ONCE if name not in left_out][:faults]
    rest = faults - len(once)
    names = [ALWAYS[number % len(ALWAYS)] for number in range(rest)]
    for place, name in enumerate(once, 1):
        names.insert(place * rest // (len(once) + 1) + place - 1, name)
    return names


class Faults:
    """Harms a running stack; each fault returns when the store is ready again."""

    def __init__(self, stack: Stack, disk: SmallDisk, pause_s: float) -> None:
        self._stack = stack
        self._settings = stack.settings
        self._disk = disk
        self._pause_s = pause_s
        self._second = second_worker(self._settings, "consume")
        self.noticed: Counter[str] = Counter()
        """How often readiness turned red, by fault."""
        self._harms: dict[str, Harm] = {
            "server killed": self._kill_server,
            "server paused": self._pause_server,
            "table suspended": self._suspend_table,
            "disk full": self._fill_disk,
            "sink killed": self._kill_sink,
            "second sink comes": self._second.start,
            "second sink killed": self._kill_second,
        }

    def sinks(self) -> list[int]:
        """Return the pids of the sinks that run now."""
        pids = (self._stack.pids().get("consume"), self._second.pid)
        return [pid for pid in pids if pid]

    async def harm(self, name: str) -> None:
        """Do one of them and wait until all is well again."""
        await self._harms[name]()
        await self._until(self._well, f"all well after: {name}")

    async def stop(self) -> None:
        """Undo what may still be there."""
        self._disk.free()
        if pid := self._stack.pids().get("questdb"):
            os.kill(pid, signal.SIGCONT)
        await self._second.stop()

    async def _kill_server(self) -> None:
        os.kill(self._stack.pids()["questdb"], signal.SIGKILL)
        await self._notice("server killed")

    async def _pause_server(self) -> None:
        pid = self._stack.pids()["questdb"]
        os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(self._pause_s)
        if await self._fault():
            self.noticed["server paused"] += 1
        os.kill(pid, signal.SIGCONT)

    async def _suspend_table(self) -> None:
        await asyncio.to_thread(self._execute, SUSPEND)
        await self._mend(await self._notice("table suspended"))

    async def _fill_disk(self) -> None:
        await asyncio.to_thread(self._disk.fill)
        # Of few ticks QuestDB may have room enough in the pages that it has.
        with suppress(TimedOutError):
            await self._notice("disk full", RED_S_MAX)
        await asyncio.sleep(FULL_S)
        await asyncio.to_thread(self._disk.free)

        async def mended() -> bool:
            fault = await self._fault()
            await self._mend(fault)
            return not fault

        await self._until(mended, "readiness after the disk has room")

    async def _kill_sink(self) -> None:
        os.kill(self._stack.pids()["consume"], signal.SIGKILL)

    async def _kill_second(self) -> None:
        if self._second.pid:
            os.kill(self._second.pid, signal.SIGKILL)
        await self._second.stop()

    async def _mend(self, fault: str) -> None:
        """Do as readiness says, if it names a statement."""
        if statement := RESUME.search(fault):
            await asyncio.to_thread(self._execute, statement[0])

    async def _fault(self) -> str:
        return await answers(self._settings.consume.metrics_port, "/ready")

    async def _notice(self, name: str, seconds: float = TURN_S_MAX) -> str:
        """Wait until readiness is red, and return what it says."""
        said = ""

        async def red() -> bool:
            nonlocal said
            said = await self._fault()
            return bool(said)

        await self._until(red, f"red readiness: {name}", seconds)
        self.noticed[name] += 1
        return said

    async def _well(self) -> bool:
        alive = self._stack.pids()
        return {"questdb", "consume"} <= alive.keys() and not await self._fault()

    async def _until(
        self, reached: Callable[[], Awaitable[bool]], what: str, seconds: float = TURN_S_MAX
    ) -> None:
        try:
            async with asyncio.timeout(seconds):
                while not await reached():  # noqa: ASYNC110 - another process sets no event
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            why = await self._fault()
            raise TimedOutError(f"no {what}", f"waited {seconds:g} s: {why}") from None

    def _execute(self, statement: str) -> None:
        with database(self._settings.questdb) as db:
            db.execute(statement)
