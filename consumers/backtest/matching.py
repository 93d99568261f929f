"""What an event of the market fills of an order. Pure; the engine says when an order may be asked.

An order that comes to the market takes what is offered, best price first, as far as its limit lets
it. What is left of a limit then rests: it is filled at its own price once the market has gone
through it. A trade at exactly that price fills nothing, since nobody knows who was before us.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from consumers.backtest.market import Offer
from consumers.backtest.orders import Order


class Part(NamedTuple):
    """A part of an order that is filled; ``level`` is the price of the offer that filled it."""

    price: float
    quantity: float
    maker: bool
    level: float


def better(order: Order, price: float, than: float) -> bool:
    """Tell whether a price is strictly better for the order."""
    return (than - price) * order.direction > 0


def triggers(order: Order, price: float) -> bool:
    """Tell whether a price sets off the stop of an order."""
    assert order.stop is not None, "only stops are set off"
    return (price - order.stop) * order.direction >= 0


def met(order: Order, offers: Iterable[Offer]) -> Iterator[Part]:
    """Yield what an order takes of what is offered; nothing if it must be all and is not."""
    left, parts = order.left, []
    for price, size in offers:
        if left <= 0 or (order.limit is not None and better(order, order.limit, price)):
            break
        quantity = min(left, size)
        left = round(left - quantity, 9)
        resting = order.met and order.limit is not None
        parts.append(Part(order.limit if resting else price, quantity, resting, price))  # type: ignore[arg-type] # resting: it has one
    if order.time_in_force == "FOK" and left > 0:
        return
    yield from parts


def passed(order: Order, price: float, size: float) -> Iterator[Part]:
    """Yield what a trade fills of a limit that rests, if it went through it."""
    if order.met and order.limit is not None and better(order, price, order.limit):
        yield Part(order.limit, min(order.left, size), True, price)
