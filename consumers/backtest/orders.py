"""What a strategy orders, and what becomes of it."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

OrderSide = Literal["buy", "sell"]
TimeInForce = Literal["GTC", "IOC", "FOK", "DAY"]
"""Good till cancelled; what is not filled at once is cancelled; all at once or nothing; good until
the trading day ends."""
Status = Literal["open", "filled", "cancelled", "rejected", "expired"]

SIDES: Final = ("buy", "sell")
TIMES_IN_FORCE: Final = ("GTC", "IOC", "FOK", "DAY")


class Order(Struct, kw_only=True, eq=False):
    """An order and how it stands. At most one of ``limit`` and ``stop``; neither: at the market."""

    instrument: str
    side: OrderSide
    quantity: float
    limit: float | None = None
    stop: float | None = None
    """From here on it is an order at the market."""
    time_in_force: TimeInForce = "GTC"
    reason: str | None = None
    """Of the strategy for it; of the engine if it was rejected or cancelled."""
    number: int = -1
    """In the order in which they were placed."""
    placed: int = 0
    active_from: int = 0
    """What the market did before this time cannot fill it."""
    expires: int | None = None
    status: Status = "open"
    filled: float = 0.0
    met: bool = False
    """It has reached the market once: a limit that was not filled then rests in the book."""
    triggered: bool = False

    @property
    def left(self) -> float:
        """What is not filled yet."""
        return round(self.quantity - self.filled, 9)

    @property
    def direction(self) -> int:
        return 1 if self.side == "buy" else -1


class Fill(Struct, kw_only=True):
    """A part of an order that was filled; ``fee`` in cash."""

    order: Order
    quantity: float
    price: float
    fee: float
    ts: int
    maker: bool
    """It rested in the book, and somebody else came."""

    @property
    def instrument(self) -> str:
        return self.order.instrument

    @property
    def signed(self) -> float:
        """The quantity, negative if sold."""
        return self.quantity * self.order.direction
