"""The latest trades of Binance over HTTP: the newest 1,000 for anybody, older ones by their id.

Older ones of futures are for holders of a key: without one that history ends after a page.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from msgspec import Struct
from msgspec.json import Decoder

from producers.feeds.history import History, trade_again
from producers.venue_times import milli_or_micro_ns
from schemas.events import Trade

PAGE_TRADES: Final = 1_000


class _Trade(Struct, rename={"trade_id": "id", "size": "qty", "buyer_is_maker": "isBuyerMaker"}):
    trade_id: int
    price: float
    size: float
    time: int
    buyer_is_maker: bool


_decode = Decoder(list[_Trade], strict=False).decode


def read_trades(instrument: str, reply: bytes) -> list[Trade]:
    """Read a page, oldest first. The buyer being the maker, it was the seller who came."""
    return [
        trade_again(
            instrument,
            ts_event=milli_or_micro_ns(trade.time),
            price=trade.price,
            size=trade.size,
            side="sell" if trade.buyer_is_maker else "buy",
            trade_id=str(trade.trade_id),
        )
        for trade in _decode(reply)
    ]


def _path(prefix: str, symbol: str, known: Trade, page: Sequence[Trade]) -> str | None:
    asked = f"symbol={symbol.upper()}&limit={PAGE_TRADES}"
    if not page:
        return f"{prefix}/trades?{asked}"
    wanted, oldest = int(known.trade_id or 0), int(page[0].trade_id or 0)
    if oldest <= wanted:
        return None
    return f"{prefix}/historicalTrades?{asked}&fromId={max(wanted, oldest - PAGE_TRADES)}"


SPOT: Final = History(path=partial(_path, "/api/v3"), read=read_trades)
USDM: Final = History(path=partial(_path, "/fapi/v1"), read=read_trades)
