"""The latest trades of a Coinbase product over HTTP: newest first, older ones by their id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from msgspec.json import Decoder

from producers.feeds.history import History, trade_again
from producers.venue_times import iso_ns
from schemas.events import Side, Trade

PAGE_TRADES: Final = 1_000


class _Trade(Struct):
    trade_id: int
    time: str
    price: float
    size: float
    side: Side


_decode = Decoder(list[_Trade], strict=False).decode


def read_trades(instrument: str, reply: bytes) -> list[Trade]:
    """Read a page, oldest first. Its side is the maker's, as in the feed."""
    return [
        trade_again(
            instrument,
            ts_event=iso_ns(trade.time),
            price=trade.price,
            size=trade.size,
            side="sell" if trade.side == "buy" else "buy",
            trade_id=str(trade.trade_id),
        )
        for trade in reversed(_decode(reply))
    ]


def _path(symbol: str, known: Trade, page: Sequence[Trade]) -> str | None:
    asked = f"/products/{symbol}/trades?limit={PAGE_TRADES}"
    if not page:
        return asked
    oldest = int(page[0].trade_id or 0)
    return f"{asked}&after={oldest}" if oldest > int(known.trade_id or 0) else None


HISTORY: Final = History(path=_path, read=read_trades)
