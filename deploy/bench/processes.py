"""Each case runs in a process of its own and prints what it took."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from deploy.bench.meter import Span
from deploy.bench.peers.environment import ensure_environment
from deploy.bench.scratch import PEER_CANDLES, TICKS
from schemas.errors import TickerplantError, TimedOutError
from schemas.settings import Settings, as_environment, child_environment

CASE_S_MAX: Final = 600.0
PROJECT: Final = Path(__file__).parents[2]

Tell = Callable[[str], None]


async def run_case(case: str, settings: Settings, kind: str, count: int) -> Span:
    """Run one case of ``subject`` on these settings."""
    command = (sys.executable, "-P", "-m", "deploy.bench.subject", case, kind, str(count))
    return _span(await _run(case, command, as_environment(settings)))


async def run_captured(case: str, venue: str, count: int) -> bytes:
    """Run one case of ``captured`` over so many frames; return the line that it prints."""
    command = (sys.executable, "-P", "-m", "deploy.bench.captured", case, venue, str(count))
    return await _run(f"{case} {venue}", command, {})


async def run_captured_live(case: str, settings: Settings, venue: str, count: int) -> Span:
    """Run one case of ``captured_live`` on these settings, with about so many frames."""
    command = (sys.executable, "-P", "-m", "deploy.bench.captured_live", case, venue, str(count))
    return _span(await _run(f"{case} {venue}", command, as_environment(settings)))


async def run_peer(peer: str, settings: Settings, count: int) -> Span:
    """Run a peer in its own environment over the first ticks; it finds our modules by path."""
    python = await asyncio.to_thread(ensure_environment, peer, settings.cache)
    topics = (f"{settings.namespace}.{topic}" for topic in (TICKS, PEER_CANDLES))
    arguments = (settings.kafka.servers, *topics, str(count))
    command = (str(python), "-P", "-m", f"deploy.bench.peers.{peer}", *arguments)
    environment = {"PYTHONPATH": str(PROJECT), "PYTHONWARNINGS": "ignore"}
    return _span(await _run(peer, command, environment))


def _span(line: bytes) -> Span:
    return msgspec.json.decode(line, type=Span)


async def _run(name: str, command: tuple[str, ...], environment: dict[str, str]) -> bytes:
    """Return the last line that a process prints."""
    process = await asyncio.create_subprocess_exec(
        *command, env=child_environment(**environment), stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(CASE_S_MAX):
            output, _ = await process.communicate()
    except TimeoutError:
        raise TimedOutError(f"{name} does not end", f"waited {CASE_S_MAX:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise TickerplantError(f"{name} failed", f"exit code {process.returncode}", "see above")
    return output.splitlines()[-1]
