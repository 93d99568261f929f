"""Supervision of one service: ready, dying, refusing to start, refusing to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from deploy.local.logs import follow, log_file, rotate, tail
from deploy.local.service import Service
from deploy.local.state import Process, Run, ServiceState, end_leftovers, read_run, write_run
from deploy.local.supervisor import Patience, Supervisor
from schemas.errors import ServiceDiedError, TimedOutError

QUICK = Patience(backoff_s=0.01, backoff_s_max=0.05, start_s_max=20)
SLEEP = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"


async def until(condition: Callable[[], object], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)


def supervise(home: Path, code: str, patience: Patience = QUICK, **options) -> Supervisor:
    log = log_file(home, "worker")

    async def probe() -> str:
        return "" if "up" in tail(log, 1_000) else "not up"

    service = Service("worker", (sys.executable, "-c", code), probe=probe, **options)
    return Supervisor(service, home, lambda: None, patience)


async def test_a_service_that_dies_is_started_again_and_that_is_seen(tmp_path: Path):
    supervisor = supervise(tmp_path, SLEEP)
    await supervisor.start()
    first = supervisor.pid

    os.kill(first, signal.SIGKILL)
    await until(lambda: supervisor.state.restarts and supervisor.state.state == "ready")

    assert supervisor.pid != first
    assert supervisor.state.restarts == 1
    assert supervisor.state.last_exit == -signal.SIGKILL
    await supervisor.stop()


async def test_a_service_that_never_starts_is_given_up_with_the_end_of_its_log(tmp_path: Path):
    supervisor = supervise(tmp_path, "print('no such topic'); raise SystemExit(7)")

    with pytest.raises(ServiceDiedError, match=r"died 3 times, exit 7; its log:\n.*no such topic"):
        await supervisor.start()
    await supervisor.stop()


async def test_a_service_that_is_never_ready_is_given_up_with_the_reason(tmp_path: Path):
    supervisor = supervise(tmp_path, "import time; time.sleep(600)", Patience(start_s_max=0.3))

    with pytest.raises(TimedOutError, match="not up"):
        await supervisor.start()
    pid = supervisor.pid
    await supervisor.stop()

    assert not psutil.pid_exists(pid)


async def test_a_service_that_ignores_the_request_to_stop_is_killed(tmp_path: Path):
    supervisor = supervise(tmp_path, STUBBORN, grace_s=0.2)
    await supervisor.start()
    pid = supervisor.pid

    await supervisor.stop()

    assert not psutil.pid_exists(pid)
    assert supervisor.state.state == "stopped"


async def test_stopping_while_it_waits_to_start_again_starts_nothing(tmp_path: Path):
    supervisor = supervise(tmp_path, SLEEP, Patience(backoff_s=600))
    await supervisor.start()
    os.kill(supervisor.pid, signal.SIGKILL)
    await until(lambda: supervisor.state.state == "waiting")

    await supervisor.stop()

    assert supervisor.pid is None


async def test_leftovers_of_a_killed_supervisor_are_ended_and_told(tmp_path: Path):
    supervisor = supervise(tmp_path, SLEEP)
    await supervisor.start()
    write_run(tmp_path, left_behind(tmp_path, supervisor.state.process))
    told: list[str] = []

    assert await asyncio.to_thread(end_leftovers, tmp_path, told.append) == ["worker"]

    assert "left over" in told[0]
    assert read_run(tmp_path) is None
    await supervisor.stop()


def test_a_recycled_pid_is_never_killed(tmp_path: Path):
    me = Process.of(os.getpid())
    stale = Process(me.pid, me.create_time - 3600)
    write_run(tmp_path, left_behind(tmp_path, stale))

    assert end_leftovers(tmp_path, print) == []  # or this very process would be gone


def test_a_torn_state_file_counts_as_none(tmp_path: Path):
    write_run(tmp_path, left_behind(tmp_path, None))
    file = tmp_path / "run" / "state.json"
    file.write_bytes(file.read_bytes()[:20])

    assert read_run(tmp_path) is None


def test_a_long_log_is_set_aside_when_its_service_starts(tmp_path: Path):
    log = tmp_path / "kafka.log"
    log.write_text("old\n" * 10)

    rotate(log, bytes_max=100)
    assert log.exists()
    rotate(log, bytes_max=10)

    assert tail(log, 5) == []
    assert tail(tmp_path / "kafka.log.1", 2) == ["old", "old"]


def test_following_a_log_goes_along_with_its_rotation(tmp_path: Path):
    log = tmp_path / "kafka.log"
    log.write_text("one\ntwo\n")
    lines = follow(log, 1)
    assert next(lines) == "two"

    with log.open("a") as file:
        file.write("three\n")
    assert next(lines) == "three"
    rotate(log, bytes_max=1)
    log.write_text("four\n")
    assert next(lines) == "four"


def left_behind(home: Path, worker: Process | None) -> Run:
    (home / "run").mkdir(exist_ok=True)
    gone = Process(os.getpid(), 1.0)
    return Run(supervisor=gone, phase="ready", services={"worker": ServiceState(worker, "ready")})
