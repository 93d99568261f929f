"""Stream workers as they run in production, watched from outside."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from secrets import choice
from typing import Final

import psutil

from deploy import kafka_admin
from deploy.local.ports import AUTO_PORTS, free
from deploy.local.supervisor import Patience, Supervisor
from deploy.local.workers import worker_service
from deploy.telemetry import scrape
from schemas.errors import TimedOutError
from schemas.settings import Settings
from schemas.topics import TRADES

POLL_S: Final = 0.05
STILL_S_MAX: Final = 60.0
GRACE_S: Final = 2.0
"""To end: one that has just joined a group would wait for a member that was killed."""


class StreamWorker:
    """One stream worker that runs."""

    def __init__(self, pid: int, port: int) -> None:
        self._process = psutil.Process(pid)
        self._port = port

    @property
    def cpu_s(self) -> float:
        """CPU of all threads so far, to 10 ms."""
        times = self._process.cpu_times()
        return float(times.user + times.system)

    @property
    def rss_mb(self) -> float:
        return float(self._process.memory_info().rss) / 1e6

    def kill(self) -> None:
        """End it by SIGKILL; it is started again as another process."""
        self._process.kill()

    def metrics(self) -> Counter[str]:
        """Return its metrics: sums over all labels, by sample name."""
        return scrape(self._port)


@asynccontextmanager
async def stream_workers(settings: Settings, count: int = 1) -> AsyncIterator[list[StreamWorker]]:
    """Run stream workers that share the partitions; give them when each has its part."""
    async with AsyncExitStack() as running:
        workers: dict[int, Supervisor] = {}
        for number in range(count):
            port = next(port for port in iter(lambda: choice(AUTO_PORTS), None) if free(port))
            stream = settings.stream.model_copy(update={"metrics_port": port})
            home = settings.home / f"{settings.namespace}-stream-{number}"
            own = settings.model_copy(update={"stream": stream, "home": home})
            service = replace(worker_service("stream", own), grace_s=GRACE_S)
            workers[port] = Supervisor(service, home, lambda: None, Patience())
            running.push_async_callback(workers[port].stop)
        await asyncio.gather(*(worker.start() for worker in workers.values()))
        await _wait_for_members(settings, count)
        yield [_running(worker, port) for port, worker in workers.items()]


def _running(worker: Supervisor, port: int) -> StreamWorker:
    assert worker.pid, "it was ready a moment ago"
    return StreamWorker(worker.pid, port)


async def wait_until_saved(settings: Settings) -> None:
    """Return when the workers have folded, and saved, all that is on ``trades`` now."""
    ends = await kafka_admin.log_ends(settings, [TRADES.full_name(settings.namespace)])
    clock = asyncio.get_running_loop().time
    least, since = -1, clock()
    while True:
        saved = await kafka_admin.committed(settings, settings.stream_group)
        left = sum(max(0, end - saved.get(place, 0)) for place, end in ends.items())
        if not left:
            return
        if left != least:
            least, since = left, clock()
        if clock() - since > STILL_S_MAX:
            raise TimedOutError(
                "stream workers do not go on", f"{left} records left, waited {STILL_S_MAX:g} s"
            )
        await asyncio.sleep(POLL_S)


async def _wait_for_members(settings: Settings, count: int) -> None:
    try:
        async with kafka_admin.admin(settings) as client, asyncio.timeout(STILL_S_MAX):
            while True:
                (answer,) = await client.describe_consumer_groups([settings.stream_group])
                _error, _group, state, _type, _protocol, members, *_ = answer.groups[0]
                if state == "Stable" and len(members) == count:
                    return
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise TimedOutError("stream workers do not share", f"waited {STILL_S_MAX:g} s") from None
