"""A replay from its topics to its end: provisioned, streamed, obeying, and cleared away."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import msgspec

from deploy import kafka_admin
from deploy.local.lock import exclusive
from deploy.local.state import Process, end
from deploy.local.supervisor import Patience, Supervisor
from deploy.local.workers import worker_beside
from deploy.stored import reach
from producers.replay.inbox import Inbox
from producers.replay.play import Before, Recordings, Replay
from producers.replay.telling import Mark, Place
from schemas.codec import input_decoder
from schemas.errors import AlreadyRunningError, SettingsError, UnavailableError
from schemas.events import CandleRules
from schemas.health import Health
from schemas.replay_control import (
    Plan,
    ReplayStatus,
    Stop,
    control_topic,
    decode_message,
    replay_namespace,
)
from schemas.settings import Settings
from schemas.topics import INPUTS
from streams.flow import flows_of

STREAMED_S_MAX: Final = 120.0
"""How long the stream may stand still before its candles are given up."""
WATCH_S: Final = 2.0
TURN_S: Final = 0.000_5
GC_THRESHOLD: Final = 200_000
GRACE_S: Final = 5.0
"""For its stream worker to end, which may be killed at any time."""


@dataclass(frozen=True, slots=True)
class Session:
    """A replay and how it is run here."""

    run: str
    plan: Plan
    speed: float | None = 1.0
    """None: as fast as possible."""
    keep: bool = False


async def _nothing(_: Settings) -> None: ...


@dataclass(frozen=True, slots=True)
class Stage:
    """What goes on around a replay."""

    inbox: Inbox = field(default_factory=Inbox)
    """Commands that do not come over the control topic."""
    show: Callable[[ReplayStatus], None] = lambda _: None
    """Told how it stands, a few times a second."""
    finish: Callable[[Settings], Awaitable[None]] = _nothing
    """Awaited at the end, while all that came of the replay is still on its topics."""


def run_settings(
    settings: Settings, run: str, rules: Iterable[CandleRules] | None = None
) -> Settings:
    """Return the settings of a run: its namespace, and quotes streamed if its sessions' were."""
    quotes = {venue: sides for one in rules or () for venue, sides in one.quotes.items()}
    asked = tuple(f"{venue}={'+'.join(sides)}" for venue, sides in sorted(quotes.items()))
    return settings.model_copy(
        update={
            "namespace": replay_namespace(run),
            "stream": settings.stream.model_copy(update={"quotes": asked}),
            "produce": settings.produce.model_copy(update={"linger_ms": 0}),
        }
    )


async def replay(
    settings: Settings,
    session: Session,
    recordings: Recordings,
    *,
    stage: Stage | None = None,
) -> ReplayStatus:
    """Replay to the end, and return how it ended; its topics are removed unless they are kept.

    A run of this name that was killed goes on where it was. If it fails, its topics stay, so that
    it can go on. Raises what ``Replay.run`` does, ``AlreadyRunningError`` and ``SettingsError``.
    """
    own = run_settings(settings, session.run, recordings.rules.values())
    stage = stage or Stage()
    with _alone(settings.home, session.run), quick_turns():
        before = await _before(own, session, recordings)
        kafka_admin.check(await kafka_admin.provision(own))
        worker = _worker(own, session.run)
        await worker.start()
        try:
            playing = Replay(own, recordings, before, inbox=stage.inbox, show=stage.show)
            await _play(own, playing, stage.inbox)
            await _streamed(own)
            await stage.finish(own)
        finally:
            await worker.stop()
        if not session.keep:
            await kafka_admin.remove(own)
    return playing.status


@contextmanager
def quick_turns() -> Iterator[None]:
    """Let threads take turns often, so that reading ahead never makes the pace wait for long.

    Events make no cycles: garbage is seldom looked for.
    """
    interval, threshold = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(TURN_S)
    gc.set_threshold(GC_THRESHOLD)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        gc.set_threshold(*threshold)


async def remove_run(settings: Settings, run: str) -> list[str]:
    """Remove the topics of a run that nobody plays; return those that were there."""
    with _alone(settings.home, run):
        return await kafka_admin.remove(run_settings(settings, run))


async def run_topics(settings: Settings, run: str) -> set[str]:
    """Return the topics that a run has."""
    async with kafka_admin.admin(settings) as client:
        names: list[str] = await client.list_topics()
    return {name for name in names if name.startswith(f"{replay_namespace(run)}.")}


async def last_status(settings: Settings, run: str) -> ReplayStatus | None:
    """Return how a run stood last; None if it never said."""
    found = None
    async for records in kafka_admin.read(settings, control_topic(run), last=1_000):
        for record in records:
            message = decode_message(record.value)
            if isinstance(message, ReplayStatus):
                found = message
    return found


