"""One subscription for strategies: history from the store, then live from the topics.

    async for event in subscribe(["BTCUSDT.BINANCE"], ["trades", "candles.1m"], since="-1d"):
        ...

``subscribe_sync`` is the same for notebooks. With ``run="x"`` the same code reads a replay.
"""

from consumers.client.subscription import subscribe
from consumers.client.sync import subscribe_sync

__all__ = ["subscribe", "subscribe_sync"]
