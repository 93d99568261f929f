"""A replay from its topics to its end: provisioned, streamed, obeying, and cleared away."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from deploy import kafka_admin
from deploy.local.supervisor import Patience, Supervisor
from deploy.local.workers import worker_beside
from deploy.replays.runs import alone, last_status, run_settings, run_topics, worker_file
from deploy.stored import reach
from producers.replay.inbox import Inbox
from producers.replay.play import Before, Recordings, Replay
from producers.replay.telling import Mark, Place
from schemas.codec import input_decoder
from schemas.errors import SettingsError, UnavailableError
from schemas.health import Health
from schemas.replay_control import (
    Plan,
    ReplayStatus,
    Stop,
    control_topic,
    decode_message,
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
class Run:
    """A replay and how it is run here."""

    name: str
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
    health: Health = field(default_factory=lambda: Health("kafka"))


async def replay(
    settings: Settings,
    run: Run,
    recordings: Recordings,
    *,
    stage: Stage | None = None,
) -> ReplayStatus:
    """Replay to the end, and return how it ended; its topics are removed unless they are kept.

    A run of this name that was killed goes on where it was. If it fails, its topics stay, so that
    it can go on. Raises what ``Replay.run`` does, ``AlreadyRunningError`` and ``SettingsError``.
    """
    own = run_settings(settings, run.name, recordings.rules.values())
    stage = stage or Stage()
    with alone(settings.home, run.name), quick_turns():
        before = await _before(own, run, recordings)
        kafka_admin.check(await kafka_admin.provision(own))
        worker = _worker(own, run.name)
        try:
            await worker.start()
            playing = Replay(own, recordings, before, inbox=stage.inbox, show=stage.show)
            await _play(own, playing, stage)
            await _streamed(own)
            await stage.finish(own)
        finally:
            await worker.stop()
        if not run.keep:
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


def _worker(own: Settings, run: str) -> Supervisor:
    """Return the stream worker of a run; where it runs is kept in a file."""
    file = worker_file(own.home, run)

    def changed() -> None:
        if supervisor.state.state == "stopped":
            file.unlink(missing_ok=True)
        elif supervisor.state.process:
            file.write_bytes(msgspec.json.encode(supervisor.state.process))

    service = replace(worker_beside(own, "stream", f"stream-{own.namespace}"), grace_s=GRACE_S)
    supervisor = Supervisor(service, own.home, changed, Patience())
    return supervisor


async def _before(own: Settings, run: Run, recordings: Recordings) -> Before:
    """Return what a killed process of this run has left, or the beginning of a new one."""
    name, plan = run.name, run.plan
    new = ReplayStatus(
        run=name,
        plan=plan,
        state="seeking" if plan.since else "playing",
        speed=run.speed,
        target=plan.since or 0,
        first=recordings.first,
        last=recordings.last,
    )
    topics = await run_topics(own, name)
    status = await last_status(own, name) if control_topic(name) in topics else None
    if status is None:
        if topics:  # of a run whose removal was cut short
            await kafka_admin.remove(own)
        return Before(new, {})
    if status.plan != plan:
        hint = f"replay the same again to go on, choose another --run, or: replay rm {name}"
        raise SettingsError("a run of this name replays something else", name, hint)
    if status.state == "ended":
        hint = f"see its topics, then: tickerplant replay rm {name}; or choose another --run"
        raise SettingsError("the run has ended and its topics were kept", name, hint)
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


async def _play(own: Settings, playing: Replay, stage: Stage) -> None:
    """Let it play until it ends, and see to it that commands come in."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stage.inbox.put, Stop())
    tasks = [
        asyncio.create_task(playing.run(stage.health)),
        asyncio.create_task(_listen(own, playing.status, stage.inbox)),
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