@contextmanager
def _alone(home: Path, run: str) -> Iterator[None]:
    """Be the only process here that plays a run; end the worker that a killed one has left."""
    folder = home / "run"
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / f"replay-{run}.lock"
    try:
        with exclusive(lock, wait=False):
            _end_leftover(_worker_file(home, run))
            yield
    except BlockingIOError:
        hint = f"control it: tickerplant replay ctl {run} stop; or choose another --run"
        raise AlreadyRunningError("this run is being played", run, hint) from None


def _end_leftover(file: Path) -> None:
    try:
        left = msgspec.json.decode(file.read_bytes(), type=Process).find()
    except (FileNotFoundError, msgspec.DecodeError):
        return
    if left is not None:
        end(left)
    file.unlink(missing_ok=True)


def _worker_file(home: Path, run: str) -> Path:
    return home / "run" / f"replay-{run}.worker.json"


def _worker(own: Settings, run: str) -> Supervisor:
    """Return the stream worker of a run; where it runs is kept in a file."""
    file = _worker_file(own.home, run)

    def changed() -> None:
        if supervisor.state.state == "stopped":
            file.unlink(missing_ok=True)
        elif supervisor.state.process:
            file.write_bytes(msgspec.json.encode(supervisor.state.process))

    service = replace(worker_beside(own, "stream", f"stream-{own.namespace}"), grace_s=GRACE_S)
    supervisor = Supervisor(service, own.home, changed, Patience())
    return supervisor


async def _before(own: Settings, session: Session, recordings: Recordings) -> Before:
    """Return what a killed process of this run has left, or the beginning of a new one."""
    run, plan = session.run, session.plan
    new = ReplayStatus(
        run=run,
        plan=plan,
        state="seeking" if plan.since else "playing",
        speed=session.speed,
        target=plan.since or 0,
        first=recordings.first,
        last=recordings.last,
    )
    topics = await run_topics(own, run)
    status = await last_status(own, run) if control_topic(run) in topics else None
    if status is None:
        if topics:  # of a run whose removal was cut short
            await kafka_admin.remove(own)
        return Before(new, {})
    if status.plan != plan:
        hint = f"replay the same again to go on, choose another --run, or: replay rm {run}"
        raise SettingsError("a run of this name replays something else", run, hint)
    if status.state == "ended":
        hint = f"see its topics, then: tickerplant replay rm {run}; or choose another --run"
        raise SettingsError("the run has ended and its topics were kept", run, hint)
    status.reason = status.refused = None
    return Before(status, await _published(own, status.epoch))


async def _published(own: Settings, epoch: int) -> dict[Place, Mark]:
    """Return the last record of the epoch in each partition of the input topics."""
    marks: dict[Place, Mark] = {}
    for topic in INPUTS:
        name = topic.full_name(own.namespace)
        async for records in kafka_admin.read(own, name, last=1):
            for record in records:
                event = input_decoder.decode(record.value)
                if event.epoch == epoch:
                    marks[name, record.partition] = event.session, event.seq
    return marks


async def _play(own: Settings, playing: Replay, inbox: Inbox) -> None:
    """Let it play until it ends, and see to it that commands come in."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, inbox.put, Stop())
    tasks = [
        asyncio.create_task(playing.run(Health("kafka"))),
        asyncio.create_task(_listen(own, playing.status, inbox)),
        asyncio.create_task(_watch(own)),
    ]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _listen(own: Settings, status: ReplayStatus, inbox: Inbox) -> None:
    """Bring the commands that are on the control topic, however often Kafka goes away."""
    taken = status.commands
    while True:
        try:
            async for records in kafka_admin.read(own, control_topic(status.run), follow=True):
                for record in records:
                    message = decode_message(record.value)
                    if record.offset >= taken and not isinstance(message, ReplayStatus):
                        inbox.put(message, record.offset)
                        taken = record.offset + 1
        except UnavailableError:
            await asyncio.sleep(WATCH_S)


async def _watch(own: Settings) -> None:
    """Raise ``UnavailableError`` when topics of the run are gone."""
    while True:
        await asyncio.sleep(WATCH_S)
        try:
            rows = await kafka_admin.provision(own, dry_run=True)
        except UnavailableError:  # the publisher waits for Kafka
            continue
        if gone := [row.topic for row in rows if row.state == "would create"]:
            hint = "replay it anew: what it had published is gone with them"
            raise UnavailableError("topics of the replay were deleted", ", ".join(gone), hint)


async def _streamed(own: Settings) -> None:
    """Wait until the candles of all that was published are out."""
    inputs = [flow.input.full_name(own.namespace) for flow in flows_of(own)]
    wanted = await kafka_admin.log_ends(own, inputs)
    await reach(own, own.stream_group, wanted, STREAMED_S_MAX, lambda _: None)
