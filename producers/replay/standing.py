"""How a replay stands, in the words of its status."""

from __future__ import annotations

from typing import Final

from producers.replay.playhead import Playhead
from producers.replay.timing import Timing
from schemas.events import NS_PER_MS, NS_PER_S
from schemas.replay_control import ReplayStatus

OVERLOAD_MS: Final = 250.0
"""So late, it cannot keep the pace."""


def describe(
    status: ReplayStatus, head: Playhead, timing: Timing, due: int | None, now: int
) -> None:
    """Bring a status up to date; ``due`` is when the next event is to go, if that is known."""
    status.speed, status.target, status.paused = head.speed, head.target, head.paused
    status.state = "seeking" if head.target else "paused" if head.paused else "playing"
    status.position = min(max(head.position(now), status.first), status.last)
    span = max(1, status.last - status.first)
    status.percent = round(100 * (status.position - status.first) / span, 3)
    status.events, status.rate = timing.events, round(timing.rate(now), 1)
    pace = head.speed * NS_PER_S if head.speed and not head.target else timing.pace(now)
    left_s = (status.last - status.position) / pace if pace and not head.paused else None
    status.left_s = None if left_s is None else round(left_s, 3)
    status.error_p50_ms = round(timing.quantile_ms(0.5), 3)
    status.error_p99_ms = round(timing.quantile_ms(0.99), 3)
    late, timing.latest = timing.latest, 0
    status.behind_ms = round(max(late, 0 if due is None else now - due) / NS_PER_MS, 3)
    status.overload = status.behind_ms > OVERLOAD_MS
