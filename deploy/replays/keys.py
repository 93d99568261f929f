"""Keys of a terminal as commands to a replay."""

from __future__ import annotations

import asyncio
import os
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from producers.replay.obedience import FINEST
from schemas.events import NS_PER_S
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
)

ARROWS: Final = {b"\x1b[D": -10, b"\x1b[C": 10, b"\x1b[B": -60, b"\x1b[A": 60}
"""Left, right, down and up: by how many seconds to seek."""
FACTORS: Final = {b"+": 2.0, b"=": 2.0, b"-": 0.5}
PLAIN: Final[dict[bytes, Command]] = {
    b"n": Step(),
    b"c": Step(interval=FINEST),
    b"q": Stop(),
}


def command_of(key: bytes, status: ReplayStatus) -> Command | None:
    """Return what a key asks for; None if it asks for nothing."""
    if key in ARROWS:
        return Seek(by=ARROWS[key] * NS_PER_S)
    if key in FACTORS:
        speed = (status.speed or SPEED_MAX / FACTORS[b"-"]) * FACTORS[key]
        return SetSpeed(speed=None if speed > SPEED_MAX else max(SPEED_MIN, speed))
    if key == b" ":
        return Resume() if status.paused else Pause()
    return PLAIN.get(key)


@contextmanager
def keys(put: Callable[[bytes], None]) -> Iterator[None]:
    """Give each key to ``put`` at once, in a running loop; do nothing without a terminal."""
    if not sys.stdin.isatty():
        yield
        return
    place, loop = sys.stdin.fileno(), asyncio.get_running_loop()
    before = termios.tcgetattr(place)
    tty.setcbreak(place)
    loop.add_reader(place, lambda: put(os.read(place, 16)))
    try:
        yield
    finally:
        loop.remove_reader(place)
        termios.tcsetattr(place, termios.TCSADRAIN, before)
