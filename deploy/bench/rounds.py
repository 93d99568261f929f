"""Rounds of cases: in each, all that is compared runs once, one process after the other."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Collection
from typing import Final
from uuid import uuid4

import msgspec

from deploy.bench.meter import Span
from deploy.bench.scratch import STOCK, copy_ticks, log_ends, scratch_namespace
from deploy.bench.whole import end_to_end
from deploy.bench.workload import KINDS
from schemas.errors import TickerplantError, TimedOutError
from schemas.settings import Settings, as_environment, child_environment

CASE_S_MAX: Final = 600.0
PARTS: Final = ("produce", "stream", "store", "end_to_end")
BOOKS_SHARE: Final = 4
"""One book for so many ticks asked for: a book of 20 levels is ten trades."""
STOCK_SHARE: Final = 20
"""Stock Faust folds one for so many ticks."""

Spans = dict[str, Span]
Tell = Callable[[str], None]


async def measure(
    settings: Settings, ticks: int, rounds: int, parts: Collection[str], tell: Tell
) -> list[Spans]:
    """Run the rounds on servers that run; return what each one found, by ``kind.case``."""
    found = []
    for number in range(1, rounds + 1):
        spans: Spans = {}
        tell(f"round {number} of {rounds}")
        for kind, count in (("trades", ticks), ("books", max(1, ticks // BOOKS_SHARE))):
            cases = _Cases(kind, spans, tell)
            if {"produce", "store"} & set(parts) or (kind == "trades" and "stream" in parts):
                async with scratch_namespace(settings, f"bench-{uuid4().hex[:10]}") as own:
                    await cases.run(own, count, parts)
        if "end_to_end" in parts:
            async with scratch_namespace(settings, f"bench-{uuid4().hex[:10]}") as own:
                spans["end_to_end"] = await end_to_end(own, ticks, run_case)
                tell(f"end_to_end: {spans['end_to_end'].per_second:,.0f} ticks/s")
        found.append(spans)
    return found


class _Cases:
    """The cases of one kind of tick in one round, over the same records."""

    def __init__(self, kind: str, spans: Spans, tell: Tell) -> None:
        self._kind = kind
        self._spans = spans
        self._tell = tell

    async def run(self, settings: Settings, ticks: int, parts: Collection[str]) -> None:
        topic = KINDS[self._kind].topic.full_name(settings.namespace)
        made = (await self._case("produce", settings, ticks)).records
        records = sum((await log_ends(settings, topic)).values())
        if "produce" in parts:
            await self._case("feed", settings, ticks)
            await self._case("bare_publish", settings, records)
        if "store" in parts:
            await self._case("consume", settings, made)
            await self._case("bare_store", settings, made)
        if {"store", "stream"} & set(parts):
            await self._case("bare_read", settings, records)
        if "stream" in parts and self._kind == "trades":
            await self._case("stream", settings, records)
            copied = await copy_ticks(settings, topic, STOCK, max(1, ticks // STOCK_SHARE))
            await self._case("stock_faust", settings, copied)
            await self._case("stock_faust_in_memory", settings, copied)

    async def _case(self, case: str, settings: Settings, count: int) -> Span:
        span = await run_case(case, settings, self._kind, count)
        name = f"{self._kind}.{case}"
        self._spans[name] = span
        self._tell(f"{name}: {span.cpu_us:.2f} us of CPU, {span.per_second:,.0f}/s")
        return span


async def run_case(case: str, settings: Settings, kind: str, count: int) -> Span:
    """Run one case in a fresh process."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "deploy.bench.subject", case, kind, str(count)),
        env=child_environment(**as_environment(settings)),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(CASE_S_MAX):
            output, _ = await process.communicate()
    except TimeoutError:
        raise TimedOutError(f"{case} does not end", f"waited {CASE_S_MAX:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise TickerplantError(f"{case} failed", f"exit code {process.returncode}", "see above")
    return msgspec.json.decode(output.splitlines()[-1], type=Span)
