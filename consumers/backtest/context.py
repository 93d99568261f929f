"""What a strategy has to act with: the market as of now, and the means to trade in it."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from consumers.backtest.exchange import Exchange
from consumers.backtest.orders import Order, OrderSide, TimeInForce
from consumers.backtest.portfolio import Position
from consumers.backtest.series import AsOf
from schemas.events import Level


class Context:
    """The market as of now. Times are ns of event time; what happened later is known to nobody."""

    def __init__(self, exchange: Exchange, series: AsOf) -> None:
        self.random = Random(exchange.terms.seed)  # noqa: S311 - to be repeated, not a secret
        """The only chance that can be repeated: seeded by the run."""
        self._exchange = exchange
        self._series = series

    @property
    def time(self) -> int:
        return self._exchange.time

    @property
    def instruments(self) -> tuple[str, ...]:
        """Those that may be traded: named for the run, or seen so far."""
        return tuple(self._exchange.markets)

    @property
    def cash(self) -> float:
        return self._exchange.portfolio.cash

    @property
    def equity(self) -> float:
        """Cash, and what the positions are worth now."""
        return self._exchange.portfolio.equity

    @property
    def orders(self) -> tuple[Order, ...]:
        """The open ones, in the order in which they were placed."""
        return tuple(self._exchange.orders.values())

    def position(self, instrument: str) -> Position:
        return self._exchange.portfolio.position(instrument)

    def last(self, instrument: str) -> float | None:
        """Return the price of the newest trade, or the close of the newest candle."""
        market = self._exchange.markets.get(instrument)
        return market.last if market else None

    def book(self, instrument: str) -> tuple[Sequence[Level], Sequence[Level]]:
        """Return the bids and the asks, best first."""
        market = self._exchange.markets.get(instrument)
        return (market.bids, market.asks) if market else ((), ())

    def as_of(self, series: str, instrument: str) -> float | None:
        """Return the newest value of a stored series whose time has come; None before the first.

        ``sentiment``, ``sentiment.SOURCE``, ``candles.INTERVAL`` or ``bars.SOURCE.INTERVAL`` (their
        closes). Raises ``UnknownNameError``.
        """
        return self._series.value(series, instrument, self._exchange.time)

    def buy(  # noqa: PLR0913 - what an order is made of
        self,
        instrument: str,
        quantity: float,
        *,
        limit: float | None = None,
        stop: float | None = None,
        time_in_force: TimeInForce = "GTC",
        reason: str | None = None,
    ) -> Order:
        """Place an order: at the market, or with a limit or a stop.

        One that there is not enough equity for is returned as rejected, with the reason. Raises
        ``DataError`` for numbers that are none.
        """
        return self._place("buy", instrument, quantity, limit, stop, time_in_force, reason)

    def sell(  # noqa: PLR0913 - what an order is made of
        self,
        instrument: str,
        quantity: float,
        *,
        limit: float | None = None,
        stop: float | None = None,
        time_in_force: TimeInForce = "GTC",
        reason: str | None = None,
    ) -> Order:
        """Place an order as ``buy`` does; more than is held is owed."""
        return self._place("sell", instrument, quantity, limit, stop, time_in_force, reason)

    def target(self, instrument: str, quantity: float, reason: str | None = None) -> Order | None:
        """Order at the market what is missing to a position; what is ordered already counts."""
        waiting = sum(
            order.left * order.direction
            for order in self._exchange.orders.values()
            if order.instrument == instrument
        )
        missing = round(quantity - self.position(instrument).quantity - waiting, 9)
        if not missing:
            return None
        side: OrderSide = "buy" if missing > 0 else "sell"
        return self._place(side, instrument, abs(missing), None, None, "GTC", reason)

    def cancel(self, order: Order) -> None:
        """Take back what is not filled yet, whatever the latency."""
        self._exchange.close(order, "cancelled")

    def _place(  # noqa: PLR0913, PLR0917 - what an order is made of
        self,
        side: OrderSide,
        instrument: str,
        quantity: float,
        limit: float | None,
        stop: float | None,
        time_in_force: TimeInForce,
        reason: str | None,
    ) -> Order:
        return self._exchange.place(
            Order(
                instrument=instrument,
                side=side,
                quantity=quantity,
                limit=limit,
                stop=stop,
                time_in_force=time_in_force,
                reason=reason,
            )
        )
