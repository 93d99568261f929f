"""What a strategy is.

    class Twice(Strategy):
        quantity: float = 1.0

        def on_trade(self, context: Context, trade: Trade) -> None:
            if not context.position(trade.instrument).quantity:
                context.buy(trade.instrument, self.quantity)

The same class runs on stored sessions, replays and live topics. Annotated attributes with a default
are its parameters (``--param quantity=2``).
"""

from __future__ import annotations

from consumers.backtest.context import Context
from consumers.backtest.orders import Fill
from schemas.events import Bar, Book, Candle, Trade


class Strategy:
    """What is told of the market, event by event; each hook does nothing unless it is written."""

    def on_start(self, context: Context) -> None:
        """Begin; the first event is about to come."""

    def on_trade(self, context: Context, trade: Trade) -> None: ...

    def on_book(self, context: Context, book: Book) -> None:
        """Take a book as it was recorded; ``context.book`` is what all of them together say."""

    def on_candle(self, context: Context, candle: Candle | Bar) -> None:
        """Take a candle that has closed, once, or a bar made elsewhere."""

    def on_revision(self, context: Context, candle: Candle) -> None:
        """Take what late ticks made of a candle that was told before."""

    def on_fill(self, context: Context, fill: Fill) -> None: ...

    def on_stop(self, context: Context) -> None:
        """End; nothing that is ordered now is filled."""
