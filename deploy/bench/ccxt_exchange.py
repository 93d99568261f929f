"""ccxt and the frames of a made market: told by hand below its network, or read by its client."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from deploy.bench.made_market import Market
from producers.feeds import binance, bybit, coinbase, kraken, mexc, mexc_spot, okx
from producers.feeds.ccxt_tap import redirected


class Peer(NamedTuple):
    """Which exchange of ccxt reads a venue, where it believes that frames come from."""

    exchange: str
    symbol: str
    url: str
    replied: bool
    """Whether the book comes over HTTP: then it is put there, as ccxt would have done."""


POLL_S: Final = 0.01
LEVELS: Final = 20
SPOT_SYMBOL: Final = "BTC/USDT"
PEERS: Final = {
    binance.SPOT: Peer("binance", SPOT_SYMBOL, "wss://stream.binance.com:9443/stream", True),
    binance.USDM: Peer("binance", "BTC/USDT:USDT", "wss://fstream.binance.com/stream", True),
    bybit.VENUE: Peer("bybit", SPOT_SYMBOL, "wss://stream.bybit.com/v5/public/spot", False),
    coinbase.VENUE: Peer(
        "coinbaseexchange", "BTC/USD", "wss://ws-feed.exchange.coinbase.com", False
    ),
    kraken.VENUE: Peer("kraken", "BTC/USD", "wss://ws.kraken.com/v2", False),
    mexc.VENUE: Peer("mexc", "BTC/USDT:USDT", "wss://contract.mexc.com/edge", True),
    mexc_spot.VENUE: Peer("mexc", SPOT_SYMBOL, "wss://wbs-api.mexc.com/ws", True),
    okx.VENUE: Peer("okx", SPOT_SYMBOL, "wss://ws.okx.com:8443/ws/v5/public", False),
}


class CcxtReader:
    """Reads frames as ccxt does from where its connection hands them on; needs a running loop."""

    def __init__(self, venue: str, market_id: str) -> None:
        self._peer = peer = PEERS[venue]
        self._exchange = _exchange(peer, market_id)
        self._client = self._exchange.client(peer.url)
        self._binary = venue == mexc_spot.VENUE
        if peer.replied:
            bids, asks = ([[*map(float, level)] for level in side] for side in Market().ladders())
            book = self._exchange.order_book({}, 1_000)
            book.reset({"bids": bids, "asks": asks, "nonce": 0, "symbol": peer.symbol})
            self._exchange.orderbooks[peer.symbol] = book

    def wants(self, frame: bytes) -> bool:
        """Tell whether it is a frame of the venue, and not a reply over HTTP."""
        return not (self._peer.replied and (b'"success"' in frame or b"snapshot" in frame))

    def read(self, frame: bytes) -> None:
        text = frame if self._binary else frame.decode()
        self._client.handle_text_or_binary_message(text)

    @property
    def best(self) -> tuple[float, float]:
        """The best bid and ask."""
        return _best(self._exchange, self._peer)

    @property
    def last_price(self) -> float:
        """Price of the trade that came last."""
        return float(self._exchange.trades[self._peer.symbol][-1]["price"])

    async def close(self) -> None:
        await self._exchange.close()


class CcxtClient:
    """ccxt's own client of a venue that is served at ``here``; needs a running loop."""

    def __init__(
        self, venue: str, market_id: str, here: str, taken: Callable[[Any], None] | None = None
    ) -> None:
        """``taken`` is told each trade, and after each other frame the best levels of the book."""
        self.frames = 0
        """So far, the venue's answers too."""
        self._newest: Any = None
        self._peer = peer = PEERS[venue]
        self._exchange = exchange = _exchange(peer, market_id)
        exchange.urls = redirected(exchange.urls, f"ws://{here}", f"http://{here}")
        # On one connection: on two, each would hear everything.
        exchange.options["streamLimits"] = {"spot": 1}
        handle = exchange.handle_message

        def counted(client: Any, message: Any) -> None:
            self.frames += 1
            handle(client, message)
            if taken is not None:
                taken(self._told())

        exchange.handle_message = counted

    async def read(self, last_trade: str) -> None:
        """Subscribe, and return when it has the trade of this id."""
        exchange, symbol = self._exchange, self._peer.symbol
        asked = [
            asyncio.create_task(method(symbol))
            for method in (exchange.watch_order_book, exchange.watch_trades)
        ]
        try:
            while not (trades := exchange.trades.get(symbol)) or trades[-1]["id"] != last_trade:
                await asyncio.sleep(POLL_S)
                for task in asked:
                    if task.done():
                        task.result()
        finally:
            for task in asked:
                task.cancel()

    def _told(self) -> Any:
        """Return what the last frame held: one trade, or a change of the book."""
        symbol = self._peer.symbol
        trades = self._exchange.trades.get(symbol)
        if trades and trades[-1] is not self._newest:
            self._newest = trades[-1]
            return self._newest
        book = self._exchange.orderbooks.get(symbol) or {"bids": [], "asks": []}
        return {"symbol": symbol} | {side: book[side][:LEVELS] for side in ("bids", "asks")}

    @property
    def has_book(self) -> bool:
        book = self._exchange.orderbooks.get(self._peer.symbol)
        return bool(book and book["bids"])

    @property
    def best(self) -> tuple[float, float]:
        """The best bid and ask."""
        return _best(self._exchange, self._peer)

    async def close(self) -> None:
        await self._exchange.close()


def _exchange(peer: Peer, market_id: str) -> Any:
    """Make an exchange that knows one market, and so need not ask for them."""
    exchange = getattr(importlib.import_module("ccxt.pro"), peer.exchange)()
    exchange.set_markets([_market(exchange, peer, market_id)])
    return exchange


def _best(exchange: Any, peer: Peer) -> tuple[float, float]:
    book = exchange.orderbooks[peer.symbol]
    return book["bids"][0][0], book["asks"][0][0]


def _market(exchange: Any, peer: Peer, market_id: str) -> Any:
    base, _, quote = peer.symbol.partition(":")[0].partition("/")
    swap = ":" in peer.symbol
    return exchange.safe_market_structure(
        {
            "id": market_id,
            "lowercaseId": market_id.lower(),
            "symbol": peer.symbol,
            "base": base,
            "quote": quote,
            "baseId": base,
            "quoteId": quote,
            "settle": quote if swap else None,
            "type": "swap" if swap else "spot",
            "spot": not swap,
            "swap": swap,
            "contract": swap,
            "linear": True if swap else None,
            "contractSize": 0.0001 if swap else None,
            "active": True,
            "precision": {"price": 0.1, "amount": 0.0001},
        }
    )
