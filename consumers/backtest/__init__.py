"""Backtests: a strategy on stored, replayed or live events, with the same code and result.

class Mine(Strategy):
    def on_candle(self, context: Context, candle: Candle) -> None: ...
"""

from consumers.backtest.context import Context
from consumers.backtest.engine import Engine
from consumers.backtest.orders import Fill, Order
from consumers.backtest.strategy import Strategy
from consumers.backtest.terms import Terms
from schemas.events import Bar, Book, Candle, Trade

__all__ = [
    "Bar",
    "Book",
    "Candle",
    "Context",
    "Engine",
    "Fill",
    "Order",
    "Strategy",
    "Terms",
    "Trade",
]
