"""The trades that a venue has told, as it tells them once more over HTTP."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from producers.feeds import (
    binance,
    bybit,
    bybit_history,
    coinbase,
    coinbase_history,
    kraken,
    kraken_history,
    okx,
    okx_history,
)
from producers.feeds.sources import source_of
from schemas.codec import DECODE_ERRORS
from schemas.errors import DataError
from schemas.events import NS_PER_MS, NS_PER_S, Trade
from schemas.instruments import split_instrument

FRAMES_MAX: Final = 20_000
"""What is older is history no more."""
OTHER_SIDE: Final = {"buy": "sell", "sell": "buy"}
Query = Mapping[str, str]


class TradeHistory:
    """Keeps frames, and looks for trades in them when it is asked."""

    def __init__(self, venue: str) -> None:
        self._venue = venue
        self._frames: deque[bytes] = deque(maxlen=FRAMES_MAX)

    def keep(self, frame: bytes) -> None:
        """Keep a frame, whoever heard it."""
        self._frames.append(frame)

    def reply(self, path: str, query: Query) -> bytes | None:
        """Answer a request; None if it is not for trades."""
        asked = ASKED.get(self._venue)
        symbol = asked(path, query) if asked else None
        if symbol is None:
            return None
        return orjson.dumps(REPLIES[self._venue](self._trades(symbol), query))

    def _trades(self, symbol: str) -> list[Trade]:
        parser = source_of(self._venue).parser(self._venue, 1)
        trades: dict[str | None, Trade] = {}
        for frame in self._frames:
            try:
                seen = parser.parse(0, frame)
            except (DataError, *DECODE_ERRORS):
                continue
            for trade in seen:
                if isinstance(trade, Trade) and split_instrument(trade.instrument)[0] == symbol:
                    trades[trade.trade_id] = trade
        return list(trades.values())


def _if_under(*names: str, by: str) -> Callable[[str, Query], str | None]:
    """Return what reads the symbol of a request whose path ends with one of the names."""
    return lambda path, query: query.get(by, "").upper() if path.endswith(names) else None


def _coinbase_asked(path: str, _: Query) -> str | None:
    parts = path.strip("/").split("/")
    return parts[1] if len(parts) == 3 and (parts[0], parts[2]) == ("products", "trades") else None


def _binance(trades: Sequence[Trade], query: Query) -> Any:
    first, limit = int(query.get("fromId", 0)), int(query.get("limit", 500))
    chosen = [trade for trade in trades if _number(trade) >= first]
    return [
        {
            "id": _number(trade),
            "price": repr(trade.price),
            "qty": repr(trade.size),
            "time": trade.ts_event // NS_PER_MS,
            "isBuyerMaker": trade.side == "sell",
        }
        for trade in (chosen[:limit] if first else chosen[-limit:])
    ]


def _bybit(trades: Sequence[Trade], _: Query) -> Any:
    rows = [
        {
            "execId": trade.trade_id,
            "price": repr(trade.price),
            "size": repr(trade.size),
            "side": trade.side.capitalize(),
            "time": str(trade.ts_event // NS_PER_MS),
        }
        for trade in reversed(trades[-bybit_history.PAGE_TRADES :])
    ]
    return {"retCode": 0, "retMsg": "OK", "result": {"category": "spot", "list": rows}}


def _coinbase(trades: Sequence[Trade], query: Query) -> Any:
    return [
        {
            "trade_id": _number(trade),
            "time": _iso(trade.ts_event),
            "price": repr(trade.price),
            "size": repr(trade.size),
            "side": OTHER_SIDE[trade.side],
        }
        for trade in _before(trades, query, coinbase_history.PAGE_TRADES)
    ]


def _kraken(trades: Sequence[Trade], query: Query) -> Any:
    since = int(query.get("since", 0))
    chosen = [trade for trade in trades if trade.ts_event > since][: kraken_history.PAGE_TRADES]
    rows = [
        [
            *(repr(trade.price), repr(trade.size), trade.ts_event / NS_PER_S),
            *(trade.side[0], "m", "", _number(trade)),
        ]
        for trade in chosen
    ]
    last = str(chosen[-1].ts_event if chosen else since)
    return {"error": [], "result": {query.get("pair", ""): rows, "last": last}}


def _okx(trades: Sequence[Trade], query: Query) -> Any:
    rows = [
        {
            "instId": query.get("instId"),
            "tradeId": trade.trade_id,
            "px": repr(trade.price),
            "sz": repr(trade.size),
            "side": trade.side,
            "ts": str(trade.ts_event // NS_PER_MS),
        }
        for trade in _before(trades, query, okx_history.PAGE_TRADES)
    ]
    return {"code": "0", "msg": "", "data": rows}


def _before(trades: Sequence[Trade], query: Query, count: int) -> list[Trade]:
    """Return a page, newest first, of what is older than the id in ``after``."""
    after = query.get("after")
    chosen = [trade for trade in trades if after is None or _number(trade) < int(after)]
    return chosen[-count:][::-1]


def _number(trade: Trade) -> int:
    return int(trade.trade_id or 0)


def _iso(ns: int) -> str:
    seconds, fraction = divmod(ns, NS_PER_S)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:09}Z"


_OF_BINANCE: Final = _if_under("/trades", "/historicalTrades", by="symbol")
ASKED: Final = {
    binance.SPOT: _OF_BINANCE,
    binance.USDM: _OF_BINANCE,
    bybit.VENUE: _if_under("/recent-trade", by="symbol"),
    coinbase.VENUE: _coinbase_asked,
    kraken.VENUE: _if_under("/Trades", by="pair"),
    okx.VENUE: _if_under("/history-trades", by="instId"),
}
REPLIES: Final[dict[str, Callable[[Sequence[Trade], Query], Any]]] = {
    binance.SPOT: _binance,
    binance.USDM: _binance,
    bybit.VENUE: _bybit,
    coinbase.VENUE: _coinbase,
    kraken.VENUE: _kraken,
    okx.VENUE: _okx,
}
