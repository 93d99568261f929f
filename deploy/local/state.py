"""What is known of a running stack, on disk: processes by pid and start time.

A pid alone proves nothing, as the system gives it to another program later.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

import msgspec
import psutil
from msgspec import Struct

SAME_START_S: Final = 1.0
"""The kernel's idea of when it booted moves a little, and start times with it."""
TERMINATE_S: Final = 30.0


class Process(Struct, frozen=True):
    """A process, told apart from a later one of the same pid."""

    pid: int
    create_time: float

    @classmethod
    def of(cls, pid: int) -> Process:
        try:
            return cls(pid, psutil.Process(pid).create_time())
        except psutil.NoSuchProcess:
            return cls(pid, 0.0)

    def find(self) -> psutil.Process | None:
        """Return it if it lives."""
        try:
            found = psutil.Process(self.pid)
            same = abs(found.create_time() - self.create_time) < SAME_START_S
            return found if same and found.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


class ServiceState(Struct):
    """One service of the stack."""

    process: Process | None = None
    state: Literal["starting", "ready", "waiting", "stopped"] = "starting"
    """``waiting``: it died and will be started again."""
    restarts: int = 0
    last_exit: int | None = None
    """Exit code of the last death; negative is a signal."""


class Run(Struct, kw_only=True):
    """One run of the supervisor."""

    supervisor: Process
    phase: Literal["starting", "ready", "stopping"] = "starting"
    services: dict[str, ServiceState] = {}
    left_out: dict[str, str] = {}
    """Services that this run does without, and why."""

    @property
    def supervised(self) -> bool:
        return self.supervisor.find() is not None

    def living(self) -> dict[str, psutil.Process]:
        """Return the services whose processes live, in start order."""
        found = {
            name: service.process.find() if service.process else None
            for name, service in self.services.items()
        }
        return {name: process for name, process in found.items() if process}


def state_file(home: Path) -> Path:
    return home / "run" / "state.json"


def lock_file(home: Path) -> Path:
    return home / "run" / "lock"


def read_run(home: Path) -> Run | None:
    """Return the last run of this home; None if there was none or it was stopped in order."""
    try:
        return msgspec.json.decode(state_file(home).read_bytes(), type=Run)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def write_run(home: Path, run: Run) -> None:
    """Replace the file in one step."""
    aside = state_file(home).with_suffix(".new")
    aside.write_bytes(msgspec.json.encode(run))
    aside.replace(state_file(home))


def end_leftovers(home: Path, say: Callable[[str], None]) -> list[str]:
    """End what a killed supervisor left running, in reverse order, and forget that run.

    Call it with the lock of the home held. A process that merely has the pid of one of ours lives.
    """
    run = read_run(home)
    living = run.living() if run else {}
    for name, process in reversed(living.items()):
        say(f"{name}: left over by a killed supervisor, ending pid {process.pid}")
        end(process)
    state_file(home).unlink(missing_ok=True)
    return list(living)


def end(process: psutil.Process, seconds: float = TERMINATE_S) -> None:
    """Ask a process to end, and kill it when it has not for so long."""
    try:
        process.terminate()
        process.wait(seconds)
    except psutil.TimeoutExpired:
        process.kill()
        process.wait(seconds)
    except psutil.NoSuchProcess:
        pass
