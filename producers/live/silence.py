"""When a connection that says nothing is dead: judged by how often it usually says something."""

from __future__ import annotations

from typing import Final

from schemas.sections import Capture

WEIGHT: Final = 1 / 64
"""Of the newest interval in the usual one."""
LEARNT_MIN: Final = 64
"""Intervals until the usual one is known; before that only the longest silence counts."""


class Silence:
    """The silence of one connection. Times are seconds of any steady clock."""

    def __init__(self, settings: Capture, now: float) -> None:
        self._shortest = min(settings.silence_s_min, settings.silence_s_max)
        self._longest = settings.silence_s_max
        self._factor = settings.silence_factor
        self._heard_at = now
        self._usual_s = 0.0
        self._learnt = 0

    @property
    def limit_s(self) -> float:
        """How long it may be silent."""
        if self._learnt < LEARNT_MIN:
            return self._longest
        return min(max(self._shortest, self._factor * self._usual_s), self._longest)

    def heard(self, now: float) -> None:
        """Note that data came; pongs and heartbeats are none."""
        interval, self._heard_at = now - self._heard_at, now
        self._learnt += 1
        weight = max(WEIGHT, 1 / self._learnt)
        self._usual_s += weight * (interval - self._usual_s)

    def pardon(self, now: float) -> None:
        """Begin to wait anew: nothing could be said meanwhile."""
        self._heard_at = now

    def over(self, now: float) -> bool:
        """Tell whether it has been silent for too long."""
        return now - self._heard_at > self.limit_s
