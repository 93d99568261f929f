"""The order of truth: which events of a session a reader of one partition takes, and which not."""

from __future__ import annotations

from enum import StrEnum

from schemas.events import Candle, Start
from schemas.intervals import INTERVALS


class Fate(StrEnum):
    """What becomes of an event."""

    TAKEN = "taken"
    DUPLICATE = "duplicate"
    """At or below the last (epoch, seq): it was here before."""
    STALE = "stale"
    """From an epoch that has been taken over: a publisher that was paused and woke up."""
    ENDED = "ended"
    """After the end of its session: a dead letter."""


class Order:
    """The place of one session in one partition: the last (epoch, seq), and whether it ended."""

    __slots__ = ("ended", "epoch", "seq")

    def __init__(self, epoch: int = 0, seq: int = -1, *, ended: bool = False) -> None:
        self.epoch = epoch
        self.seq = seq
        self.ended = ended

    def judge(self, event: object, epoch: int, seq: int) -> Fate:
        """Decide about an event and, if it is taken, move on to it."""
        if epoch < self.epoch:
            return Fate.STALE
        if epoch == self.epoch and seq <= self.seq:
            return Fate.DUPLICATE
        if self.ended and not (isinstance(event, Start) and epoch > self.epoch):
            return Fate.ENDED
        self.epoch, self.seq, self.ended = epoch, seq, False
        return Fate.TAKEN


def candle_place(candle: Candle) -> tuple[int, str, str, int, int]:
    """Return the place of a candle among those that one control event closed, for every reader.

    In order of their close, then instrument, kind of price, interval and revision, whatever
    partitions they were on.
    """
    interval = INTERVALS.index(candle.interval)
    return candle.ts_close, candle.instrument, candle.price_type, interval, candle.revision
