"""Where a replay is and what may go next. Pure: monotonic time is handed in, in ns."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from operator import itemgetter
from typing import Final

from producers.replay.moments import Entry
from schemas.events import Clock, End, Tick

BATCH_MAX: Final = 2_000
"""Events published in one go; commands are looked at in between."""
_moment = itemgetter(0)


class Playhead:
    """Paces entries: each is due at ``anchor + (moment - anchored) / speed``.

    The anchor is set when it begins, goes on or changes its pace, and at no other time: a delay is
    caught up, so that there is no drift.
    """

    def __init__(self, speed: float | None = 1.0, *, paused: bool = False) -> None:
        self.released = 0
        """The moment of the last entry that went."""
        self.source_time = 0
        """The highest one of the clocks that went."""
        self.target = 0
        """All up to this moment goes at once; 0: there is none."""
        self._speed = speed
        self._paused = paused
        self._ticks_left = 0
        self._until_time = 0
        """Going on to the first clock of this source time, then pausing."""
        self._anchor: tuple[int, int] | None = None
        self._held = 0
        """The position while it does not move."""

    @property
    def speed(self) -> float | None:
        """None is as fast as possible."""
        return self._speed

    @property
    def paused(self) -> bool:
        return self._paused and not self.stepping

    @property
    def stepping(self) -> bool:
        return bool(self._ticks_left or self._until_time)

    def position(self, now: int) -> int:
        """Return the moment at which the replay is."""
        if self.target:
            return self.released
        if self._anchor is None or self._speed is None or self._paused:
            return max(self._held, self.released)
        began, moment = self._anchor
        return max(self.released, moment + int((now - began) * self._speed))

    def pause(self, now: int) -> None:
        self._hold(now)
        self._paused = True
        self._ticks_left = self._until_time = 0

    def resume(self, now: int) -> None:
        """Go on, to the end of what is there."""
        self._hold(now)
        self._paused = False
        self._ticks_left = self._until_time = 0

    def set_speed(self, speed: float | None, now: int) -> None:
        self._hold(now)
        self._speed = speed

    def seek(self, target: int) -> None:
        """Let all up to a moment go at once, and go on from there as before."""
        self._anchor = None
        self._ticks_left = self._until_time = 0
        self.target = self._held = target

    def rewind(self) -> None:
        """Begin again: the entries that come next are the first ones."""
        self.released = self.source_time = self._held = 0
        self._anchor = None

    def pass_over(self, entries: Sequence[Entry]) -> None:
        """Take note of entries that went before."""
        self._gone(entries, len(entries))
        self._anchor = None

    def step(self, ticks: int = 0, until_time: int = 0) -> None:
        """Let so many ticks go at once, or all up to a clock, and pause."""
        self._anchor, self._paused = None, True
        self._ticks_left, self._until_time = ticks, until_time

    def count_down(self, ticks: int) -> None:
        """Pause after so many ticks at the usual pace."""
        self._ticks_left = ticks

    def due(self, moment: int) -> int | None:
        """Return when an entry is due; None if nothing says when."""
        if self._anchor is None or not self._speed:
            return None
        began, anchored = self._anchor
        return began + int((moment - anchored) / self._speed)

    def release(self, entries: Sequence[Entry], now: int) -> int:
        """Let the first of the entries go that may go now; return how many."""
        if self.target:
            count = bisect_right(entries, self.target, hi=self._reach(entries), key=_moment)
            if count:
                return self._gone(entries, count)
            self.target = 0
        if self._paused and not self.stepping:
            return 0
        return self._gone(entries, self._allowed(entries, now))

    def wait_ns(self, moment: int, now: int) -> int | None:
        """Return how long it is until an entry may go; None if that takes a command."""
        if self._paused and not (self.stepping or self.target):
            return None
        due = self.due(moment)
        return max(0, due - now) if due is not None else 0

    def _allowed(self, entries: Sequence[Entry], now: int) -> int:
        count = self._reach(entries)
        if self._speed is not None and not self._paused:
            if self._anchor is None:
                self._anchor = now, self._held or entries[0][0]
            began, anchored = self._anchor
            limit = anchored + int((now - began) * self._speed)
            count = bisect_right(entries, limit, hi=count, key=_moment)
        return self._stepped(entries, count) if self.stepping else count

    def _stepped(self, entries: Sequence[Entry], count: int) -> int:
        for place in range(count):
            event = entries[place][2]
            if self._ticks_left and isinstance(event, Tick):
                self._ticks_left -= 1
                over = not self._ticks_left
            elif self._until_time:
                over = isinstance(event, Clock | End) and event.source_time >= self._until_time
            else:
                over = False
            if over:
                self._until_time = 0
                self._paused, self._anchor, self._held = True, None, 0
                return place + 1
        return count

    def _gone(self, entries: Sequence[Entry], count: int) -> int:
        if count:
            self.released = entries[count - 1][0]
            self._held = max(self._held, self.released)
            for _, _, event in entries[:count]:
                if isinstance(event, Clock):
                    self.source_time = max(self.source_time, event.source_time)
        return count

    def _hold(self, now: int) -> None:
        """Stay at the position; whatever goes next begins there."""
        if not self.target:
            self._held = self.position(now)
        self._anchor = None

    @staticmethod
    def _reach(entries: Sequence[Entry]) -> int:
        return min(BATCH_MAX, len(entries))
