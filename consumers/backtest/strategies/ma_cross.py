"""Moving averages that cross: long while the fast one is above the slow one."""

from __future__ import annotations

from collections import deque

from consumers.backtest.context import Context
from consumers.backtest.strategy import Strategy
from schemas.errors import SettingsError
from schemas.events import Bar, Candle
from schemas.scaled import UNIT


class MovingAverageCross(Strategy):
    """Holds a share of the equity in whatever rises; ``short`` sells it when it falls."""

    fast: int = 10
    slow: int = 30
    interval: str = "5m"
    share: float = 0.3
    """Of the equity, in each instrument."""
    short: bool = False

    def on_start(self, context: Context) -> None:
        del context
        if not 0 < self.fast < self.slow:
            raise SettingsError("averages do not cross", f"fast {self.fast}, slow {self.slow}")
        self._averages: dict[str, _Averages] = {}

    def on_candle(self, context: Context, candle: Candle | Bar) -> None:
        if candle.interval != self.interval or candle.price_type != "trade":
            return
        averages = self._averages.get(candle.instrument)
        if averages is None:
            averages = self._averages[candle.instrument] = _Averages(self.fast, self.slow)
        turned = averages.add(candle.close)
        if turned is None:
            return
        quantity = round(self.share * context.equity / candle.close, 6)
        if not turned:
            quantity = -quantity if self.short else 0.0
        context.target(candle.instrument, quantity, "rising" if turned else "falling")


class _Averages:
    """The sums of the newest prices, exact: integers of 1e-9."""

    __slots__ = ("_fast", "_fast_sum", "_prices", "_rising", "_slow", "_slow_sum")

    def __init__(self, fast: int, slow: int) -> None:
        self._fast, self._slow = fast, slow
        self._prices: deque[int] = deque(maxlen=slow)
        self._fast_sum = self._slow_sum = 0
        self._rising: bool | None = None

    def add(self, price: float) -> bool | None:
        """Add a price; tell whether the averages have turned up or down, None if not."""
        prices, scaled = self._prices, round(price * UNIT)
        full = len(prices) == self._slow
        self._slow_sum += scaled - (prices[0] if full else 0)
        self._fast_sum += scaled - (prices[-self._fast] if len(prices) >= self._fast else 0)
        prices.append(scaled)
        if len(prices) < self._slow:
            return None
        rising = self._fast_sum * self._slow > self._slow_sum * self._fast
        if rising == self._rising:
            return None
        self._rising = rising
        return rising
