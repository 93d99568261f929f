"""What a command does to a replay."""

from __future__ import annotations

from collections.abc import Sequence

from producers.replay.playhead import Playhead
from schemas.calendars import UTC_DAYS
from schemas.errors import TickerplantError
from schemas.events import NS_PER_MS, CandleRules
from schemas.intervals import check_interval, check_intervals
from schemas.replay_control import Command, Pause, ReplayStatus, Resume, Seek, SetSpeed, Step

FINEST = "finest"


def obey(
    command: Command | str,
    head: Playhead,
    status: ReplayStatus,
    rules: Sequence[CandleRules],
    now: int,
) -> int | None:
    """Do what a command says, or note in the status why not.

    Returns the moment to seek to if that takes a new epoch.
    """
    status.refused = None
    match command:
        case Pause():
            head.pause(now)
        case Resume():
            head.resume(now)
        case SetSpeed(speed=speed):
            head.set_speed(speed, now)
        case Step():
            try:
                head.step(*_stride(command, head, status.first, rules))
            except TickerplantError as error:
                status.refused = str(error)
        case Seek():
            return _seek(command, head, status, now)
        case _:
            status.refused = str(command)
    return None


def _seek(command: Seek, head: Playhead, status: ReplayStatus, now: int) -> int | None:
    target = command.to or 0
    if command.by is not None:
        target = min(max(head.position(now) + command.by, status.first), status.last)
    if not status.first <= target <= status.last:
        status.refused = f"seek outside: {target} is not between {status.first} and {status.last}"
        return None
    if target < head.released:
        return target
    head.seek(target)
    return None


def _stride(
    command: Step, head: Playhead, first: int, rules: Sequence[CandleRules]
) -> tuple[int, int]:
    """Return how many ticks to go, or up to which source time; no candle is before the first."""
    if command.interval is None:
        return command.ticks, 0
    interval = command.interval
    if interval == FINEST:
        interval = check_intervals({name for one in rules for name in one.intervals})[0]
    grace = max(one.grace_ms for one in rules) * NS_PER_MS
    closed = max(first, head.source_time - grace)
    return 0, UTC_DAYS.bounds(check_interval(interval), closed)[1] + grace
