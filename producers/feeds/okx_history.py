"""The latest trades of an OKX instrument over HTTP: newest first, older ones by their id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from msgspec.json import Decoder

from producers.feeds.history import History, trade_again
from producers.feeds.source import RefusedError
from schemas.events import NS_PER_MS, Side, Trade

PAGE_TRADES: Final = 100


class _Trade(Struct, rename={"trade_id": "tradeId"}):
    trade_id: str
    px: float
    sz: float
    side: Side
    ts: int


class _Reply(Struct):
    code: str
    msg: str = ""
    data: list[_Trade] = []


_decode = Decoder(_Reply, strict=False).decode


def read_trades(instrument: str, reply: bytes) -> list[Trade]:
    """Read a page, oldest first; raise ``RefusedError`` for an error that it holds."""
    answer = _decode(reply)
    if answer.code != "0":
        raise RefusedError("okx refuses", f"{answer.code} {answer.msg}"[:200])
    return [
        trade_again(
            instrument,
            ts_event=trade.ts * NS_PER_MS,
            price=trade.px,
            size=trade.sz,
            side=trade.side,
            trade_id=trade.trade_id,
        )
        for trade in reversed(answer.data)
    ]


def _path(symbol: str, known: Trade, page: Sequence[Trade]) -> str | None:
    asked = f"/api/v5/market/history-trades?instId={symbol}&type=1&limit={PAGE_TRADES}"
    if not page:
        return asked
    oldest = int(page[0].trade_id or 0)
    return f"{asked}&after={oldest}" if oldest > int(known.trade_id or 0) else None


HISTORY: Final = History(path=_path, read=read_trades)
