"""Fills put together to round trips: from flat to flat."""

from __future__ import annotations

from msgspec import Struct

from consumers.backtest.orders import Fill, OrderSide
from consumers.backtest.portfolio import averaged
from schemas.scaled import DECIMALS_MAX


class Trip(Struct, kw_only=True):
    """A position from its first fill until it is flat; what is still open has no exit.

    Prices are averages over its fills, ``quantity`` is all that was entered.
    """

    seq: int
    instrument: str
    side: OrderSide
    quantity: float = 0.0
    entry_time: int
    entry_price: float = 0.0
    exit_time: int | None = None
    exit_price: float | None = None
    fees: float = 0.0
    pnl: float | None = None
    """In cash, after fees."""
    reason: str | None = None
    """Of the order that ended it."""


class _Episode(Struct):
    trip: Trip
    held: float = 0.0
    exited: float = 0.0
    exit_price: float = 0.0


class Trips:
    """All round trips, in the order in which they were entered."""

    def __init__(self) -> None:
        self.all: list[Trip] = []
        self._open: dict[str, _Episode] = {}

    def apply(self, fill: Fill) -> None:
        """Add a fill; one that turns a position around ends a trip and begins another."""
        episode = self._open.get(fill.instrument)
        if episode is None:
            self._enter(fill, fill.quantity)
        elif episode.trip.side == fill.order.side:
            self._add(episode, fill, fill.quantity)
        else:
            closing = min(fill.quantity, episode.held)
            self._exit(episode, fill, closing)
            rest = round(fill.quantity - closing, DECIMALS_MAX)
            if rest > 0:
                self._enter(fill, rest)

    def _enter(self, fill: Fill, quantity: float) -> None:
        order = fill.order
        number = len(self.all)
        trip = Trip(seq=number, instrument=order.instrument, side=order.side, entry_time=fill.ts)
        self.all.append(trip)
        self._open[order.instrument] = episode = _Episode(trip)
        self._add(episode, fill, quantity)

    def _add(self, episode: _Episode, fill: Fill, quantity: float) -> None:
        trip = episode.trip
        trip.quantity = round(trip.quantity + quantity, DECIMALS_MAX)
        trip.entry_price = averaged(trip.entry_price, fill.price, quantity / trip.quantity)
        trip.fees += fill.fee * quantity / fill.quantity
        episode.held = round(episode.held + quantity, DECIMALS_MAX)

    def _exit(self, episode: _Episode, fill: Fill, quantity: float) -> None:
        trip = episode.trip
        episode.exited = round(episode.exited + quantity, DECIMALS_MAX)
        episode.exit_price = averaged(episode.exit_price, fill.price, quantity / episode.exited)
        episode.held = round(episode.held - quantity, DECIMALS_MAX)
        trip.fees += fill.fee * quantity / fill.quantity
        if not episode.held:
            gain = (episode.exit_price - trip.entry_price) * trip.quantity
            trip.exit_time, trip.exit_price = fill.ts, episode.exit_price
            trip.pnl = (gain if trip.side == "buy" else -gain) - trip.fees
            trip.reason = fill.order.reason
            del self._open[fill.instrument]
