"""A run from its first event to its last, and what it came to."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable
from typing import Final, Literal

from msgspec import Struct

from consumers.backtest.engine import Engine
from consumers.backtest.equity import Point
from consumers.backtest.trips import Trip
from schemas.events import Event

TRACEBACK_CHARS_MAX: Final = 4_000
TOLD_POINTS: Final = 100
State = Literal["completed", "stopped", "failed"]


class Overdue(BaseException):
    """Interrupts a strategy that does not return; no ``except Exception`` of its own stops it."""


class Outcome(Struct, kw_only=True):
    """What a run came to; of one that failed, so far."""

    state: State
    reason: str | None
    """Why it stopped early, or the traceback of a strategy that failed."""
    trips: list[Trip]
    curve: list[Point]
    instruments: tuple[str, ...]
    since: int
    until: int
    events: int
    gaps: int
    orders: int
    fills: int
    rejected: int
    rejections: list[str]
    """Why, of the first ones."""
    fees: float
    traded: float
    """Money that changed hands."""


def drive(
    engine: Engine, events: Iterable[Event], tell: Callable[[int], None] = lambda _: None
) -> Outcome:
    """Feed the engine until the events end, the run is over or the strategy raises.

    What the source of the events raises goes to the caller, for whom ``outcome`` has the results
    so far. ``tell`` is given the time of the newest equity now and then.
    """
    failure = failure_of(engine.start) or _feed(engine, events, tell) or failure_of(engine.stop)
    if failure:
        return outcome(engine, "failed", failure)
    return outcome(engine, "stopped" if engine.over else "completed", engine.over)


def outcome(engine: Engine, state: State, reason: str | None) -> Outcome:
    """Settle a run and tell what it came to."""
    engine.settle()
    exchange, points = engine.exchange, engine.curve.points
    return Outcome(
        state=state,
        reason=reason,
        trips=exchange.trips.all,
        curve=points,
        instruments=tuple(sorted(exchange.markets)),
        since=points[0].ts_event if points else 0,
        until=exchange.time,
        events=engine.events,
        gaps=engine.gaps,
        orders=exchange.placed,
        fills=exchange.fills,
        rejected=exchange.rejected,
        rejections=exchange.rejections,
        fees=exchange.portfolio.fees,
        traded=exchange.portfolio.traded,
    )


def _feed(engine: Engine, events: Iterable[Event], tell: Callable[[int], None]) -> str | None:
    handle, points, told = engine.handle, engine.curve.points, 0
    for event in events:
        try:
            handle(event)
        except (Exception, Overdue) as error:  # noqa: BLE001 - whatever a strategy raises
            return _explained(error)
        if engine.over:
            break
        if len(points) - told >= TOLD_POINTS:
            told = len(points)
            tell(engine.exchange.time)
    return None


def failure_of(call: Callable[[], None]) -> str | None:
    """Call into the engine; return the traceback if the strategy raised."""
    try:
        call()
    except (Exception, Overdue) as error:  # noqa: BLE001 - whatever a strategy raises
        return _explained(error)
    return None


def _explained(error: BaseException) -> str:
    """Return the end of the traceback, where the strategy is."""
    return "".join(traceback.format_exception(error))[-TRACEBACK_CHARS_MAX:]
