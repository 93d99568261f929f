"""A stack: Kafka, QuestDB and the workers of one home, started and stopped together."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Collection, Iterable
from contextlib import ExitStack
from pathlib import Path
from secrets import choice
from typing import Final

from deploy import kafka_admin
from deploy.local.disk import disk_errors, require_room
from deploy.local.jars import ensure_jars
from deploy.local.kafka import kafka_service
from deploy.local.lock import exclusive, holder
from deploy.local.ports import check_ports, choose_ports
from deploy.local.progress import Progress, Silent
from deploy.local.questdb import questdb_service
from deploy.local.service import Service
from deploy.local.state import Process, Run, end_leftovers, lock_file, state_file, write_run
from deploy.local.supervisor import Patience, Supervisor
from deploy.local.workers import WORKERS, worker_service
from schemas.errors import AlreadyRunningError
from schemas.settings import Settings

log = logging.getLogger(__name__)

FREE_BYTES_MIN: Final = 512 * 1024 * 1024
SETTING: Final = "TICKERPLANT_HOME"
STEPS: Final = (("kafka", "questdb"), ("stream", "consume"), ("produce",))
"""Start order; services of one step start at the same time."""


class Stack:
    """The local stack of ``settings.home``. Start it once; stop it in any case.

    With ``settings.ports`` at ``auto`` it chooses all ports but the ``pinned`` ones (dotted
    names). The settings that it runs on come from ``start``, and are an attribute after it.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        workers: Collection[str] = WORKERS,
        pinned: Iterable[str] = (),
        progress: Progress | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.settings = settings
        self.left_out = left_out(settings, workers)
        self._pinned = frozenset(pinned)
        self._progress = progress or Silent()
        self._patience = patience or Patience()
        self._supervisors: dict[str, Supervisor] = {}
        self._run = Run(supervisor=Process.of(os.getpid()), left_out=self.left_out)
        self._held = ExitStack()
        self._ours = False

    async def start(self) -> Settings:
        """Start everything and return when all is ready; stop everything if something fails.

        Raises ``AlreadyRunningError``, ``PortTakenError``, ``DiskFullError``, ``DownloadError``,
        ``ChecksumError``, ``ServiceDiedError``, ``TimedOutError`` or ``SettingsError``.
        """
        home = self.settings.home
        try:
            with disk_errors(home, SETTING):
                await self._enter_home(home)
                services = await self._services()
                for step in STEPS:
                    await self._start_step([services[name] for name in step if name in services])
                    if "kafka" in step:
                        await self._prepare_servers()
                self._run.phase = "ready"
                self._changed()
        except BaseException:
            await self.stop()
            raise
        return self.settings

    async def start_unless(self, stop: asyncio.Event) -> Settings | None:
        """Start; cancel that, leaving nothing behind, if ``stop`` is set meanwhile: then None."""
        starting = asyncio.create_task(self.start())
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return await starting if starting.done() else None
        finally:
            for task in (starting, stopping):
                task.cancel()
            await asyncio.gather(starting, stopping, return_exceptions=True)

    async def stop(self) -> None:
        """Stop everything in reverse order. A second call finds nothing to do."""
        self._run.phase = "stopping"
        self._changed()
        for step in reversed(STEPS):
            stopping = [self._supervisors[name] for name in step if name in self._supervisors]
            await asyncio.gather(*(supervisor.stop() for supervisor in stopping))
            for supervisor in stopping:
                self._progress.say(f"{supervisor.service.name}: stopped")
                del self._supervisors[supervisor.service.name]
        self._ours = False
        self._held.close()

    async def stop_service(self, name: str) -> None:
        """Stop one service for good: the market is over, the rest runs on."""
        await self._supervisors[name].stop()

    def pids(self) -> dict[str, int]:
        """Return the pid of each service that is alive now."""
        found = {name: supervisor.pid for name, supervisor in self._supervisors.items()}
        return {name: pid for name, pid in found.items() if pid}

    async def _enter_home(self, home: Path) -> None:
        """Make this home ours, without leftovers of an earlier run and with ports that are free."""
        (home / "run").mkdir(parents=True, exist_ok=True)
        lock = lock_file(home)
        try:
            self._held.enter_context(exclusive(lock, wait=False))
        except BlockingIOError:
            raise AlreadyRunningError(
                "stack is already running",
                f"pid {holder(lock)}, home {home}",
                f"see: tickerplant status; stop it: tickerplant down; or set {SETTING}",
            ) from None
        self._ours = True
        require_room(home, FREE_BYTES_MIN, SETTING)
        await asyncio.to_thread(end_leftovers, home, self._progress.say)
        self._held.callback(state_file(home).unlink, missing_ok=True)
        if self.settings.ports == "auto":
            self.settings = choose_ports(self.settings, self._pinned, choice)
        check_ports(self.settings, services_of(self.left_out))
        self._changed()

    async def _services(self) -> dict[str, Service]:
        jars = await asyncio.to_thread(ensure_jars, self.settings.cache, self._progress)
        services = {
            "kafka": kafka_service(self.settings, jars.kafka),
            "questdb": questdb_service(self.settings, jars.questdb),
            **{name: worker_service(name, self.settings) for name in WORKERS},
        }
        return {name: service for name, service in services.items() if name not in self.left_out}

    async def _start_step(self, services: list[Service]) -> None:
        tasks = [asyncio.create_task(self._start(service)) for service in services]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _start(self, service: Service) -> None:
        supervisor = Supervisor(service, self.settings.home, self._changed, self._patience)
        self._supervisors[service.name] = supervisor
        self._run.services[service.name] = supervisor.state
        self._progress.begin(service.name)
        await supervisor.start()
        self._progress.done(service.name, f"ready, pid {supervisor.pid}")

    async def _prepare_servers(self) -> None:
        from consumers.store.migrate import migrate

        self._progress.begin("topics and tables")
        kafka_admin.check(await kafka_admin.provision(self.settings))
        await asyncio.to_thread(migrate, self.settings)
        self._progress.done("topics and tables", f"namespace {self.settings.namespace}")

    def _changed(self) -> None:
        if not self._ours:
            return
        try:
            write_run(self.settings.home, self._run)
        except OSError as error:  # the services run on without it
            log.warning("state not written home=%s error=%s", self.settings.home, error)


def services_of(left_out: Collection[str]) -> list[str]:
    """Return the services that remain, in start order."""
    return [name for step in STEPS for name in step if name not in left_out]


def left_out(settings: Settings, workers: Collection[str]) -> dict[str, str]:
    """Return the services that a stack of these settings does without, and why."""
    reasons = {name: "not among the workers asked for" for name in WORKERS if name not in workers}
    if "produce" in workers and settings.produce.feed == "none":
        reasons["produce"] = "produce.feed is none"
    if settings.kafka.bootstrap:
        reasons["kafka"] = "kafka.bootstrap names another cluster"
    if settings.questdb.host not in ("127.0.0.1", "localhost"):
        reasons["questdb"] = "questdb.host names another server"
    return reasons
