"""Book imbalance: with the heavier side of the book, for a short time."""

from __future__ import annotations

from consumers.backtest.context import Context
from consumers.backtest.strategy import Strategy
from schemas.events import NS_PER_MS, Book


class BookImbalance(Strategy):
    """Goes with the side that has most of the size at the top of the book.

    Out again when the imbalance is gone, or after a while.
    """

    levels: int = 5
    threshold: float = 0.6
    """Of (bids - asks) / (bids + asks), between 0 and 1."""
    quantity: float = 0.01
    hold_ms: int = 10_000

    def on_start(self, context: Context) -> None:
        del context
        self._until: dict[str, int] = {}

    def on_book(self, context: Context, book: Book) -> None:
        bids, asks = context.book(book.instrument)
        bid, ask = (sum(size for _, size in side[: self.levels]) for side in (bids, asks))
        if not bid + ask:
            return
        imbalance = (bid - ask) / (bid + ask)
        held = context.position(book.instrument).quantity
        if held:
            side = 1 if held > 0 else -1
            if imbalance * side <= 0 or context.time >= self._until[book.instrument]:
                context.target(book.instrument, 0, "balanced")
        elif abs(imbalance) >= self.threshold:
            quantity = self.quantity if imbalance > 0 else -self.quantity
            if context.target(book.instrument, quantity, "imbalanced"):
                self._until[book.instrument] = context.time + self.hold_ms * NS_PER_MS
