"""How well a replay keeps its time, of late."""

from __future__ import annotations

from collections import deque
from typing import Final

SAMPLES_MAX: Final = 4_096
IN_A_RELEASE_MAX: Final = 16
RATE_S: Final = 5.0
NS_PER_MS: Final = 1e6


class Timing:
    """Errors against the due time, and the rate."""

    def __init__(self) -> None:
        self._errors: deque[int] = deque(maxlen=SAMPLES_MAX)
        self._counts: deque[tuple[int, int, int]] = deque()
        """Of late: when, how many events so far, at which moment."""
        self.events = 0
        self.latest = 0
        """By how much events were late at most, since ``describe`` has asked."""

    def late(self, errors: list[int]) -> None:
        """Take in by how many ns events that went together were late; of many, some."""
        self.latest = max(self.latest, errors[0])
        self._errors += errors[:: max(1, len(errors) // IN_A_RELEASE_MAX)]

    def went(self, count: int, moment: int, now: int) -> None:
        """Take in that so many events have gone, the last one of a moment."""
        self.events += count
        self._counts.append((now, self.events, moment))
        while len(self._counts) > 2 and now - self._counts[0][0] > RATE_S * 1e9:
            self._counts.popleft()

    def quantile_ms(self, share: float) -> float:
        errors = sorted(self._errors)
        return errors[min(len(errors) - 1, int(share * len(errors)))] / NS_PER_MS if errors else 0.0

    def rate(self, now: int) -> float:
        """Return events a second."""
        return self._per_s(1, now)

    def pace(self, now: int) -> float:
        """Return by how many ns the moment moves in a second."""
        return self._per_s(2, now)

    def _per_s(self, which: int, now: int) -> float:
        if len(self._counts) < 2 or now <= self._counts[0][0]:
            return 0.0
        first, last = self._counts[0], self._counts[-1]
        return (last[which] - first[which]) * 1e9 / (now - first[0])
