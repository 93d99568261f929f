"""The soak: a market runs, processes are killed or paused, and then everything is counted.

``python -m deploy.soak --faults 100 --seed 1`` prints a line a fault on stderr and one JSON object.
Two stream workers share the partitions; what is paused for long is a zombie when it wakes. With
``--parity`` each session is replayed at the end, and its candles are held against the live ones.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from shutil import rmtree
from tempfile import mkdtemp
from typing import Annotated

import msgspec
import typer

from consumers.store import reader
from consumers.store.sql import database
from consumers.store.verify import verify
from deploy import kafka_admin
from deploy.local.jars import ensure_jars
from deploy.local.progress import Shown
from deploy.local.stack import Stack
from deploy.local.supervisor import Supervisor
from deploy.replays.parity import check_parity
from deploy.soak.second_worker import second_worker
from deploy.stored import wait_stored
from producers.publisher import Publisher
from schemas.codec import decode, input_decoder, session_decoder
from schemas.events import Book, SessionRecord, Trade
from schemas.health import Health
from schemas.settings import Settings, load_settings
from schemas.topics import BOOKS, DEAD_LETTERS, SESSIONS, TRADES

SECOND = "stream-2"
TARGETS = ("produce", "stream", SECOND, "consume", "kafka", "questdb")
BETWEEN_S = (1.0, 4.0)
WHOLE_SHARE = 0.7
PAUSED_SHARE = 0.35
PAUSED_S = (0.5, 14.0)
"""Longer than a stream worker may be silent before its partitions go to the other one."""
STORED_S_MAX = 90.0
STEADY = 20
Say = Callable[[str], None]


class SoakResult(msgspec.Struct, kw_only=True):
    """What was on the topics, what is in the store, and every difference between them."""

    faults: dict[str, int]
    sessions: dict[str, int]
    """By state: all but the last one died and were ended as failed by their successors."""
    trades_on_topic: int
    trades_stored: int
    books_on_topic: int
    books_stored: int
    candles_checked: int
    candles_different: int
    dead_letters: int
    wrong_sessions: list[str]
    """Sessions whose counts differ or whose candles do."""
    candles_replayed: int = 0
    candles_replayed_different: int = 0

    @property
    def clean(self) -> bool:
        wrong = self.wrong_sessions or self.dead_letters or self.candles_replayed_different
        return not wrong and "active" not in self.sessions


def soak_settings(home: str, rate: float) -> Settings:
    """Return a stack with a market that is bursty, late, doubled and at times disconnected."""
    market = {
        "rate": rate,
        "instruments": 8,
        "out_of_order_share": 0.02,
        "late_share": 0.01,
        "duplicate_share": 0.01,
        "disconnect_every_s": 20.0,
    }
    intervals = ["1s", "5s", "1m", "3m", "5m", "15m", "1h", "1d"]
    return load_settings(
        home=home,
        ports="auto",
        simulated=market,
        produce={"feed": "simulated"},
        stream={"intervals": intervals, "windows": ["1m", "1h"]},
    )


async def soak(  # noqa: PLR0913 - what a soak is made of
    settings: Settings,
    faults: int,
    seed: int,
    say: Say,
    *,
    targets: Sequence[str] = TARGETS,
    parity: bool = False,
) -> SoakResult:
    """Harm processes of a running stack ``faults`` times, let the market end, and compare."""
    rng, harmed = random.Random(seed), Counter[str]()  # noqa: S311 - repeatable faults
    stack = Stack(settings)
    settings = await stack.start()
    second = second_worker(settings, "stream")
    victims = _Victims(stack, second)
    try:
        await second.start()
        for number in range(faults):
            await asyncio.sleep(rng.uniform(*BETWEEN_S))
            if rng.random() < WHOLE_SHARE:  # otherwise one fault falls into the next
                await victims.whole()
            least = min(harmed[name] for name in targets)
            alive = [name for name in victims.pids() if name in targets]
            name = rng.choice([n for n in alive if harmed[n] == least] or alive)
            pause_s = rng.uniform(*PAUSED_S) if rng.random() < PAUSED_SHARE else None
            victims.harm(name, pause_s)
            harmed[name] += 1
            what = "killed" if pause_s is None else f"paused for {pause_s:.1f} s:"
            say(f"{number + 1}/{faults} {what} {name}")
        await asyncio.sleep(max(BETWEEN_S))
        await victims.whole()
        await kafka_admin.wait_for_kafka(settings, STORED_S_MAX)
        await stack.stop_service("produce")
        inputs = [topic.full_name(settings.namespace) for topic in (TRADES, BOOKS)]
        ends: dict[str, dict[int, int]] = {name: {} for name in inputs}
        for (topic, partition), end in (await kafka_admin.log_ends(settings, inputs)).items():
            ends[topic][partition] = end - 1
        await wait_stored(settings, ends, seconds=STORED_S_MAX)
        result, sessions = await _compare(settings, dict(harmed))
        for session in sessions if parity else ():
            found = await check_parity(settings, session)
            say(f"{session}: {found.candles} candles replayed, {found.different} different")
            result.candles_replayed += found.candles
            result.candles_replayed_different += found.different
        return result
    finally:
        victims.wake()
        await second.stop()
        await stack.stop()


class _Victims:
    """The processes of the stack and the second stream worker."""

    def __init__(self, stack: Stack, second: Supervisor) -> None:
        self._stack = stack
        self._second = second
        self._paused: dict[str, int] = {}

    def pids(self) -> dict[str, int]:
        """Return the processes that run now."""
        pids = self._stack.pids()
        if self._second.pid:
            pids[SECOND] = self._second.pid
        return {name: pid for name, pid in pids.items() if self._paused.get(name) != pid}

    def harm(self, name: str, pause_s: float | None) -> None:
        """Kill a process, or let it stand still for a while."""
        pid = self.pids()[name]
        if pause_s is None:
            os.kill(pid, signal.SIGKILL)
            return
        os.kill(pid, signal.SIGSTOP)
        self._paused[name] = pid
        asyncio.get_running_loop().call_later(pause_s, self._wake, name)

    def wake(self) -> None:
        """Let everything go on that is paused."""
        for name in list(self._paused):
            self._wake(name)

    async def whole(self) -> None:
        """Wait until every process is back: only a living recorder ends its session itself."""
        async with asyncio.timeout(STORED_S_MAX):
            steady = 0
            while steady < STEADY:
                steady = steady + 1 if self.pids().keys() >= set(TARGETS) else 0
                await asyncio.sleep(0.1)

    def _wake(self, name: str) -> None:
        with suppress(ProcessLookupError):
            os.kill(self._paused.pop(name), signal.SIGCONT)


async def _compare(settings: Settings, killed: dict[str, int]) -> tuple[SoakResult, list[str]]:
    """Return the result, and the sessions that there are."""
    async with Publisher(settings, Health()) as kafka:
        catalogue = await _sessions(kafka, settings)
        trades, books = await _published(settings)
        letters = len(await kafka.read(DEAD_LETTERS.full_name(settings.namespace)))
    result = await asyncio.to_thread(_check, settings, catalogue, trades, books, killed, letters)
    return result, sorted(catalogue)


def _check(  # noqa: PLR0913, PLR0917 - what was read, side by side
    settings: Settings,
    catalogue: dict[str, SessionRecord],
    trades: Counter[str],
    books: Counter[str],
    killed: dict[str, int],
    letters: int,
) -> SoakResult:
    result = SoakResult(
        faults=killed,
        sessions=dict(Counter(str(entry.state) for entry in catalogue.values())),
        trades_on_topic=trades.total(),
        trades_stored=0,
        books_on_topic=books.total(),
        books_stored=0,
        candles_checked=0,
        candles_different=0,
        dead_letters=letters,
        wrong_sessions=[],
    )
    with database(settings.questdb) as db:
        for session in sorted({*catalogue, *trades, *books}):
            stored = reader.counts(db, session)
            report = verify(db, session, settings.stream.intervals)
            result.trades_stored += stored["trades"]
            result.books_stored += stored["books"]
            result.candles_checked += report.candles
            result.candles_different += report.different
            whole = (stored["trades"], stored["books"]) == (trades[session], books[session])
            if report.different or not whole:
                result.wrong_sessions.append(session)
    return result


async def _sessions(kafka: Publisher, settings: Settings) -> dict[str, SessionRecord]:
    records = await kafka.read(SESSIONS.full_name(settings.namespace))
    entries = [session_decoder.decode(value) for _, value in records if value]
    return {entry.session: entry for entry in entries}


async def _published(settings: Settings) -> tuple[Counter[str], Counter[str]]:
    """Count the distinct ticks of each session on its topic."""
    counted = []
    for topic, kind in ((TRADES, Trade), (BOOKS, Book)):
        seen: set[tuple[str, int]] = set()
        name = topic.full_name(settings.namespace)
        async for value in kafka_admin.values(settings, name):
            tick = decode(input_decoder, value)
            if isinstance(tick, kind):
                seen.add((tick.session, tick.seq))
        counted.append(Counter(session for session, _ in seen))
    return counted[0], counted[1]


def main(
    *,
    faults: Annotated[int, typer.Option(help="How many kills and pauses.")] = 100,
    seed: Annotated[int, typer.Option()] = 1,
    rate: Annotated[float, typer.Option(help="Trades a second.")] = 500,
    targets: Annotated[str, typer.Option(help="Which of the processes.")] = ",".join(TARGETS),
    parity: Annotated[bool, typer.Option("--parity", help="Replay each session, too.")] = False,
) -> None:
    """Run a soak in a stack of its own; exit code 1 if anything was lost, doubled or wrong.

    What is left of a stack that was not clean stays, with its logs.
    """
    names = targets.split(",")
    for name in names:
        if name not in TARGETS:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(TARGETS)}")
    home = mkdtemp(prefix="tickerplant-soak-")
    settings = soak_settings(home, rate)
    with Shown() as progress:
        ensure_jars(settings.cache, progress)
        progress.say(f"in {home}")
        result = asyncio.run(
            soak(settings, faults, seed, progress.say, targets=names, parity=parity)
        )
    sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
    if not result.clean:
        raise typer.Exit(1)
    rmtree(home)
