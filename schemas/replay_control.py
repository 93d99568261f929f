"""What goes over ``control.replay``: commands to a replay that runs, and how it stands.

One JSON object a record, in one partition, so that all agree on their order. A replay takes each
command once; its ``replay_status`` names the offset up to which it has, and is written before it
acts on them: killed, it goes on from its last status. Positions are receive times (ns).
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from schemas.codec import DECODE_ERRORS
from schemas.errors import SettingsError
from schemas.events import Count, TimeNs
from schemas.topics import CONTROL_REPLAY

SPEED_MIN: Final = 0.1
SPEED_MAX: Final = 1_000.0
Speed = Annotated[float, Meta(ge=SPEED_MIN, le=SPEED_MAX)]
Run = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
PREFIX: Final = "replay-"


class Pause(Struct, tag="pause", tag_field="type"):
    """Publish nothing more until ``resume``."""


class Resume(Struct, tag="resume", tag_field="type"):
    """Go on from where it was paused, at the pace that it had."""


class Seek(Struct, tag="seek", tag_field="type", kw_only=True):
    """Go to a time, at once: ``to`` a receive time, or ``by`` so many ns from the position.

    Forward, all that is between is published as fast as it goes. Back, a new epoch begins: its
    ``start``, then all from the beginning of the sessions.
    """

    to: TimeNs | None = None
    by: int | None = None


class Step(Struct, tag="step", tag_field="type", kw_only=True):
    """Publish so many ticks, or up to where a candle of the interval closes, and pause.

    The interval ``finest`` is the shortest one that there are candles of.
    """

    ticks: Annotated[int, Meta(ge=1)] = 1
    interval: str | None = None


class SetSpeed(Struct, tag="speed", tag_field="type", kw_only=True):
    """Go on at another pace; null is as fast as possible."""

    speed: Speed | None


class Stop(Struct, tag="stop", tag_field="type"):
    """End the replay where it is."""


Command = Pause | Resume | Seek | Step | SetSpeed | Stop


class Plan(Struct, kw_only=True, frozen=True):
    """What is replayed; it never changes in a run."""

    sessions: tuple[str, ...]
    since: TimeNs | None = None
    """Up to here all is published at once: books and candles are whole."""
    until: TimeNs | None = None
    instruments: tuple[str, ...] = ()
    """Empty: all."""
    step: Count = 0
    """Pause after so many ticks; 0: never."""
    loop: bool = False


class ReplayStatus(Struct, tag="replay_status", tag_field="type", kw_only=True):
    """How a replay stands."""

    run: Run
    plan: Plan
    state: Literal["playing", "paused", "seeking", "ended", "failed"]
    epoch: Count = 1
    """Of all its sessions; rises with every seek back and every turn of a loop."""
    speed: Speed | None = None
    """Null: as fast as possible."""
    paused: bool = False
    """Also while it seeks: it is then paused when it is there."""
    commands: Count = 0
    """The offset of the first record of this topic that is not taken yet."""
    refused: str | None = None
    """Why the last command could not be followed."""
    target: Count = 0
    """All up to here is published at once; 0: nothing."""
    position: Count = 0
    first: Count = 0
    last: Count = 0
    percent: float = 0.0
    events: Count = 0
    """Published by this process in this epoch."""
    rate: float = 0.0
    """Events a second, of late."""
    left_s: float | None = None
    """Until the end at this pace; null if that is not known."""
    error_p50_ms: float = 0.0
    """How much later than due events were handed to Kafka, of late."""
    error_p99_ms: float = 0.0
    behind_ms: float = 0.0
    """How late an event was at most since the status before, or the next one is now."""
    overload: bool = False
    """It cannot keep the pace."""
    reason: str | None = None


Message = Command | ReplayStatus
_decoder: Final[msgspec.json.Decoder[Message]] = msgspec.json.Decoder(Message)


def decode_message(value: bytes | None) -> Message | str:
    """Return what is on the control topic, or why it is nothing of it."""
    try:
        return _decoder.decode(value or b"")
    except DECODE_ERRORS as error:
        return f"not a command: {error}"


def replay_namespace(run: str) -> str:
    """Return the namespace of a run, or raise ``SettingsError`` if it is no name of one."""
    try:
        msgspec.convert(run, Run)
    except msgspec.ValidationError:
        hint = "at most 40 of a-z 0-9 _ -, such as --run monday"
        raise SettingsError("not a name of a run", repr(run)[:80], hint) from None
    return f"{PREFIX}{run}"


def control_topic(run: str) -> str:
    """Return the full name of the control topic of a run."""
    return CONTROL_REPLAY.full_name(replay_namespace(run))
