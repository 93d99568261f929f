"""Samples: ``ma_cross`` on candles, ``book_imbalance`` on ticks."""

from typing import Final

SAMPLES: Final = {
    "ma_cross": "consumers.backtest.strategies.ma_cross:MovingAverageCross",
    "book_imbalance": "consumers.backtest.strategies.book_imbalance:BookImbalance",
}
