"""A market of one symbol that knows what it told, in the words of a venue."""

from __future__ import annotations

import time
from random import Random
from typing import Any

import orjson

SYMBOL = "BTCUSDT"
LEVELS = 30


class Market:
    """Makes a frame at each step: a trade, or an update of the book."""

    def __init__(self, venue: str, random: Random) -> None:
        self.instrument = f"{SYMBOL}.{venue}"
        self.trades: dict[str, int] = {}
        """When each was made, in ns, by id."""
        self.updates: dict[int, int] = {}
        """The same, of the updates of the book."""
        self.books: dict[int, tuple[list[Any], list[Any]]] = {}
        """The best 20 levels after each update."""
        self.depth_words = b"depthUpdate" if venue == "BINANCE" else b"orderbook.50"
        """What a frame with an update of the book holds."""
        self._random = random
        self._binance = venue == "BINANCE"
        self._update_id = 1_000
        self._now_ms = time.time_ns() // 1_000_000
        self._bids = {100 - n / 10: 1.0 for n in range(1, LEVELS)}
        self._asks = {100 + n / 10: 1.0 for n in range(1, LEVELS)}
        self._remember()

    def step(self) -> bytes:
        """Let something happen; return the frame that tells of it."""
        now_ms = time.time_ns() // 1_000_000
        return orjson.dumps(
            self._trade(now_ms) if self._random.random() < 0.5 else self._update(now_ms)
        )

    def trade(self) -> bytes:
        return orjson.dumps(self._trade(time.time_ns() // 1_000_000))

    def update(self) -> bytes:
        return orjson.dumps(self._update(time.time_ns() // 1_000_000))

    def snapshot(self) -> bytes:
        """Return the frame that tells the book as it is."""
        sides = [_levels(self._bids), _levels(self._asks)]
        if self._binance:
            book = {"lastUpdateId": self._update_id, "bids": sides[0], "asks": sides[1]}
            return orjson.dumps({"stream": f"{SYMBOL.lower()}@snapshot", "data": book})
        return orjson.dumps(self._book_of_bybit("snapshot", self._now_ms, *sides))

    def _trade(self, now_ms: int) -> dict[str, Any]:
        count = len(self.trades)
        # Those of Bybit have holes.
        trade_id = str(count + 1 if self._binance else 3 + count * 7)
        self.trades[trade_id] = now_ms * 1_000_000
        price, size = f"{100 + count % 7 / 10}", f"{1 + count % 3}"
        if self._binance:
            data = {"e": "trade", "s": SYMBOL, "t": int(trade_id), "p": price, "q": size}
            data |= {"T": now_ms, "m": count % 2 == 0}
            return {"stream": f"{SYMBOL.lower()}@trade", "data": data}
        data = {"T": now_ms, "s": SYMBOL, "S": "Buy", "v": size, "p": price, "i": trade_id}
        topic = f"publicTrade.{SYMBOL}"
        return {"topic": topic, "type": "snapshot", "ts": now_ms, "data": [data]}

    def _update(self, now_ms: int) -> dict[str, Any]:
        self._update_id += 1
        self._now_ms = now_ms
        changed: list[list[Any]] = []
        for side, sign in ((self._bids, -1), (self._asks, 1)):
            price = 100 + sign * self._random.randrange(1, LEVELS) / 10
            size = self._random.choice((0.0, 1.0, 2.0, 3.0))
            side[price] = size
            if not size:
                del side[price]
            changed.append([[repr(price), repr(size)]])
        self.updates[self._update_id] = now_ms * 1_000_000
        self._remember()
        if self._binance:
            data = {"e": "depthUpdate", "E": now_ms, "s": SYMBOL}
            data |= {"U": self._update_id, "u": self._update_id, "b": changed[0], "a": changed[1]}
            return {"stream": f"{SYMBOL.lower()}@depth@100ms", "data": data}
        return self._book_of_bybit("delta", now_ms, *changed)

    def _remember(self) -> None:
        self.books[self._update_id] = (
            sorted(self._bids.items(), reverse=True)[:20],
            sorted(self._asks.items())[:20],
        )

    def _book_of_bybit(self, kind: str, now_ms: int, bids: Any, asks: Any) -> dict[str, Any]:
        data = {"s": SYMBOL, "b": bids, "a": asks, "u": self._update_id}
        return {"topic": f"orderbook.50.{SYMBOL}", "type": kind, "ts": now_ms, "data": data}


def _levels(side: dict[float, float]) -> list[list[str]]:
    return [[repr(price), repr(size)] for price, size in side.items()]
