"""Look at a stack from outside: what runs, what is ready, what is wrong with it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Literal

import psutil
from msgspec import Struct

from deploy.local.background import STOP_S
from deploy.local.kafka import kafka_fault
from deploy.local.lock import exclusive, holder
from deploy.local.logs import log_file
from deploy.local.ports import PORTS, port_of
from deploy.local.probe import answers
from deploy.local.progress import Progress
from deploy.local.questdb import questdb_fault
from deploy.local.state import Run, end, end_leftovers, lock_file, read_run
from schemas.errors import AlreadyRunningError
from schemas.settings import Settings

StackState = Literal["running", "starting", "stopping", "stopped", "half-dead"]


class ServiceStatus(Struct, kw_only=True):
    """One service as it is now; ``fault`` is empty if it is ready."""

    state: str
    pid: int | None = None
    restarts: int = 0
    last_exit: int | None = None
    memory_mb: int | None = None
    ports: dict[str, int] = {}
    fault: str = ""


class StackStatus(Struct, kw_only=True):
    """A stack as it is now."""

    state: StackState
    home: str
    namespace: str
    supervisor: int | None = None
    services: dict[str, ServiceStatus] = {}

    @property
    def healthy(self) -> bool:
        return self.state == "running" and not any(s.fault for s in self.services.values())


async def survey(settings: Settings) -> StackStatus:
    """Return the state of the stack, asking each living service whether it is ready."""
    run = read_run(settings.home)
    status = StackStatus(state=_state(run), home=str(settings.home), namespace=settings.namespace)
    if run is None or status.state == "stopped":
        return status
    status.supervisor = run.supervisor.pid if run.supervised else None
    living = run.living()
    faults = await asyncio.gather(*(fault(name, settings) for name in living))
    for name, why in zip(living, faults, strict=True):
        status.services[name] = _living(run, name, living[name], settings, why)
    for name, service in run.services.items():
        if name not in living:
            status.services[name] = ServiceStatus(
                state="dead" if status.state == "half-dead" else service.state,
                restarts=service.restarts,
                last_exit=service.last_exit,
                fault=f"not running; its log: {log_file(settings.home, name)}",
            )
    for name, why in run.left_out.items():
        status.services[name] = ServiceStatus(state=f"left out: {why}")
    return status


async def fault(name: str, settings: Settings) -> str:
    """Say why a service is not ready; nothing if it is."""
    if name == "kafka":
        return await kafka_fault(settings)
    if name == "questdb":
        return await questdb_fault(settings)
    return await answers(getattr(settings, name).metrics_port, "/ready")


def end_stack(home: Path, progress: Progress) -> list[str]:
    """Stop the stack of a home, whatever state it is in; return what was ended. Blocking."""
    run = read_run(home)
    supervisor = run.supervisor.find() if run else None
    ended = []
    if run and supervisor:
        progress.begin("stopping")
        ended = [*run.living(), "supervisor"]
        end(supervisor, STOP_S)
        progress.done("stopping", ", ".join(reversed(ended)))
    if not (home / "run").exists():
        return ended
    try:
        with exclusive(lock_file(home), wait=False):
            return ended + end_leftovers(home, progress.say)
    except BlockingIOError:
        raise AlreadyRunningError(
            "another start is under way", f"pid {holder(lock_file(home))}", "run this again"
        ) from None


def _state(run: Run | None) -> StackState:
    if run is None:
        return "stopped"
    if run.supervised:
        return "running" if run.phase == "ready" else run.phase
    return "half-dead" if run.living() else "stopped"


def _living(
    run: Run, name: str, process: psutil.Process, settings: Settings, why: str
) -> ServiceStatus:
    service = run.services[name]
    try:
        memory_mb = process.memory_info().rss >> 20
    except psutil.Error:
        memory_mb = None
    return ServiceStatus(
        state="ready" if not why else "not ready",
        pid=process.pid,
        restarts=service.restarts,
        last_exit=service.last_exit,
        memory_mb=memory_mb,
        ports={port: port_of(settings, port) for port in PORTS[name]},
        fault=why,
    )
