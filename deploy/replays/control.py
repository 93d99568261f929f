"""Commands to a replay that runs elsewhere, and its answers, over its control topic."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Final

from deploy import kafka_admin
from deploy.replays.runs import last_status, run_settings, run_topics, runs
from deploy.speed import parse_speed
from deploy.times import UNITS_NS, parse_time
from producers.publisher import Publisher
from producers.replay.obedience import FINEST
from schemas.codec import encode
from schemas.errors import SettingsError, TimedOutError, UnknownNameError
from schemas.events import NS_PER_MS
from schemas.health import Health
from schemas.intervals import check_interval
from schemas.replay_control import (
    SPEED_MAX,
    SPEED_MIN,
    Command,
    Pause,
    ReplayStatus,
    Resume,
    Seek,
    SetSpeed,
    Step,
    Stop,
    control_topic,
    decode_message,
)
from schemas.settings import Settings

ANSWER_S_MAX: Final = 15.0
COMMANDS: Final = ("pause", "resume", "seek", "step", "speed", "stop")
_BY: Final = re.compile(r"([+-])([0-9]{1,9})(ms|[smhdw])")


async def status_of(settings: Settings, run: str) -> ReplayStatus:
    """Return how a run stood last.

    Raises ``UnknownNameError``, and ``SettingsError`` for one that was killed before it began.
    """
    if control_topic(run) not in await run_topics(settings, run):
        raise UnknownNameError.of("run", run, await runs(settings))
    status = await last_status(settings, run)
    if status is None:
        hint = f"replay its sessions with --run {run}, or: tickerplant replay rm {run}"
        raise SettingsError("the run has not begun", run, hint)
    return status


async def send(settings: Settings, run: str, command: Command) -> ReplayStatus:
    """Send a command and return how the run stands when it has taken it.

    Raises ``UnknownNameError``, ``TimedOutError`` if nobody plays the run, and ``SettingsError``
    if it refuses.
    """
    status = await status_of(settings, run)
    if status.state == "ended":
        raise SettingsError("the run has ended", run, f"remove it: tickerplant replay rm {run}")
    own, topic = run_settings(settings, run), control_topic(run)
    async with Publisher(own, Health(), stage="replay") as publisher:
        time_ms = time.time_ns() // NS_PER_MS
        await publisher.publish([(topic, 0, None, encode(command), time_ms)])
        await publisher.flush()
        offset = publisher.offsets[topic, 0]
    try:
        async with asyncio.timeout(ANSWER_S_MAX):
            status = await _answer(own, topic, offset)
    except TimeoutError:
        hint = f"go on with it: tickerplant replay --run {run}; or: tickerplant replay rm {run}"
        raise TimedOutError("the run does not answer", f"{run}: is it played?", hint) from None
    if status.refused:
        raise SettingsError("the run refuses", status.refused)
    return status


async def _answer(own: Settings, topic: str, offset: int) -> ReplayStatus:
    async for records in kafka_admin.read(own, topic, last=1_000, follow=True):
        for record in records:
            message = decode_message(record.value)
            if isinstance(message, ReplayStatus) and message.commands > offset:
                return message
    raise AssertionError("following a topic does not end")


def parse_command(name: str, value: str, now_ns: int) -> Command:
    """Read a command as people write it. Raises ``SettingsError`` or ``UnknownNameError``."""
    if name in ("pause", "resume", "stop") and value:
        raise SettingsError("too many words", f"{name} {value}", f"write: {name}")
    match name:
        case "pause":
            return Pause()
        case "resume":
            return Resume()
        case "stop":
            return Stop()
        case "speed":
            return SetSpeed(speed=replay_speed(value))
        case "seek":
            return _parse_seek(value, now_ns)
        case "step":
            return _parse_step(value or "1")
        case _:
            raise UnknownNameError.of("command", name, COMMANDS)


def replay_speed(text: str) -> float | None:
    """Read a pace; None is ``max``. Raises ``SettingsError``."""
    hint = f"a factor from {SPEED_MIN:g} to {SPEED_MAX:g}, or max"
    return parse_speed(text, least=SPEED_MIN, most=SPEED_MAX, hint=hint)


def _parse_seek(text: str, now_ns: int) -> Seek:
    if by := _BY.fullmatch(text):
        length = int(by[2]) * UNITS_NS[by[3]]
        return Seek(by=length if by[1] == "+" else -length)
    try:
        return Seek(to=parse_time(text, now_ns))
    except SettingsError as error:
        hint = "write +30s or -5m from where it is, or a time such as 2026-01-31T09:30:00"
        raise SettingsError(error.what, error.detail, hint) from None


def _parse_step(text: str) -> Step:
    if text == "candle":
        return Step(interval=FINEST)
    if text.isascii() and text.isdigit() and 0 < int(text) < 10**9:
        return Step(ticks=int(text))
    try:
        return Step(interval=check_interval(text))
    except UnknownNameError:
        hint = "a number of ticks, candle, or an interval such as 1m"
        raise SettingsError("not a step", repr(text)[:80], hint) from None
