"""Keep one service running: start, wait until ready, restart with back-off, stop."""

from __future__ import annotations

import asyncio
import logging
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from deploy.local.logs import log_file, rotate, tail
from deploy.local.service import Service
from deploy.local.state import Process, ServiceState
from schemas.errors import ServiceDiedError, TimedOutError
from schemas.settings import child_environment

log = logging.getLogger(__name__)

POLL_S: Final = 0.1
LOG_LINES: Final = 10


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for a service, and when to give it up."""

    backoff_s: float = 0.5
    backoff_s_max: float = 10.0
    healthy_s: float = 30.0
    """After so long a service has earned the short back-off again."""
    first_deaths_max: int = 3
    """Deaths before it was ready for the first time; then starting has failed."""
    start_s_max: float = 120.0


class Supervisor:
    """Supervise one service; ``changed`` is called whenever ``state`` is another."""

    def __init__(
        self, service: Service, home: Path, changed: Callable[[], None], patience: Patience
    ) -> None:
        self.service = service
        self.state = ServiceState()
        self._log = log_file(home, service.name)
        self._changed = changed
        self._patience = patience
        self._process: subprocess.Popen[bytes] | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process and self._process.poll() is None else None

    async def start(self) -> None:
        """Return when the service is ready; from then on it is restarted whenever it dies.

        Raises ``ServiceDiedError`` or ``TimedOutError``.
        """
        if self.service.prepare:
            await asyncio.to_thread(self.service.prepare)
        ready = asyncio.Event()
        self._task = asyncio.create_task(self._keep(ready), name=f"supervise {self.service.name}")
        became_ready = asyncio.create_task(ready.wait())
        done, _ = await asyncio.wait(
            {became_ready, self._task},
            timeout=self._patience.start_s_max,
            return_when=asyncio.FIRST_COMPLETED,
        )
        became_ready.cancel()
        if self._task in done:
            self._task.result()
        if not done:
            why = await self.service.probe()
            raise TimedOutError(
                f"{self.service.name} is not ready",
                f"waited {self._patience.start_s_max:g} s: {why}",
                f"see: tickerplant logs {self.service.name}",
            )

    async def stop(self) -> None:
        """Stop the service: SIGTERM, and SIGKILL after its grace time."""
        if self._task:
            self._task.cancel()
            await asyncio.wait({self._task})
        process = self._process
        if process and process.poll() is None:
            process.terminate()
            try:
                async with asyncio.timeout(self.service.grace_s):
                    await _ended(process)
            except TimeoutError:
                log.warning("service killed service=%s why=grace_time_over", self.service.name)
                process.kill()
                await _ended(process)
        self._enter("stopped")

    async def _keep(self, ready: asyncio.Event) -> None:
        """Start the service again and again; raise if it never gets ready."""
        name, patience, loop = self.service.name, self._patience, asyncio.get_running_loop()
        backoff_s = patience.backoff_s
        while True:
            started = loop.time()
            process = self._spawn()
            watch = asyncio.create_task(self._until_ready(ready))
            try:
                self.state.last_exit = await _ended(process)
            finally:
                watch.cancel()
            if loop.time() - started > patience.healthy_s:
                backoff_s = patience.backoff_s
            self.state.restarts += 1
            self._enter("waiting")
            log.warning(
                "service died service=%s exit=%d restart_in_s=%g",
                *(name, self.state.last_exit, backoff_s),
            )
            if not ready.is_set() and self.state.restarts >= patience.first_deaths_max:
                raise self._died()
            await asyncio.sleep(backoff_s)
            backoff_s = min(2 * backoff_s, patience.backoff_s_max)

    async def _until_ready(self, ready: asyncio.Event) -> None:
        while await self.service.probe():  # noqa: ASYNC110 - another process tells no event
            await asyncio.sleep(POLL_S)
        self._enter("ready")
        ready.set()

    def _spawn(self) -> subprocess.Popen[bytes]:
        """Start the process in a session of its own: Ctrl-C in a terminal is for us alone."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        rotate(self._log)
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own services
                self.service.command,
                env=child_environment(**self.service.environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.state.process = Process.of(self._process.pid)
        self._enter("starting")
        return self._process

    def _enter(self, state: Literal["starting", "ready", "waiting", "stopped"]) -> None:
        self.state.state = state
        self._changed()

    def _died(self) -> ServiceDiedError:
        lines = "\n".join(tail(self._log, LOG_LINES))
        return ServiceDiedError(
            f"{self.service.name} does not start",
            f"died {self.state.restarts} times, exit {self.state.last_exit}; its log:\n{lines}",
            f"see: tickerplant logs {self.service.name}; tickerplant doctor",
        )


async def _ended(process: subprocess.Popen[bytes]) -> int:
    """Wait without a thread or a signal handler, which the loop of a caller may not have."""
    while (code := process.poll()) is None:  # noqa: ASYNC110 - as it says
        await asyncio.sleep(POLL_S)
    return code
