"""The soak of the store: ticks and poison run in, servers and sinks are harmed, all is counted.

``python -m deploy.soak.store --faults 64`` prints a line a fault on stderr and one JSON object.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import time_ns
from typing import Annotated, Final

import msgspec
import psutil
import typer

from consumers.store import reader
from consumers.store.sql import database
from deploy import kafka_admin, letters
from deploy.local.jars import ensure_jars
from deploy.local.progress import Shown
from deploy.local.stack import Stack
from deploy.soak.poison import KEY, POISON, Market
from deploy.soak.small_disk import SmallDisk
from deploy.soak.store_faults import Faults, plan
from deploy.stored import reach
from producers.publisher import Publisher
from schemas.codec import input_decoder
from schemas.events import CandleRules, End, Start, Tick
from schemas.health import Health
from schemas.settings import Settings, load_settings
from schemas.tables import TICK_ORDERBOOK, TICK_PRICES, TICK_QUOTES
from schemas.topics import BOOKS, QUOTES, TRADES

SLOT_S: Final = 0.05
BETWEEN_S: Final = (0.2, 2.0)
STORED_S_MAX: Final = 180.0
MEMORY_MB_MAX: Final = 512
MAY_SUSPEND: Final = "dev.mode.enabled=true\n"
"""QuestDB suspends a table on request in this mode only."""
TABLES: Final = {TRADES: TICK_PRICES, BOOKS: TICK_ORDERBOOK, QUOTES: TICK_QUOTES}
Say = Callable[[str], None]


class StoreSoakResult(msgspec.Struct, kw_only=True):
    """What was on the topics, what is in the store, and every difference between them."""

    faults: dict[str, int]
    noticed: dict[str, int]
    """How often readiness turned red, by fault."""
    left_out: str
    """Why the disk was not filled."""
    on_topic: dict[str, int]
    lost: dict[str, int]
    doubled: dict[str, int]
    poison: dict[str, int]
    """Records by kind."""
    poison_without_letter: int
    letters_without_poison: int
    letters_without_reason: int
    sink_memory_mb: int
    """The most that a sink had."""

    @property
    def clean(self) -> bool:
        wrong = [*self.lost.values(), *self.doubled.values(), self.poison_without_letter]
        wrong += [self.letters_without_poison, self.letters_without_reason]
        return not any(wrong) and self.sink_memory_mb < MEMORY_MB_MAX


@dataclass(slots=True)
class _Published:
    """What is on the topics in the end."""

    ticks: dict[str, set[int]] = field(default_factory=dict)
    """Numbers of the good ones, by table."""
    poison: dict[tuple[str, int, int], str] = field(default_factory=dict)
    """Kinds, by topic, partition and offset."""


async def store_soak(  # noqa: PLR0913 - the options of the command
    settings: Settings,
    *,
    faults: int,
    seed: int,
    rate: float,
    poison: int,
    pause_s: float,
    say: Say,
) -> StoreSoakResult:
    """Harm the store ``faults`` times while ticks run in, let it catch up, and compare."""
    rng, harmed, session = Random(seed), Counter[str](), f"soak-{seed}"  # noqa: S311 - repeatable
    stack = Stack(settings, workers=("consume",))
    root = settings.home / "data" / "questdb"
    with SmallDisk(root / "db") as disk:
        (root / "conf").mkdir(exist_ok=True)
        (root / "conf" / "server.conf").write_text(MAY_SUSPEND)
        try:
            settings = await stack.start()
            done, memory = asyncio.Event(), _Memory()
            harming = Faults(stack, disk, pause_s)
            market = Market(settings, session, time_ns(), seed)
            async with asyncio.TaskGroup() as group:
                group.create_task(_publish(settings, market, rate, poison, rng, done))
                group.create_task(memory.watch(harming, done))
                left_out = ("disk full",) if disk.fault else ()
                try:
                    for number, name in enumerate(plan(faults, left_out), 1):
                        await asyncio.sleep(rng.uniform(*BETWEEN_S))
                        say(f"{number}/{faults} {name}")
                        await harming.harm(name)
                        harmed[name] += 1
                finally:
                    done.set()
            names = [topic.full_name(settings.namespace) for topic in TABLES]
            ends = await kafka_admin.log_ends(settings, names)
            await reach(settings, settings.store_group, ends, STORED_S_MAX, lambda _: None)
            result = await _compare(settings, session)
            result.faults, result.noticed = dict(harmed), dict(harming.noticed)
            result.left_out, result.sink_memory_mb = disk.fault, memory.most_mb
            return result
        finally:
            if stack.pids():
                await harming.stop()
            await stack.stop()


async def _publish(  # noqa: PLR0913, PLR0917 - what a market is made of
    settings: Settings, market: Market, rate: float, poison: int, rng: Random, done: asyncio.Event
) -> None:
    """Publish until all faults are done and all poison is out."""
    kinds = [name for _ in range(-(-poison // len(POISON))) for name in POISON][:poison]
    rng.shuffle(kinds)
    rules = CandleRules(intervals=("1s",), grace_ms=0, horizon_ms=0)
    start = Start(session="", epoch=0, seq=0, source_time=time_ns(), rules=rules)
    async with Publisher(settings, Health()) as kafka:
        await kafka.publish(market.everywhere(start))
        while kinds or not done.is_set():
            await kafka.publish(market.ticks(round(rate * SLOT_S)))
            if kinds:
                await kafka.publish([market.poison(kinds.pop())])
            await asyncio.sleep(SLOT_S)
        await kafka.publish(market.ticks(1_000))
        end = End(session="", epoch=0, seq=0, source_time=time_ns())
        await kafka.publish(market.everywhere(end))
        await kafka.flush()


class _Memory:
    """The most memory that a sink has had."""

    def __init__(self) -> None:
        self.most_mb = 0

    async def watch(self, faults: Faults, done: asyncio.Event) -> None:
        while not done.is_set():
            for pid in faults.sinks():
                try:
                    used = psutil.Process(pid).memory_info().rss
                except psutil.NoSuchProcess:
                    continue
                self.most_mb = max(self.most_mb, used // 2**20)
            await asyncio.sleep(SLOT_S)


async def _compare(settings: Settings, session: str) -> StoreSoakResult:
    published = await _published(settings)
    places = {}
    async for letter in letters.letters(settings, letters.Choice(stage="consume")):
        places[letter.topic, letter.partition, letter.offset] = letter.reason
    lost, doubled = await asyncio.to_thread(_stored, settings, session, published)
    return StoreSoakResult(
        faults={},
        noticed={},
        left_out="",
        on_topic={table: len(ticks) for table, ticks in published.ticks.items()},
        lost=lost,
        doubled=doubled,
        poison=dict(Counter(published.poison.values())),
        poison_without_letter=len(published.poison.keys() - places.keys()),
        letters_without_poison=len(places.keys() - published.poison.keys()),
        letters_without_reason=sum(not reason for reason in places.values()),
        sink_memory_mb=0,
    )


async def _published(settings: Settings) -> _Published:
    found = _Published()
    for topic, table in TABLES.items():
        ticks = found.ticks[table] = set()
        async for records in kafka_admin.read(settings, topic.full_name(settings.namespace)):
            for record in records:
                if record.key is not None and record.key.startswith(KEY):
                    place = topic.name, record.partition, record.offset
                    found.poison[place] = record.key.removeprefix(KEY).decode()
                elif isinstance(event := input_decoder.decode(record.value), Tick):
                    ticks.add(event.seq)
    return found


def _stored(
    settings: Settings, session: str, published: _Published
) -> tuple[dict[str, int], dict[str, int]]:
    """Return how many ticks of each table are lost, and how many rows are too many."""
    lost, doubled = {}, {}
    with database(settings.questdb) as db:
        reader.wait_applied(db, STORED_S_MAX)
        for table, ticks in published.ticks.items():
            query = f"SELECT seq FROM {table} WHERE session = %(session)s"  # noqa: S608 - a fixed name
            rows = [row["seq"] for row in db.rows(query, session=session)]
            lost[table] = len(ticks.difference(rows))
            doubled[table] = len(rows) - len(ticks.intersection(rows))
    return lost, doubled


def main(
    *,
    faults: Annotated[int, typer.Option(help="How many.")] = 64,
    seed: Annotated[int, typer.Option()] = 1,
    rate: Annotated[float, typer.Option(help="Ticks a second.")] = 4_000,
    poison: Annotated[int, typer.Option(help="Records that must become dead letters.")] = 1_000,
    pause_s: Annotated[float, typer.Option(help="How long QuestDB stands still.")] = 60,
) -> None:
    """Run a soak in a throw-away stack; exit code 1 if anything was lost, doubled or unnamed."""
    with TemporaryDirectory(prefix="tickerplant-soak-", ignore_cleanup_errors=True) as home:
        settings = load_settings(home=str(Path(home)), ports="auto")
        with Shown() as progress:
            ensure_jars(settings.cache, progress)
            options = {"faults": faults, "seed": seed, "poison": poison}
            result = asyncio.run(
                store_soak(settings, **options, rate=rate, pause_s=pause_s, say=progress.say)
            )
    sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
    raise typer.Exit(0 if result.clean else 1)


if __name__ == "__main__":
    typer.run(main)
