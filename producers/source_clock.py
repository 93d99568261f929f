"""Source time T: the market's own clock, told by exchange times and the receive time in between."""

from __future__ import annotations

from enum import Enum


class Verdict(Enum):
    """What a tick's exchange time is worth."""

    ACCEPTED = "accepted"
    HELD = "held"
    """Too far ahead of T to be believed alone: the next tick decides about it."""
    CONFIRMED = "confirmed"
    """It agrees with the one held before it: both are right, and T has moved there."""


class SourceClock:
    """The newest exchange time seen plus the receive time passed since; it never falls.

    Not known until two ticks in a row agree, and moved by more than ``ahead_ns_max`` only then:
    one tick from the year 2261 changes nothing.
    """

    __slots__ = ("_ahead_ns_max", "_candidate", "_reached", "known", "newest", "received")

    def __init__(self, ahead_ns_max: int) -> None:
        self.known = False
        self.newest = 0
        """Exchange time of the newest tick: after a loss, what is later may be missing."""
        self.received = 0
        """When that one was received."""
        self._reached = 0
        self._ahead_ns_max = ahead_ns_max
        self._candidate: tuple[int, int] | None = None

    def at(self, ts_recv: int) -> int:
        """Return T at a receive time."""
        time = self.newest + ts_recv - self.received
        if time > self._reached:  # noqa: PLR1730 - max() costs as much as the rest, at each tick
            self._reached = time
        return self._reached

    def accepts(self, ts_event: int, ts_recv: int, time: int) -> bool:
        """Take in a tick that needs no other one to be believed; ``time`` is T at its receipt."""
        if ts_event > time + self._ahead_ns_max:
            return False
        if ts_event > self.newest:
            self.newest = ts_event
            self.received = ts_recv
        return True

    def observe(self, ts_event: int, ts_recv: int) -> Verdict:
        """Take in any tick."""
        if self.known and self.accepts(ts_event, ts_recv, self.at(ts_recv)):
            self._candidate = None
            return Verdict.ACCEPTED
        tick, before = (ts_event, ts_recv), self._candidate
        if before is None or not self._agree(before, tick):
            self._candidate = tick
            return Verdict.HELD
        self._candidate = None
        self.believe(*max(before, tick))
        return Verdict.CONFIRMED

    def agrees(self, ts_event: int, ts_recv: int) -> bool:
        """Tell whether a tick can be of the clock that is believed."""
        return self._agree((ts_event, ts_recv), (self.newest, self.received))

    def _agree(self, one: tuple[int, int], other: tuple[int, int]) -> bool:
        return abs((other[0] - one[0]) - (other[1] - one[1])) <= self._ahead_ns_max

    def believe(self, ts_event: int, ts_recv: int) -> None:
        """Believe a tick."""
        self.newest, self.received, self.known = ts_event, ts_recv, True

    def stop(self, ns: int) -> None:
        """Leave out receive time in which nothing could be received: the feed was blocked."""
        self.received += ns
