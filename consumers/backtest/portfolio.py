"""Cash and positions, and what may still be bought with them."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

from msgspec import Struct

from consumers.backtest.market import Market
from consumers.backtest.orders import Fill
from schemas.scaled import DECIMALS_MAX


class Position(Struct, kw_only=True):
    """What is held of an instrument; negative if it is owed."""

    quantity: float = 0.0
    average_price: float = 0.0


FLAT = Position()


class Portfolio:
    """Cash and what is held; all instruments are counted in the same currency."""

    def __init__(self, cash: float, leverage_max: float, markets: Mapping[str, Market]) -> None:
        self.cash = cash
        self.positions: dict[str, Position] = {}
        """Those that are not flat."""
        self.fees = 0.0
        self.traded = 0.0
        """Money that changed hands."""
        self._leverage_max = leverage_max
        self._markets = markets

    def position(self, instrument: str) -> Position:
        return self.positions.get(instrument, FLAT)

    def apply(self, fill: Fill) -> None:
        """Book a fill."""
        held = self.positions.setdefault(fill.instrument, Position())
        signed, amount = fill.signed, fill.price * fill.quantity
        after = round(held.quantity + signed, DECIMALS_MAX)
        if held.quantity * signed >= 0:
            share = fill.quantity / abs(after)
            held.average_price = averaged(held.average_price, fill.price, share)
        elif after * held.quantity < 0:
            held.average_price = fill.price
        held.quantity = after
        if not after:
            del self.positions[fill.instrument]
        self.cash -= signed * fill.price + fill.fee
        self.fees += fill.fee
        self.traded += amount

    def worth(self) -> tuple[float, float]:
        """Return what the positions are worth: with what is owed against it, and all added up."""
        net = gross = 0.0
        for name, held in self.positions.items():
            worth = held.quantity * (self._markets[name].mark or held.average_price)
            net += worth
            gross += abs(worth)
        return net, gross

    @property
    def equity(self) -> float:
        return self.cash + self.worth()[0]

    def affordable(self, instrument: str, direction: int, price: float, fee_rate: float) -> float:
        """Return how much may be bought (1) or sold (-1) at a price without too much leverage.

        A position may always be closed. Beyond that, all positions together must stay within
        ``leverage_max`` times the equity that is left after the fee.
        """
        if price <= 0:
            return inf
        held = self.position(instrument).quantity
        closing = abs(held) if held * direction < 0 else 0.0
        mark = self._markets[instrument].mark or price
        net, gross = self.worth()
        gross -= closing * mark
        # Closing at this price rather than at the mark changes the equity, and so does opening.
        equity = self.cash + net + closing * ((mark - price) * direction - price * fee_rate)
        room = self._leverage_max * equity - gross
        per_unit = price * (1 + self._leverage_max * fee_rate)
        return closing + max(0.0, room / per_unit)


def averaged(average: float, price: float, share: float) -> float:
    """Return an average price after a fill of that share; equal prices stay what they are."""
    return price if share == 1 else average + (price - average) * share
