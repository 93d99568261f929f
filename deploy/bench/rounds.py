"""Rounds of cases: in each, all that is compared runs once, one process after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any, Final

from deploy.bench.backtest import backtest
from deploy.bench.capture import capture, capture_live, capture_memory
from deploy.bench.latency import latency
from deploy.bench.meter import Span
from deploy.bench.peers import PEERS
from deploy.bench.processes import Tell, run_case, run_peer
from deploy.bench.reads import reads
from deploy.bench.recovery import recovery
from deploy.bench.replay import replay
from deploy.bench.report import Round
from deploy.bench.scale import scale
from deploy.bench.scratch import TICKS, copy_ticks, log_ends, scratch_namespace
from deploy.bench.sharing import sharing
from deploy.bench.whole import end_to_end
from deploy.bench.workload import INSTRUMENTS, KINDS, RATE, with_market
from schemas.errors import TickerplantError
from schemas.intervals import INTERVALS
from schemas.settings import Settings

PARTS: Final = (
    *("produce", "stream", "peers", "intervals", "instruments", "workers"),
    *("latency", "scale", "recovery", "store", "reads", "replay", "end_to_end", "capture"),
    *("capture_live", "backtest"),
)
ALONE: Final = {
    *("latency", "scale", "recovery", "reads", "replay", "end_to_end", "capture"),
    *("capture_live", "backtest"),
}
"""Parts that need no trades of the usual market on topics."""
BOOKS_SHARE: Final = 4
"""One book for so many ticks asked for: a book of 20 levels is ten trades."""
SLOW_SHARE: Final = 20
"""Who takes one event at a time folds one for so many ticks."""
MANY: Final = 1_000
VARIANTS: Final[dict[str, dict[str, dict[str, Any]]]] = {
    "intervals": {"all_intervals": {"intervals": INTERVALS}},
    "instruments": {
        "many": {"instruments": MANY, "rate": RATE * MANY / INSTRUMENTS},
        "many_at_same_total": {"instruments": MANY},
    },
}
"""By part: markets that are streamed beside the usual one, to compare with it."""


async def measure(
    settings: Settings, ticks: int, rounds: int, parts: Collection[str], tell: Tell
) -> list[Round]:
    """Run the rounds on servers that run; return what each one found."""
    found = []
    for number in range(1, rounds + 1):
        tell(f"round {number} of {rounds}")
        one = _Round(with_market(settings), ticks, parts, tell)
        await one.run(first=number == 1)
        found.append(one.found)
    return found


class _Round:
    """What is compared, once."""

    def __init__(self, settings: Settings, ticks: int, parts: Collection[str], tell: Tell) -> None:
        self.found = Round()
        self._settings = settings
        self._ticks = ticks
        self._parts = frozenset(parts)
        self._tell = tell

    async def run(self, *, first: bool) -> None:
        settings, ticks, parts = self._settings, self._ticks, self._parts
        if parts - ALONE:
            async with scratch_namespace(settings) as own:
                await self._trades(own)
        if parts & {"produce", "store"}:
            async with scratch_namespace(settings) as own:
                await self._made_and_stored(own, "books", max(1, ticks // BOOKS_SHARE))
        for part in VARIANTS.keys() & parts:
            for name, market in VARIANTS[part].items():
                async with scratch_namespace(with_market(settings, **market)) as own:
                    await self._streamed(own, name)
        await self._alone(first=first)
        if "replay" in parts:
            self._figures("replay", await replay(settings, ticks))
        if "end_to_end" in parts:
            async with scratch_namespace(settings) as own:
                span = self.found.spans["end_to_end"] = await end_to_end(own, ticks)
                self._tell(f"end_to_end: {span.per_second:,.0f} ticks/s")

    async def _alone(self, *, first: bool) -> None:
        """Run the parts that share no market with others; the long ones once."""
        settings, ticks, parts, tell = self._settings, self._ticks, self._parts, self._tell
        if "latency" in parts:
            self._figures("latency", await latency(settings, ticks))
        if "capture" in parts:
            self._figures("capture", await capture(ticks, tell))
        if "capture_live" in parts:
            self._figures("capture_live", await capture_live(settings, ticks, tell))
        if not first:
            return
        if "backtest" in parts:
            self._figures("backtest", await asyncio.to_thread(backtest, settings, ticks))
        if "capture" in parts:
            self._figures("capture_memory", await capture_memory(ticks, tell))
        for part, measure_part in (("scale", scale), ("recovery", recovery), ("reads", reads)):
            if part in parts:
                self._figures(part, await measure_part(settings, ticks))

    async def _trades(self, own: Settings) -> None:
        """Run all that reads the trades of the usual market."""
        parts = self._parts
        records = await self._made_and_stored(own, "trades", self._ticks)
        if parts & {"stream", "peers", *VARIANTS}:
            await self._case("trades.stream", own, records)
        if "workers" in parts:
            self._figures("workers", await sharing(own))
        if not parts & {"stream", "peers"}:
            return
        topic = KINDS["trades"].topic.full_name(own.namespace)
        copied = await copy_ticks(own, topic, TICKS, max(1, self._ticks // SLOW_SHARE))
        if "stream" in parts:
            await self._case("trades.by_hand", own, records)
            await self._case("trades.stock_faust", own, copied)
            await self._case("trades.stock_faust_in_memory", own, copied)
        if "peers" in parts:
            for peer in PEERS:
                await self._peer(peer, own, copied)

    async def _made_and_stored(self, own: Settings, kind: str, ticks: int) -> int:
        """Publish the ticks of a kind, and store them; return the number of records."""
        parts = self._parts
        made = (await self._case(f"{kind}.produce", own, ticks)).records
        records = sum((await log_ends(own, KINDS[kind].topic.full_name(own.namespace))).values())
        if "produce" in parts:
            await self._case(f"{kind}.feed", own, ticks)
            await self._case(f"{kind}.bare_publish", own, records)
        if "store" in parts:
            await self._case(f"{kind}.consume", own, made)
            await self._case(f"{kind}.bare_store", own, made)
        if "store" in parts or ("stream" in parts and kind == "trades"):
            await self._case(f"{kind}.bare_read", own, records)
        return records

    async def _streamed(self, own: Settings, name: str) -> None:
        """Stream a market that is not the usual one."""
        await run_case("produce", own, "trades", self._ticks)
        topic = KINDS["trades"].topic.full_name(own.namespace)
        records = sum((await log_ends(own, topic)).values())
        await self._case("trades.stream", own, records, f"{name}.stream")

    async def _case(self, name: str, own: Settings, count: int, label: str = "") -> Span:
        kind, case = name.split(".")
        span = self.found.spans[label or name] = await run_case(case, own, kind, count)
        self._tell(f"{label or name}: {span.cpu_us:.2f} us of CPU, {span.per_second:,.0f}/s")
        return span

    async def _peer(self, peer: str, own: Settings, count: int) -> None:
        try:
            span = self.found.spans[peer] = await run_peer(peer, own, count)
        except TickerplantError as error:
            self.found.absent[peer] = str(error)
            self._tell(f"{peer}: absent, {error}")
        else:
            self._tell(f"{peer}: {span.cpu_us:.2f} us of CPU, {span.per_second:,.0f}/s")

    def _figures(self, part: str, figures: dict[str, float]) -> None:
        self.found.figures[part] = figures
        self._tell(f"{part}: " + ", ".join(f"{name} {n:,.6g}" for name, n in figures.items()))
