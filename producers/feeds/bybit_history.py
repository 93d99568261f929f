"""The latest trades of a Bybit symbol over HTTP: one page, newest first, and none before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from msgspec import Struct, field
from msgspec.json import Decoder

from producers.feeds.history import History, trade_again
from producers.feeds.source import RefusedError
from schemas.events import NS_PER_MS, Side, Trade

PAGE_TRADES: Final = 60
"""Of spot."""
SIDES: Final[dict[Literal["Buy", "Sell"], Side]] = {"Buy": "buy", "Sell": "sell"}


class _Trade(Struct, rename={"trade_id": "execId"}):
    trade_id: str
    price: float
    size: float
    side: Literal["Buy", "Sell"]
    time: int


class _Trades(Struct, rename={"trades": "list"}):
    trades: list[_Trade] = []


class _Reply(Struct, rename={"code": "retCode", "message": "retMsg"}):
    code: int
    result: _Trades = field(default_factory=_Trades)
    message: str = ""


_decode = Decoder(_Reply, strict=False).decode


def read_trades(instrument: str, reply: bytes) -> list[Trade]:
    """Read the page, oldest first; raise ``RefusedError`` for an error that it holds."""
    answer = _decode(reply)
    if answer.code:
        raise RefusedError("bybit refuses", f"{answer.code} {answer.message}"[:200])
    return [
        trade_again(
            instrument,
            ts_event=trade.time * NS_PER_MS,
            price=trade.price,
            size=trade.size,
            side=SIDES[trade.side],
            trade_id=trade.trade_id,
        )
        for trade in reversed(answer.result.trades)
    ]


def _path(symbol: str, known: Trade, page: Sequence[Trade]) -> str | None:  # noqa: ARG001 - one page
    if page:
        return None
    return f"/v5/market/recent-trade?category=spot&symbol={symbol}&limit={PAGE_TRADES}"


HISTORY: Final = History(path=_path, read=read_trades)
