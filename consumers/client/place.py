"""How far a partition has come in a session, and what of it was here before. Pure."""

from __future__ import annotations

from sys import maxsize
from typing import Final

from schemas.events import Candle, Control, End, Event, Start
from schemas.order import Fate, Order

Key = tuple[int, int]
"""Epoch and seq."""
BEGINNING: Final[Key] = (0, -1)
NOWHERE: Final[Key] = (maxsize, maxsize)
Identity = tuple[object, ...]


def identity(candle: Candle) -> Identity:
    """Return what names a candle within its session."""
    named = candle.instrument, candle.price_type, candle.interval
    return *named, candle.ts_open, candle.revision


class Place:
    """How far a partition has come in a session."""

    __slots__ = ("by_rows", "foreign", "order", "passed", "told")

    def __init__(
        self, order: Order | None = None, *, foreign: bool = False, passed: bool = False
    ) -> None:
        self.order = order or Order()
        self.foreign = foreign
        """It was read off the store, which knows no epochs: that of the next event is it."""
        self.by_rows = foreign
        """So far: whether the control events up to it were told it does not say."""
        self.passed = passed
        """Nothing more is to come, as far as is known: nobody waits for it."""
        self.told: dict[Identity, int] = {}
        """Candles beyond the last control event, which may come once more."""

    @property
    def reached(self) -> Key:
        """All up to here has come."""
        if self.passed:
            return NOWHERE
        return self.order.epoch, maxsize if self.order.ended else self.order.seq

    def take(self, event: Event) -> bool:
        """Move on to an event; False if it was here before."""
        order = self.order
        begun = order.epoch > 0
        if self.foreign:
            order.epoch, self.foreign = event.epoch, False
        self.passed = False
        if isinstance(event, Candle):
            key, name = (event.epoch, event.seq), identity(event)
            if key <= (order.epoch, order.seq) or self.told.get(name) == event.seq:
                return False
            self.told[name] = event.seq
            return True
        if order.judge(event, event.epoch, event.seq) is not Fate.TAKEN:
            return self.by_rows and isinstance(event, Control) and event.epoch == order.epoch
        self.by_rows = False
        order.ended = type(event) is End
        if type(event) is Start and begun:
            self.told.clear()  # it tells all anew
        elif self.told:
            self.told = {name: seq for name, seq in self.told.items() if seq > event.seq}
        return True
