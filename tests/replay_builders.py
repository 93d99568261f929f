"""Recordings in memory, and a replay of them onto real topics."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from builders import RULES, at, clock, end, numbered, start, trade
from producers.replay.inbox import Inbox
from producers.replay.play import Before, Replay
from schemas.errors import TickerplantError
from schemas.events import CandleRules, Event, Tick
from schemas.health import Health
from schemas.replay_control import Plan, ReplayStatus
from schemas.settings import Settings


def session_of(
    seconds: int = 60, name: str = "one", first: float = 0, **fields: Any
) -> list[Event]:
    """Return a session with a trade each half second and a clock each second."""
    fields |= {"session": name, "epoch": 0}
    own = {"session": name, "epoch": 0}
    events: list[Event] = [start(first, **own)]
    for n in range(2 * seconds):
        second = first + n / 2
        price = 100 + n % 7
        events.append(trade(second + 0.1, price, trade_id=str(n), **fields))
        if n % 2:
            events.append(clock(second + 0.5, **own))
    return numbered(*events, end(first + seconds, **own))


@dataclass
class Memory:
    """Recordings that are lists of events; reading a session raises what ``faults`` says."""

    sessions: dict[str, list[Event]]
    faults: dict[str, tuple[int, TickerplantError]] = field(default_factory=dict)
    stalls: dict[int, float] = field(default_factory=dict)
    """Before which event reading takes so many seconds."""

    @property
    def rules(self) -> dict[str, CandleRules]:
        return dict.fromkeys(self.sessions, RULES)

    @property
    def first(self) -> int:
        return min(self._moments())

    @property
    def last(self) -> int:
        return max(self._moments())

    def events(self, session: str) -> Iterator[Event]:
        place, error = self.faults.get(session, (-1, None))
        for number, event in enumerate(self.sessions[session]):
            if number == place and error:
                raise error
            threading.Event().wait(self.stalls.get(number, 0))
            yield event

    def _moments(self) -> Iterator[int]:
        return (e.ts_recv for some in self.sessions.values() for e in some if isinstance(e, Tick))


def memory(*sessions: list[Event]) -> Memory:
    return Memory({some[0].session: some for some in sessions})


def new_status(recordings: Memory, **fields: Any) -> ReplayStatus:
    plan = Plan(sessions=tuple(recordings.sessions), **fields.pop("plan", {}))
    usual = {"run": "test", "state": "playing", "first": recordings.first, "last": recordings.last}
    return ReplayStatus(**(usual | {"plan": plan} | fields))


@dataclass
class Scene:
    """A replay that is under way; ``script`` acts on its inbox when it is shown a status."""

    settings: Settings
    recordings: Memory
    inbox: Inbox = field(default_factory=Inbox)
    shown: list[ReplayStatus] = field(default_factory=list)

    async def play(
        self,
        status: ReplayStatus,
        last: dict[Any, Any] | None = None,
        script: Callable[[ReplayStatus, Inbox], None] = lambda *_: None,
    ) -> ReplayStatus:
        def show(now: ReplayStatus) -> None:
            self.shown.append(now.__copy__())
            script(now, self.inbox)

        replay = Replay(
            self.settings,
            self.recordings,
            Before(status, last or {}),
            inbox=self.inbox,
            show=show,
        )
        async with asyncio.timeout(60):
            await replay.run(Health("kafka"))
        return replay.status


def ticks(events: Iterable[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, Tick)]


__all__ = ["Memory", "Scene", "at", "memory", "new_status", "session_of", "ticks"]
